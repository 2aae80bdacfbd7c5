"""Takes a finished run into ``core/models``: its files, their hashes, and its scores.

    python -m core.training.ship sentiment-en --run DIR --data DIR

The model needs its entry in the catalogue first. The card (``README.md``) is written by hand.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.catalog import MODELS_FOLDER
from core.training.evaluate import SCORED, shipped_scores

# What a row of figures is judged by: the first of these that it has.
_METRICS: Final = ("top1", "accuracy", "f1", "bits_per_character", "chrf")


def judged(row: Mapping[str, Any]) -> dict[str, Any]:
    """The one measure of a row that counts, and how many answers it rests on."""
    metric = next(name for name in _METRICS if name in row)
    return {"metric": metric, "score": row[metric], "n": row.get("n", row.get("sentences"))}


def describe(model: str, data: Path | None) -> dict[str, Any]:
    """Hashes of a shipped model's files and its scores: test sets, and the hand-written sample.

    Args:
        model: its folder's name.
        data: the folder with the test sets; without it the scores on them stay as they were.
    """
    folder = MODELS_FOLDER / model
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name not in {"README.md", "scores.json"}
    }
    described: dict[str, Any] = {"files": files}
    if model in SCORED:
        *rows, row = shipped_scores(model, data)
        described["sample"] = judged(row)
        described["tests"] = [{"name": test["Test set"], **judged(test)} for test in rows]
        kept = folder / "scores.json"
        if data is None and kept.is_file():
            described["tests"] = json.loads(kept.read_text(encoding="utf-8")).get("tests", [])
    return described


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m core.training.ship")
    parser.add_argument("model", help="its folder's name under core/models")
    parser.add_argument("--run", type=Path, help="a run's folder, whose model/ is taken; without it, the files stay")
    parser.add_argument("--data", type=Path, help="the folder with the test sets")
    options = parser.parse_args(arguments)
    folder = MODELS_FOLDER / options.model
    if options.run is not None:
        folder.mkdir(exist_ok=True)
        for file in (options.run / "model").iterdir():
            if file.name == "tokenizer.json":
                # Written a number a line, it takes half as much again.
                tight = json.dumps(
                    json.loads(file.read_text(encoding="utf-8")), ensure_ascii=False, separators=(",", ":")
                )
                (folder / file.name).write_text(tight + "\n", encoding="utf-8")
            else:
                shutil.copyfile(file, folder / file.name)
    text = json.dumps(describe(options.model, options.data), indent=2) + "\n"
    (folder / "scores.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
