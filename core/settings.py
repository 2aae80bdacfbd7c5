"""Every option of the app, in one typed, frozen object read from ``TALLER_*`` environment variables.

``get_settings()`` reads them once a process. The README's table is made from the field descriptions
(``python -m core.settings`` prints it) and a test compares the two.
"""

import re
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ORIGIN: Final = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?")


class Settings(BaseSettings):
    """The options. Field ``hub_timeout`` is read from ``TALLER_HUB_TIMEOUT``, and so on."""

    model_config = SettingsConfigDict(env_prefix="TALLER_", frozen=True, extra="ignore")

    models_dir: Path | None = Field(
        default=None,
        description="Folder with models in `org/name/` sub-folders, looked at before the hub's cache.",
    )
    offline: bool = Field(
        default=False,
        description="`1`: never contact the model hub; only what is on this machine is used.",
    )
    hub_timeout: float = Field(
        default=8.0,
        gt=0,
        le=600,
        description="Seconds without an answer after which a request to the hub is given up.",
    )
    page_wait: float = Field(
        default=1.5,
        ge=0,
        le=30,
        description="Seconds a page waits for files on their way before it shows what is already here.",
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        default="auto",
        description="Where models run; `auto` takes the first there is of `cuda`, `mps`, `cpu`.",
    )
    memory_fraction: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="Share of the memory free at the start that loaded models may take, on each device.",
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Requests that a device computes at once; `0`: one on a GPU, half the cores on a CPU.",
    )
    max_waiting: int = Field(
        default=32,
        ge=0,
        le=10_000,
        description="Requests that may wait for a device; one more is told to try again.",
    )
    wait_timeout: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Seconds after which a request that still waits is told to try again.",
    )
    requests_per_session: int = Field(
        default=12,
        ge=1,
        le=1000,
        description="Requests that one visitor may have waiting or being computed; one more is told to try again.",
    )
    batch_window: float = Field(
        default=0.002,
        ge=0,
        le=1,
        description="Seconds that a request waits for others of its kind, to be computed with them, when nothing "
        "else waits; up to five times as long while they keep coming.",
    )
    generation_tokens: int = Field(
        default=200,
        ge=1,
        le=1000,
        description="Most tokens that a visitor may have written at once.",
    )
    generation_time: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Seconds after which writing stops with what there is.",
    )
    warm_up: bool = Field(
        default=True,
        description="`0`: load no model before somebody asks for it.",
    )
    allow_any_model: bool = Field(
        default=False,
        description="`1`: models outside the catalogue may be loaded by their id.",
    )
    operator_token: str | None = Field(
        default=None,
        description="Word that lets whoever runs the app unload models on the system page; unset, "
        "it can be done from this machine itself and from nowhere else.",
    )
    downloads: Literal["everyone", "operator"] = Field(
        default="everyone",
        description="Who may start the download of a catalogue model.",
    )
    data_dir: Path | None = Field(
        default=None,
        description="Folder of downloaded data sets, such as `snips/`; unset, `~/.cache/taller/data`.",
    )
    training_dir: Path | None = Field(
        default=None,
        description="Folder of the fine-tuning runs; unset, `~/.cache/taller/training`.",
    )
    rooms_dir: Path | None = Field(
        default=None,
        description="Folder, common to all copies of the app, of the rooms of «Predice antes»; unset, each copy keeps "
        "its own in memory.",
    )
    training_at_once: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Fine-tuning runs that train at the same time.",
    )
    training_queue: int = Field(
        default=40,
        ge=0,
        le=1000,
        description="Fine-tuning runs that may wait; one more is told to try again.",
    )
    training_per_session: int = Field(
        default=3,
        ge=1,
        le=50,
        description="Fine-tuning runs that one visitor may have training or waiting.",
    )
    training_keep_hours: float = Field(
        default=24.0,
        gt=0,
        le=8760,
        description="Hours after which a finished run and its model are deleted.",
    )
    training_cluster_wait: float = Field(
        default=120.0,
        ge=0,
        le=86_400,
        description="Seconds that fine-tuning runs wait for a lost Ray cluster before this machine goes on with them.",
    )
    ray_address: str | None = Field(
        default=None,
        description="Address of a Ray cluster that serves `core.cluster`, such as `http://10.0.0.5:8000`; unset, "
        "this machine computes.",
    )
    ray_secret: str | None = Field(
        default=None,
        min_length=16,
        description="Secret that the app and its cluster share; whoever has it can run anything on both.",
    )
    ray_timeout: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Seconds without a sign of life from the cluster after which this machine answers instead.",
    )
    language: Literal["es", "en"] = Field(
        default="es",
        description="Language for visitors whose browser asks for neither Spanish nor English.",
    )
    public_url: str | None = Field(
        default=None,
        description="Address under which visitors reach the app, for the links it makes; "
        "unset, the address in the visitor's browser.",
    )
    frame_ancestors: str = Field(
        default="https://huggingface.co",
        description="Sites that may show the app in a frame, besides itself, with spaces between; empty, none.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of proxies in front of the app, with spaces between: from them, and from "
        "this machine, `X-Forwarded-For` is believed; from others never.",
    )
    sessions_per_address: int = Field(
        default=200,
        ge=0,
        le=100_000,
        description="Pages that one address may have open at once (a whole room may share one); `0`: no limit.",
    )
    openings_per_minute: int = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="Pages that one address may open, and files it may upload, in a minute; `0`: no limit.",
    )
    watch_from: str = Field(
        default="127.0.0.1 ::1",
        description="Addresses or networks that may read the metrics, with spaces between; empty, nobody.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="How the log is written: for people, or one JSON object a line.",
    )

    @field_validator(
        *(
            "models_dir",
            "data_dir",
            "training_dir",
            "rooms_dir",
            "public_url",
            "operator_token",
            "ray_address",
            "ray_secret",
        ),
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        # `TALLER_MODELS_DIR= make run` means "none", not the current folder.
        return None if value == "" else value

    @field_validator("models_dir", "data_dir", "training_dir", "rooms_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().resolve() if value else None

    @field_validator("ray_address")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", value):
            raise ValueError(f"{value!r} is no address such as http://10.0.0.5:8000")
        return value

    @model_validator(mode="after")
    def _cluster_with_secret(self) -> Self:
        if self.ray_address is not None and self.ray_secret is None:
            raise ValueError("TALLER_RAY_ADDRESS needs TALLER_RAY_SECRET, 16 characters or more")
        return self

    @field_validator("frame_ancestors")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in value.split():
            # It ends up in a header: nothing but an origin may.
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no address such as https://example.org or https://*.example.org")
        return value

    @field_validator("trusted_proxies", "watch_from")
    @classmethod
    def _networks(cls, value: str) -> str:
        for network in value.split():
            ip_network(network)
        return value

    @property
    def data_folder(self) -> Path:
        """Where downloaded data sets are kept."""
        return self.data_dir or Path("~/.cache/taller/data").expanduser()

    @property
    def training_folder(self) -> Path:
        """Where fine-tuning runs are kept."""
        return self.training_dir or Path("~/.cache/taller/training").expanduser()


@cache
def get_settings() -> Settings:
    """The process's settings.

    Raises:
        pydantic.ValidationError: a variable holds a value of the wrong kind; it names the variable's field.
    """
    return Settings()


def _default(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{int(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def markdown_table() -> str:
    """The options as the Markdown table that stands in the README."""
    rows = ["| Variable | Default | What it does |", "| --- | --- | --- |"]
    rows += [
        f"| `TALLER_{name.upper()}` | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown_table())
