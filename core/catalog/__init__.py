"""The catalogue: which models and tokenizers the app knows, read from ``models.toml`` into frozen types."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

Tier = Literal["workshop", "reference"]

CATALOGUE_FILE: Final = Path(__file__).with_name("models.toml")
MODELS_FOLDER: Final = Path(__file__).resolve().parents[1] / "models"


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """What is known of a model's tokenizer before it is loaded.

    Attributes:
        class_name: the transformers class, such as ``"BertTokenizer"``.
        algorithm: ``"WordPiece"``, ``"BPE"`` or ``"Unigram"``.
        vocabulary: number of pieces, added tokens included.
        files: file names to fetch from the hub for the tokenizer alone.
        download_mib: about how much that is, in MiB.
    """

    class_name: str
    algorithm: str
    vocabulary: int
    files: tuple[str, ...]
    download_mib: float


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the catalogue; the fields are described at the top of ``models.toml``."""

    key: str
    id: str
    names: dict[str, str]
    tier: Tier
    languages: tuple[str, ...]
    licence: str
    window: int
    embedded: str | None
    teaches: dict[str, str]
    tokenizer: TokenizerSpec

    def name(self, language: str) -> str:
        """The name a person reads, in ``language`` (``"es"`` or ``"en"``)."""
        return self.names[language]


def _read_entry(raw: dict[str, Any]) -> ModelEntry:
    spec = raw["tokenizer"]
    return ModelEntry(
        key=raw["key"],
        id=raw["id"],
        names={"es": raw["name_es"], "en": raw["name_en"]},
        tier=cast(Tier, raw["tier"]),
        languages=tuple(raw["languages"]),
        licence=raw["licence"],
        window=raw["window"],
        embedded=raw.get("embedded"),
        teaches={"es": raw["teaches_es"], "en": raw["teaches_en"]},
        tokenizer=TokenizerSpec(
            class_name=spec["class"],
            algorithm=spec["algorithm"],
            vocabulary=spec["vocabulary"],
            files=tuple(spec["files"]),
            download_mib=float(spec["download_mib"]),
        ),
    )


@cache
def entries() -> dict[str, ModelEntry]:
    """All entries by key, in the file's order."""
    with CATALOGUE_FILE.open("rb") as file:
        raw = tomllib.load(file)["model"]
    read = [_read_entry(item) for item in raw]
    return {entry.key: entry for entry in read}


def entry(key: str) -> ModelEntry:
    """One entry.

    Raises:
        KeyError: the catalogue has no such key.
    """
    return entries()[key]
