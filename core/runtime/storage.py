"""What models take on the disk: those that ship, the folder of models, and the hub's cache."""

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.catalog import MODELS_FOLDER
from core.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """One place with models.

    Attributes:
        kind: ``"shipped"`` (core/models), ``"models_dir"`` or ``"hub_cache"``.
        folder: where it is.
        bytes: what it takes.
        free_bytes: space left on its disk.
        models: id → bytes, the largest first.
        damaged: how many entries could not be read.
    """

    kind: Literal["shipped", "models_dir", "hub_cache"]
    folder: Path
    bytes: int
    free_bytes: int
    models: tuple[tuple[str, int], ...]
    damaged: int = 0


def _size(folder: Path) -> int:
    """Bytes of all files under ``folder``; links are not followed, so nothing counts twice."""
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
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
    except (CacheNotFound, ValueError, OSError) as error:
        _log.debug("the hub's cache can't be read: %s", error)
        return Store("hub_cache", folder, 0, _free(folder), ())
    sizes = {repository.repo_id: repository.size_on_disk for repository in found.repos}
    return Store("hub_cache", folder, found.size_on_disk, _free(folder), _largest(sizes), len(found.warnings))


def stores(settings: Settings) -> list[Store]:
    """All places with models."""
    places = [_shipped()]
    if settings.models_dir:
        places.append(_models_dir(settings.models_dir))
    return [*places, _hub_cache()]
