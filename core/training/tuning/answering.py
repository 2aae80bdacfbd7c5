"""A finished model that answers one text at a time: the box to try it in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.training.data import DataSet, Labelled, Question, Tagged, spans
from core.training.tuning import scores
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


class Asking:
    """The task of answering with a run's model; requests are (text, context), the context for questions alone.

    Unlike the tasks of the page Tareas it reads a text just as the run read its examples: words, window, labels.

    Args:
        request: the run's.
        data: the run's; its labels are asked.
    """

    name = "tuned"
    attention = False
    max_batch = 8

    def __init__(self, request: TuningRequest, data: DataSet) -> None:
        self._request = request
        self._data = data

    def run(self, bundle: ModelBundle, requests: Sequence[tuple[str, str]]) -> list[Answer]:
        """Asks the model, one text after another.

        Raises:
            InputInvalid: there is nothing to read.
        """
        for text, context in requests:
            if not text.strip() or (self._request.task == "questions" and not context.strip()):
                raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
        return [self._answer(bundle, text, context) for text, context in requests]

    def _rows(self, bundle: ModelBundle, example: Any) -> list[dict[str, Any]]:
        with bundle.lock:
            return rows_of(self._data, [example], bundle.tokenizer, self._request.max_length, every=True)

    def _answer(self, bundle: ModelBundle, text: str, context: str) -> Answer:
        labels, device = self._data.labels, bundle.device.name
        if self._request.task == "classification":
            chances = scores.class_chances(bundle.model, self._rows(bundle, Labelled(text, 0)), device)[0]
            ranked = sorted(zip(labels, chances.tolist(), strict=True), key=lambda pair: -pair[1])
            return Answer(tuple(ranked), (), text)
        if self._request.task == "entities":
            words = words_of(text)
            if not words:
                raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
            rows = self._rows(bundle, Tagged(words, ("O",) * len(words)))
            ((tags, sure),) = scores.word_tags(bundle.model, rows, device)
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
        rows = self._rows(bundle, Question(text, context, ()))
        ((found, chance),) = scores.answers(bundle.model, rows, [context], device, may_be_none=none)
        start = context.find(found) if found else -1
        return Answer((), ((start, start + len(found), "", chance),) if start >= 0 else (), context)
