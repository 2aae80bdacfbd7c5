"""A finished model that answers one text at a time: the box to try it in."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.training.data import DataSet, Labelled, Question, Tagged, spans
from core.training.tuning import scores
from core.training.tuning.models import HEADS
from core.training.tuning.request import TuningRequest
from core.training.tuning.rows import rows_of
from core.training.tuning.tune import words_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of a text.

    Attributes:
        classes: (class, probability), the likeliest first; empty for the other tasks.
        marks: (start, end, kind, probability) in characters: entities, or the one answer; empty where none was found.
        text: what the marks stand in.
    """

    classes: tuple[tuple[str, float], ...]
    marks: tuple[tuple[int, int, str, float], ...]
    text: str


class TunedModel:
    """A run's model in memory. Safe to use from any thread.

    Args:
        folder: the model.
        request: the run's.
        data: the run's; its labels are asked.
    """

    def __init__(self, folder: Path, request: TuningRequest, data: DataSet) -> None:
        import torch
        import transformers

        auto = getattr(transformers, f"AutoModelFor{HEADS[request.task]}")
        self._model: Any = auto.from_pretrained(str(folder), dtype=torch.float32, local_files_only=True).eval()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        self._request = request
        self._data = data
        self._lock = threading.Lock()

    def answer(self, text: str, context: str = "") -> Answer:
        """Asks the model.

        Args:
            text: the text, or the question.
            context: for questions, the text that holds the answer.

        Raises:
            InputInvalid: there is nothing to read.
        """
        if not text.strip() or (self._request.task == "questions" and not context.strip()):
            raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
        with self._lock:
            return self._answer(text, context)

    def _rows(self, example: Any) -> list[dict[str, Any]]:
        return rows_of(self._data, [example], self._tokenizer, self._request.max_length, every=True)

    def _answer(self, text: str, context: str) -> Answer:
        labels = self._data.labels
        if self._request.task == "classification":
            chances = scores.class_chances(self._model, self._rows(Labelled(text, 0)), "cpu")[0]
            ranked = sorted(zip(labels, chances.tolist(), strict=True), key=lambda pair: -pair[1])
            return Answer(tuple(ranked), (), text)
        if self._request.task == "entities":
            words = words_of(text)
            if not words:
                raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
            ((tags, sure),) = scores.word_tags(self._model, self._rows(Tagged(words, ("O",) * len(words))), "cpu")
            places, at = [], 0
            for word in words:
                at = text.index(word, at)
                places.append((at, at + len(word)))
                at += len(word)
            return Answer(
                (),
                tuple(
                    (places[start][0], places[end - 1][1], kind, sum(sure[start:end]) / (end - start))
                    for kind, start, end in spans([labels[tag] for tag in tags])
                ),
                text,
            )
        none = any(isinstance(example, Question) and not example.answers for example in self._data.train)
        rows = self._rows(Question(text, context, ()))
        ((found, chance),) = scores.answers(self._model, rows, [context], "cpu", may_be_none=none)
        start = context.find(found) if found else -1
        return Answer((), ((start, start + len(found), "", chance),) if start >= 0 else (), context)
