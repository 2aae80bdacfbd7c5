"""Tasks against the bare model: one request of 30 and of 300 words, and five hundred rows against a loop.

"The bare model" is what a user would write without this project: tokenizer, forward, decoding by hand, on the
same weights. Both sides take turns in one process.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from core.runtime.batch import BatchJob
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.settings import Settings

REPEATS = 15
THIRTY = (
    "The children of the village had never seen the sea, so when the old teacher promised to take them there in "
    "spring, nobody in class could think of anything else."
)
# Sentences that differ, so that a summary has something to choose from.
THREE_HUNDRED = " ".join(
    f"In house number {number} of the long street by the river lived a family with {number % 4 + 1} children, who "
    f"went to the {('old', 'new', 'red', 'small')[number % 4]} school on the hill every morning."
    for number in range(1, 12)
)


def _median(one: Callable[[], Any], other: Callable[[], Any]) -> tuple[float, float]:
    """Median milliseconds of each, taking turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(REPEATS + 2):
        for call, found in zip((one, other), times, strict=True):
            began = time.perf_counter()
            call()
            if turn > 1:
                found.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def _bare_labels(bundle: Any, text: str) -> Any:
    import torch

    with torch.inference_mode():
        inputs = bundle.tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
        probabilities = bundle.model(**inputs).logits.softmax(-1)[0]
        return {bundle.model.config.id2label[i]: float(p) for i, p in enumerate(probabilities)}


def _bare_tags(bundle: Any, text: str) -> Any:
    import torch

    with torch.inference_mode():
        inputs = bundle.tokenizer(
            text, truncation=True, max_length=512, return_offsets_mapping=True, return_tensors="pt"
        )
        offsets = inputs.pop("offset_mapping")[0].tolist()
        rows = bundle.model(**inputs).logits.softmax(-1)[0]
        best = rows.max(-1)
        return [
            (text[start:end], bundle.model.config.id2label[tag], chance)
            for (start, end), tag, chance in zip(offsets, best.indices.tolist(), best.values.tolist(), strict=True)
        ]


def _bare_vectors(bundle: Any, texts: list[str]) -> Any:
    import torch

    with torch.inference_mode():
        inputs = bundle.tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")
        states = bundle.model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][:, :, None]
        vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
        return (vectors @ vectors.T).tolist()


def run() -> list[dict[str, Any]]:
    """The rows."""
    from core.tasks import classification, entities, extractive_summary, similarity, zero_shot

    settings = Settings(offline=True, device="cpu")
    engine = Engine(ModelPool(settings), settings)
    rows: list[dict[str, Any]] = []
    lines = THREE_HUNDRED.split(". ")

    def row(name: str, model: str, task: Any, request: Any, bare: Callable[[Any], Any]) -> None:
        with engine.pool.use(model) as bundle:
            ours, theirs = _median(lambda: engine.run(task, request, model=model), lambda: bare(bundle))
        rows.append(
            {
                "name": name,
                "ours_ms": ours,
                "baseline": "tokenizer, model and decoding by hand",
                "baseline_ms": theirs,
                "ratio": ours / theirs,
                "target": "≤ 1.1 or 10 ms more",
            }
        )

    for words, text in ((30, THIRTY), (300, THREE_HUNDRED)):
        row(
            f"sentiment, {words} words",
            "sentiment-en",
            classification.TASK,
            classification.ClassificationRequest(text),
            lambda bundle, text=text: _bare_labels(bundle, text),
        )
        row(
            f"entities, {words} words",
            "entities-en",
            entities.TASK,
            entities.EntitiesRequest(text),
            lambda bundle, text=text: _bare_tags(bundle, text),
        )
        labels = ("sports", "politics", "school", "cooking")
        sentences = [f"This text is about {label}." for label in labels]
        row(
            f"free labels by similarity, {words} words, 4 labels",
            "minilm",
            zero_shot.TASK,
            zero_shot.ZeroShotRequest(text, labels, "This text is about {}."),
            lambda bundle, text=text, sentences=sentences: _bare_vectors(bundle, [text, *sentences]),
        )
    row(
        "similarity, 11 sentences",
        "minilm",
        similarity.TASK,
        similarity.SimilarityRequest(tuple(lines)),
        lambda bundle: _bare_vectors(bundle, lines),
    )
    row(
        "extractive summary, 300 words",
        "minilm",
        extractive_summary.TASK,
        extractive_summary.SummaryRequest(THREE_HUNDRED, 3),
        lambda bundle: _bare_vectors(bundle, lines),
    )
    rows.append(_batch(engine))
    return rows


def _batch(engine: Engine) -> dict[str, Any]:
    """Five hundred rows of two to sixty words, as the page answers them, against one call after the other."""
    import random

    from core.tasks.classification import TASK, ClassificationRequest

    chance = random.Random(1)
    words = THREE_HUNDRED.replace(".", "").split()
    texts = [" ".join(chance.choices(words, k=chance.randint(2, 60))) for _row in range(500)]
    requests = [ClassificationRequest(text) for text in texts]
    engine.run(TASK, requests[0], model="sentiment-en")
    began = time.perf_counter()
    alone = [engine.run(TASK, request, model="sentiment-en").result.labels[0].name for request in requests]
    loop = time.perf_counter() - began
    began = time.perf_counter()
    job = BatchJob(
        engine, TASK, requests, model="sentiment-en", size=lambda request: len(request.text), abandoned_s=3600
    )
    job.wait()
    together = time.perf_counter() - began
    same = sum(outcome.result.labels[0].name == name for outcome, name in zip(job.results(), alone, strict=True))
    return {
        "name": f"batch tab, 500 rows ({same} of 500 labels the same)",
        "ours_ms": 500 / together,
        "baseline": "the same calls one after the other",
        "baseline_ms": 500 / loop,
        "ratio": loop / together,
        "target": "≥ 3",
        "unit": "a second",
    }
