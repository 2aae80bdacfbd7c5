"""What models take on the disk: those that ship, the folder of models, and the hub's cache."""

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from core.catalog import MODELS_FOLDER
from core.settings import Settings

# What downloads that are under way or were cut leave among the blobs: ours, and the hub's own library's.
_UNFINISHED: Final = (".partial", ".incomplete")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """One place with models.

    Attributes:
        kind: ``"shipped"`` (core/models), ``"models_dir"`` or ``"hub_cache"``.
        folder: where it is.
        bytes: what it takes, with unfinished downloads.
        free_bytes: space left on its disk.
        models: id → bytes, the largest first.
        damaged: how many models can't be read. One whose download is under way or was cut is not damaged.
    """

    kind: Literal["shipped", "models_dir", "hub_cache"]
    folder: Path
    bytes: int
    free_bytes: int
    models: tuple[tuple[str, int], ...]
    damaged: int = 0


def _size(folder: Path, endings: tuple[str, ...] = ("",)) -> int:
    """Bytes of the files under ``folder`` with these endings; links are not followed, so nothing counts twice."""
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            if not name.endswith(endings):
                continue
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:  # taken away meanwhile
                continue
    return total


def _free(folder: Path) -> int:
    return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free


def _largest(sizes: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(sizes.items(), key=lambda item: -item[1]))


def _shipped() -> Store:
    sizes = {folder.name: _size(folder) for folder in MODELS_FOLDER.iterdir() if folder.is_dir()}
    return Store("shipped", MODELS_FOLDER, sum(sizes.values()), _free(MODELS_FOLDER), _largest(sizes))


def _models_dir(folder: Path) -> Store:
    sizes: dict[str, int] = {}
    if folder.is_dir():
        for model in folder.glob("*/*"):
            if model.is_dir():
                sizes[f"{model.parent.name}/{model.name}"] = _size(model)
    return Store("models_dir", folder, sum(sizes.values()), _free(folder), _largest(sizes))


def _hub_cache() -> Store:
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    folder = Path(constants.HF_HUB_CACHE)
    try:
        found = scan_cache_dir(folder)
    except CacheNotFound:
        return Store("hub_cache", folder, 0, _free(folder), ())
    except (ValueError, OSError) as error:
        # One reference that is no text, and the library reads none at all. Sizes can be told without it.
        _log.info("the hub's cache can't be read: %s", error)
        found = None
    readable = {repository.repo_path.name: repository.size_on_disk for repository in found.repos} if found else {}
    total, damaged = (found.size_on_disk, 0) if found else (0, 1)
    sizes: dict[str, int] = {}
    for model in folder.glob("*--*"):
        blobs = model / "blobs"
        more = _size(blobs, _UNFINISHED if model.name in readable else ("",))
        if found and model.name not in readable and ((model / "snapshots").exists() or not blobs.exists()):
            damaged += 1
        total += more
        if size := readable.get(model.name, 0) + more:
            sizes[model.name.partition("--")[2].replace("--", "/")] = size
    return Store("hub_cache", folder, total, _free(folder), _largest(sizes), damaged)


def stores(settings: Settings) -> list[Store]:
    """All places with models."""
    places = [_shipped()]
    if settings.models_dir:
        places.append(_models_dir(settings.models_dir))
    return [*places, _hub_cache()]
