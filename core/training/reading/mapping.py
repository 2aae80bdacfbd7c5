"""Which column is what: guessed from names and content, changed by the person."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.i18n import gettext as _
from core.training.data import TuningTask
from core.training.reading.problems import DataInvalid
from core.training.reading.records import TAG, Records


@dataclass(frozen=True, slots=True)
class Field:
    """A part of an example that some column holds.

    Attributes:
        name: such as ``"text"``.
        required: no example without it.
        names: what people call such a column, in lower case.
    """

    name: str
    required: bool
    names: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SPLIT: Final = Field("split", False, _words("split parte part set subset partition partición conjunto"))

FIELDS: Final[dict[TuningTask, tuple[Field, ...]]] = {
    "classification": (
        Field(
            "text",
            True,
            _words(
                "text texto sentence frase utterance comentario comment review reseña opinion opinión tweet mensaje "
                "message contenido content"
            ),
        ),
        Field(
            "label",
            True,
            _words(
                "label etiqueta class clase category categoría categoria intent intención intencion sentiment "
                "sentimiento target y polarity polaridad topic tema"
            ),
        ),
        _SPLIT,
    ),
    "entities": (
        Field("words", True, _words("words palabras tokens token word palabra text texto sentence frase form")),
        Field("tags", False, _words("tags ner_tags etiquetas tag ner etiqueta labels label iob bio entities")),
        Field("sentence", False, ("sentence_id", "sentence #", *_words("sentence# sent_id frase_id id_frase n_frase"))),
        _SPLIT,
    ),
    "questions": (
        Field("question", True, _words("question pregunta query consulta")),
        Field("context", True, _words("context contexto passage paragraph párrafo parrafo text texto")),
        Field("answers", True, _words("answers answer respuestas respuesta answer_text texto_respuesta")),
        Field("start", False, _words("answer_start start inicio posición posicion inicio_respuesta")),
        _SPLIT,
    ),
}

TRAIN_WORDS: Final = frozenset(_words("train training entrenamiento entrenar aprender learn"))
TEST_WORDS: Final = frozenset(
    _words("test testing prueba probar validation valid val dev eval evaluation validación validacion evaluación")
)

#: Field → column; a field that no column holds is left out.
Columns = Mapping[str, str]


def field_title(name: str) -> str:
    """What a field is called on the page."""
    return {
        "text": _("Texto"),
        "label": _("Etiqueta"),
        "words": _("Palabras"),
        "tags": _("Etiquetas IOB2"),
        "sentence": _("Número de frase"),
        "question": _("Pregunta"),
        "context": _("Contexto"),
        "answers": _("Respuesta"),
        "start": _("Inicio de la respuesta"),
        "split": _("Aprender o probar"),
    }[name]


def _length(cell: Any) -> int:
    return len(cell) if isinstance(cell, str | list | tuple) else 1


def _by_content(field: str, records: Records, free: list[str]) -> str | None:
    """The column among ``free`` that looks like what the field holds."""
    sample = {name: records.column(name)[:500] for name in free}
    if field == "tags":

        def tagged(cell: Any) -> bool:
            parts = cell.split() if isinstance(cell, str) else cell
            return isinstance(parts, list | tuple) and bool(parts) and all(TAG.fullmatch(str(part)) for part in parts)

        fitting = [name for name, cells in sample.items() if sum(map(tagged, cells)) > 0.6 * len(cells)]
        return fitting[-1] if fitting else None
    if field == "words" and records.layout == "conll":
        # The first that isn't a column of numbers.
        return next((name for name, cells in sample.items() if not all(part.isdigit() for part in cells[0])), None)
    if field in {"text", "words", "context"}:
        return max(sample, key=lambda name: sum(map(_length, sample[name])), default=None)
    if field == "label":
        different = {name: len({str(cell) for cell in cells}) for name, cells in sample.items()}
        repeated = {name: n for name, n in different.items() if 1 < n <= max(2, len(sample[name]) / 2)}
        return min(repeated, key=repeated.__getitem__, default=None)
    if field == "question":
        asking = {name: sum("?" in str(cell) for cell in cells) for name, cells in sample.items()}
        best = max(asking, key=asking.__getitem__, default=None)
        return best if best is not None and asking[best] else None
    return None


def _ordered(task: TuningTask) -> list[Field]:
    """Fields in the order in which to guess: what is told more surely first."""
    order = {"tags": 0, "label": 1, "question": 1}
    # By content the longest column is the text, so a context goes after the question was found.
    return sorted(FIELDS[task], key=lambda field: order.get(field.name, 2))


def guess_columns(task: TuningTask, records: Records) -> dict[str, str]:
    """Which column most probably holds each field of the task's examples.

    First by name, exactly; then by what is in it. No column serves two fields.
    """
    found: dict[str, str] = {}
    lower = {name.strip().lower(): name for name in records.columns}
    for field in FIELDS[task]:
        for known in field.names:
            name = lower.get(known)
            if name is not None and name not in found.values():
                found[field.name] = name
                break
    for field in _ordered(task):
        free = [name for name in records.columns if name not in found.values()]
        if field.name not in found and free:
            name = _by_content(field.name, records, free)
            if name is not None:
                found[field.name] = name
    return {field.name: found[field.name] for field in FIELDS[task] if field.name in found}


def check_columns(task: TuningTask, records: Records, columns: Columns) -> None:
    """Whether every field that an example needs has a column of its own.

    Raises:
        DataInvalid: one has none, or one column is to serve two fields.
    """
    listed = ", ".join(f"«{re.sub(r'[«»]', '', name)}»" for name in records.columns[:12])
    for field in FIELDS[task]:
        column = columns.get(field.name)
        if column is None and not field.required:
            continue
        if column is None or column not in records.columns:
            raise DataInvalid(
                "no_column",
                _(
                    "En «{name}» no hay columna para «{field}». Tiene {columns}. Elige cuál es, o añádela con su "
                    "título en la primera fila."
                ).format(name=records.name, field=field_title(field.name), columns=listed),
            )
    chosen = [column for column in columns.values() if column is not None]
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise DataInvalid(
            "same_column", _("La columna «{name}» está elegida para dos cosas. Deja una.").format(name=twice)
        )
