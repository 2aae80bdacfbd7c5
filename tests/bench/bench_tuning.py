"""Fine-tuning against the Hugging Face Trainer with its defaults: same data, same model, same epochs.

Two thousand training examples of SNIPS and its 700 of validation where they are at hand (downloaded on the page, or
in ``../shared/data``); otherwise this project's own English intents. Both sides run one after the other in
processes of their own, on all cores, from loaded data to the last step; the accuracy of each stands in its name.
Then what a run costs the others: the rerun of a page while a worker trains, against the same while none does.

``python -m tests.bench.bench_tuning rows --examples 64 --epochs 1`` tries it small.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.training.jobs import WORKER_ENVIRONMENT
from tests.conftest import ROOT

EXAMPLES = 2000
EPOCHS = 2
RERUNS = 15
_START_S = 600.0


def _data(examples: int) -> Any:
    from core.settings import Settings
    from core.training.data import sample
    from core.training.ours import our_data
    from core.training.snips import is_here, snips_data

    for folder in (None, ROOT.parent / "shared/data"):
        settings = Settings() if folder is None else Settings(data_dir=folder)
        if is_here(settings):
            return sample(snips_data("classification", settings), examples)
    return our_data("classification", "en")


def _ours(method: str, examples: int, epochs: int) -> dict[str, float]:
    from dataclasses import replace

    from core.settings import Settings
    from core.training.tuning.request import defaults
    from core.training.tuning.tune import tune

    data = _data(examples)
    request = defaults("classification", method, "minilm")  # type: ignore[arg-type]
    if method == "full":
        request = replace(request, epochs=epochs)
    with TemporaryDirectory() as folder:
        result = tune(request, data, Path(folder), Settings(offline=True, device="cpu"))
    times = result["times"]
    # Loading and writing are left out on both sides; the body's one pass is part of the training.
    return {
        "seconds": times["train"] + times.get("features", 0.0),
        "accuracy": result["value"],
        "memory_mib": result["memory_mib"],
    }


def _trainer(examples: int, epochs: int) -> dict[str, float]:
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
    from core.training.tuning.tune import peak_memory_mib

    data = _data(examples)
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
            args=TrainingArguments(out, num_train_epochs=epochs, report_to=[], save_strategy="no", disable_tqdm=True),
            train_dataset=train,
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        trainer.remove_callback(PrinterCallback)
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        guesses = trainer.predict(test).predictions.argmax(-1)
    return {
        "seconds": seconds,
        "accuracy": float(np.mean(guesses == [row["labels"] for row in test.rows])),
        "memory_mib": peak_memory_mib(),
    }


def _apart(what: str, examples: int, epochs: int) -> dict[str, float]:
    """One side in a process of its own, so that neither warms the other's caches."""
    sizes = (f"--examples={examples}", f"--epochs={epochs}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_tuning", what, *sizes],
        cwd=ROOT,
        # Both wait alike; the rest of a worker's environment is ours.
        env={**os.environ, **(WORKER_ENVIRONMENT if what != "trainer" else {"OMP_WAIT_POLICY": "PASSIVE"})},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _reruns(reruns: int) -> dict[str, float]:
    """Median milliseconds of a page's rerun in this process, while no worker trains and while one does."""
    os.environ["TALLER_OFFLINE"] = "1"
    from core.training.jobs import start_worker
    from core.training.ours import our_data
    from core.training.run import RunFolder
    from core.training.tuning.request import TuningRequest
    from tests.bench.bench_rerun import CHARACTERS, SENTENCE, open_page

    # The limit is for a machine that is busy already.
    app = open_page((SENTENCE * 20)[:CHARACTERS], timeout=600)

    def median() -> float:
        times = []
        for _turn in range(reruns):
            began = time.perf_counter()
            app.run()
            times.append(1000 * (time.perf_counter() - began))
        return statistics.median(times)

    median()
    before = median()
    with TemporaryDirectory() as folder:
        # All weights and many epochs: it must not end before the last rerun.
        request = TuningRequest("classification", "minilm", "full", epochs=100)
        run = RunFolder.create(
            Path(folder) / "run", request, our_data("classification", "en"), name="bench", owner="bench", place=1
        )
        worker = start_worker(run)
        try:
            end = time.monotonic() + _START_S
            while not any(line.get("kind") == "step" for line in run.progress()):
                if worker.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"the worker does not train: {(run.path / 'log.txt').read_text()[-500:]}")
                time.sleep(0.2)
            busy = median()
            if worker.poll() is not None:
                raise RuntimeError("the worker was done before the last rerun")
        finally:
            run.cancel()
            worker.terminate()
            worker.wait(60)
    return {"busy": busy, "idle": statistics.mean((before, median()))}


def rows(examples: int, epochs: int, reruns: int) -> list[dict[str, Any]]:
    """Full fine-tuning and the head alone, each against the Trainer; memory; and what others notice of a run."""
    head, full, trainer = (_apart(what, examples, epochs) for what in ("head", "full", "trainer"))
    baseline = f"HF Trainer with its defaults, {epochs} epochs"
    found = []
    for name, ours, target in (("all weights", full, "≤ 0.40"), ("head only", head, "≤ 0.05")):
        found.append(
            {
                "name": f"fine-tuning, {name}, {examples} texts ({100 * ours['accuracy']:.1f} % right)",
                "ours_ms": ours["seconds"],
                "unit": "s",
                "baseline": f"{baseline} ({100 * trainer['accuracy']:.1f} % right)",
                "baseline_ms": trainer["seconds"],
                "ratio": ours["seconds"] / trainer["seconds"],
                "target": target,
            }
        )
    found += [
        {
            "name": f"fine-tuning, {name}, peak memory of its process",
            "ours_ms": ours["memory_mib"],
            "unit": "MiB",
            "baseline": baseline,
            "baseline_ms": trainer["memory_mib"],
            "ratio": ours["memory_mib"] / trainer["memory_mib"],
            "target": "≤ 1",
        }
        for name, ours in (("all weights", full), ("head only", head))
    ]
    seen = _reruns(reruns)
    found.append(
        {
            "name": "rerun of the Tokenización page while a run trains",
            "ours_ms": seen["busy"],
            "baseline": "the same while none does",
            "baseline_ms": seen["idle"],
            "ratio": seen["busy"] / seen["idle"],
            "target": "≤ 2",
        }
    )
    return found


def run() -> list[dict[str, Any]]:
    """All rows, at the size that is reported."""
    return rows(EXAMPLES, EPOCHS, RERUNS)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_tuning")
    parser.add_argument("what", choices=("rows", "head", "full", "trainer", "reruns"))
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--reruns", type=int, default=RERUNS)
    given = parser.parse_args()
    if given.what == "rows":
        from tests.bench.run import table

        print(table(rows(given.examples, given.epochs, given.reruns)))
    elif given.what == "reruns":
        print(json.dumps(_reruns(given.reruns)))
    elif given.what == "trainer":
        print(json.dumps(_trainer(given.examples, given.epochs)))
    else:
        print(json.dumps(_ours(given.what, given.examples, given.epochs)))


if __name__ == "__main__":
    _main()
