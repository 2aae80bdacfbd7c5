"""Fine-tuning against the Hugging Face Trainer with its defaults: same data, same model, same epochs.

Two thousand training examples of SNIPS and its 700 of validation where they are at hand (downloaded on the page, or
in ``../shared/data``); otherwise this project's own English intents. Both sides run one after the other in
processes of their own, on all cores, from loaded data to the last step; the accuracy of each stands in its name.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conftest import ROOT

EXAMPLES = int(os.environ.get("TALLER_BENCH_EXAMPLES", "2000"))
EPOCHS = 2


def _data() -> Any:
    from core.settings import Settings
    from core.training.data import sample
    from core.training.ours import our_data
    from core.training.snips import is_here, snips_data

    for folder in (None, ROOT.parent / "shared/data"):
        settings = Settings() if folder is None else Settings(data_dir=folder)
        if is_here(settings):
            return sample(snips_data("classification", settings), EXAMPLES)
    return our_data("classification", "en")


def _ours(method: str) -> dict[str, float]:
    from dataclasses import replace

    from core.settings import Settings
    from core.training.tuning.request import defaults
    from core.training.tuning.tune import tune

    data = _data()
    request = defaults("classification", method, "minilm")  # type: ignore[arg-type]
    if method == "full":
        request = replace(request, epochs=EPOCHS)
    with TemporaryDirectory() as folder:
        result = tune(request, data, Path(folder), Settings(offline=True, device="cpu"))
    times = result["times"]
    # Loading and writing are left out on both sides; the body's one pass is part of the training.
    return {"seconds": times["train"] + times.get("features", 0.0), "accuracy": result["value"]}


def _trainer() -> dict[str, float]:
    import numpy as np
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    from core.settings import Settings
    from core.training.tuning.models import folder_of

    data = _data()
    folder = str(folder_of("minilm", Settings(offline=True)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(data.labels))

    class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __init__(self, part: Any) -> None:
            self.rows = [
                {**tokenizer(example.text, truncation=True, max_length=96, padding=False), "labels": example.label}
                for example in part
            ]

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, index: int) -> Any:
            return self.rows[index]

    train, test = Rows(data.train), Rows(data.test)
    with TemporaryDirectory() as out:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(out, num_train_epochs=EPOCHS, report_to=[], save_strategy="no", disable_tqdm=True),
            train_dataset=train,
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        trainer.remove_callback(PrinterCallback)
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        guesses = trainer.predict(test).predictions.argmax(-1)
    return {"seconds": seconds, "accuracy": float(np.mean(guesses == [row["labels"] for row in test.rows]))}


def _apart(what: str) -> dict[str, float]:
    """One side in a process of its own, so that neither warms the other's caches."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_tuning", what],
        cwd=ROOT,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def run() -> list[dict[str, Any]]:
    """Full fine-tuning and the head alone, each against the Trainer."""
    head, full, trainer = _apart("head"), _apart("full"), _apart("trainer")
    accuracy = f"{100 * trainer['accuracy']:.1f} %"
    rows = []
    for name, ours, target in (("all weights", full, "≤ 0.40"), ("head only", head, "≤ 0.05")):
        rows.append(
            {
                "name": f"fine-tuning, {name}, {EXAMPLES} texts ({100 * ours['accuracy']:.1f} % right)",
                "ours_ms": ours["seconds"],
                "unit": "s",
                "baseline": f"HF Trainer with its defaults, {EPOCHS} epochs ({accuracy} right)",
                "baseline_ms": trainer["seconds"],
                "ratio": ours["seconds"] / trainer["seconds"],
                "target": target,
            }
        )
    return rows


if __name__ == "__main__":
    print(json.dumps(_trainer() if sys.argv[1] == "trainer" else _ours(sys.argv[1])))
