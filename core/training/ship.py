"""Takes a finished run into ``core/models``: its files, their hashes, and its score on the hand-written sample.

    python -m core.training.ship sentiment-en --run DIR

The model needs its entry in the catalogue first. The card (``README.md``) is written by hand.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from core.catalog import MODELS_FOLDER
from core.training.evaluate import HEADS, head_scores

# What each kind of head is judged by.
_METRICS: Final = {"sentiment": ("accuracy", "n"), "entities": ("f1", "sentences"), "questions": ("f1", "n")}


def describe(model: str) -> dict[str, Any]:
    """Hashes of a shipped model's files and, for a head, its score on the hand-written sample."""
    folder = MODELS_FOLDER / model
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name not in {"README.md", "scores.json"}
    }
    described: dict[str, Any] = {"files": files}
    if model in HEADS:
        metric, size = _METRICS[model.rpartition("-")[0]]
        (row,) = head_scores(model, None)
        described["sample"] = {"metric": metric, "score": row[metric], "n": row[size]}
    return described


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m core.training.ship")
    parser.add_argument("model", help="its folder's name under core/models")
    parser.add_argument("--run", type=Path, help="a run's folder, whose model/ is taken; without it, the files stay")
    options = parser.parse_args(arguments)
    folder = MODELS_FOLDER / options.model
    if options.run is not None:
        folder.mkdir(exist_ok=True)
        for file in (options.run / "model").iterdir():
            shutil.copyfile(file, folder / file.name)
    text = json.dumps(describe(options.model), indent=2) + "\n"
    (folder / "scores.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
