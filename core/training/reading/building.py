"""Rows become examples, and examples a data set; every row that can't is told of."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from core.i18n import format_number, ngettext
from core.i18n import gettext as _
from core.training import slots
from core.training.data import (
    OUTSIDE,
    DataSet,
    Example,
    Labelled,
    Question,
    Tagged,
    TuningTask,
    spans,
    split,
    tag_list,
)
from core.training.reading.mapping import TEST_WORDS, TRAIN_WORDS, Columns, check_columns
from core.training.reading.problems import (
    DataInvalid,
    GuessedEncoding,
    LeftOut,
    Notice,
    Reason,
    RepairedTags,
    RowProblem,
    Unit,
    refuse,
)
from core.training.reading.records import Records, shown

# A column with more different values than this is no column of labels.
MAX_CLASSES: Final = 200
# Examples under which there is nothing to learn from and something to measure on.
MIN_EXAMPLES: Final = 4
_EMPTY: Final = frozenset({"", "null", "none", "nan", "n/a"})


@dataclass(frozen=True, slots=True)
class Built:
    """A data set, and what was done to get it.

    Attributes:
        data: the set.
        notices: rows left out, a guessed encoding, repaired tags.
    """

    data: DataSet
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """An example of which the class isn't a number yet.

    Attributes:
        example: with label 0, if it is a text with a class.
        label: the class's name; empty for other tasks.
        part: ``"train"``, ``"test"``, or empty where the file doesn't say.
        repaired: tags that were read as ``B-``.
    """

    example: Example
    label: str = ""
    part: str = ""
    repaired: int = 0


class _Bad(Exception):
    """A row that makes no example."""

    def __init__(self, reason: Reason, detail: str = "", number: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.number = number


Cells = dict[str, Any]


def _text(cell: Any) -> str:
    found = shown(cell)
    if not found.strip():
        raise _Bad("empty_text")
    return found


def _label(cell: Any) -> str:
    if isinstance(cell, list | tuple):
        if len(cell) > 1:
            raise _Bad("several_labels", shown(cell))
        cell = cell[0] if cell else None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    found = " ".join(shown(cell).split())
    if not found:
        raise _Bad("no_label")
    return found


def _part(cell: Any) -> str:
    found = shown(cell).strip().lower()
    if not found or found in TRAIN_WORDS:
        return "train"
    if found in TEST_WORDS:
        return "test"
    raise _Bad("unknown_part", found)


def _classification(cells: Cells, _line: Callable[[int], int], _repair: bool) -> _Row:
    return _Row(Labelled(_text(cells["text"]).strip(), 0), _label(cells["label"]))


# --- entities ---------------------------------------------------------------------------------------------


def _sequence(cell: Any) -> list[str]:
    """Words of a cell: a list as it is, a text at its spaces, or a list that somebody wrote into a CSV."""
    if isinstance(cell, str):
        if cell.lstrip().startswith('["') and cell.rstrip().endswith("]"):
            with suppress(ValueError):
                return [str(item) for item in json.loads(cell)]
        return cell.split()
    return [shown(item) for item in cell] if isinstance(cell, list | tuple) else []


def check_tags(tags: Sequence[str], line: Callable[[int], int], repair: bool) -> tuple[list[str], int]:
    """IOB2 tags as they should be.

    Args:
        tags: as written.
        line: index of a tag → where it is, for the message.
        repair: read an ``I-`` that begins an entity as ``B-``.

    Returns:
        The tags, and how many were repaired.
    """
    found: list[str] = []
    repaired = 0
    for index, written in enumerate(tags):
        prefix, dash, kind = written.partition("-")
        if written.upper() == OUTSIDE:
            found.append(OUTSIDE)
        elif prefix in {"B", "I"} and dash and kind and not kind.isspace():
            previous = found[-1] if found else OUTSIDE
            if prefix == "I" and previous[2:] != kind:
                if not repair:
                    raise _Bad("tag_orphan", written, line(index))
                prefix, repaired = "B", repaired + 1
            found.append(f"{prefix}-{kind}")
        else:
            raise _Bad("tag_unknown", written, line(index))
    return found, repaired


def _entities(cells: Cells, line: Callable[[int], int], repair: bool) -> _Row:
    if cells.get("tags") is None and "tags" not in cells:
        try:
            text, marked = slots.parse(_text(cells["words"]))
        except ValueError as error:
            raise _Bad("bad_mark", str(error)) from None
        tagged = slots.tag(text, marked)
        if not tagged.words:
            raise _Bad("empty_text")
        return _Row(tagged)
    words, tags = _sequence(cells["words"]), _sequence(cells["tags"])
    if not words or not any(word.strip() for word in words):
        raise _Bad("empty_text")
    if len(words) != len(tags):
        counts = _("{words} palabras y {tags} etiquetas").format(
            words=format_number(len(words)), tags=format_number(len(tags))
        )
        raise _Bad("tag_count", counts)
    checked, repaired = check_tags(tags, line, repair)
    return _Row(Tagged(tuple(words), tuple(checked)), repaired=repaired)


def _by_sentence(records: Records, columns: Columns) -> Records:
    """A table of one word a row as one of a sentence a row; a sentence's number may stand on its first row only."""
    kept = [name for field in ("words", "tags", "split") if (name := columns.get(field)) is not None]
    current: Any = None
    sentences: list[list[int]] = []
    for index, cell in enumerate(records.column(columns["sentence"])):
        number = shown(cell).strip()
        if not sentences or (number and number != current):
            sentences.append([])
            current = number
        sentences[-1].append(index)
    whole = {name: records.column(name) for name in kept}
    rows = []
    for own in sentences:
        cells = {name: tuple(shown(whole[name][index]).strip() for index in own) for name in kept}
        if (part := columns.get("split")) is not None:
            cells[part] = whole[part][own[0]]
        rows.append(tuple(cells[name] for name in kept))
    lines = tuple(tuple(records.numbers[index] for index in own) for own in sentences)
    return replace(
        records, columns=tuple(kept), rows=tuple(rows), numbers=tuple(own[0] for own in lines), token_lines=lines
    )


# --- questions --------------------------------------------------------------------------------------------


def _integer(cell: Any) -> int | None:
    try:
        return int(float(cell)) if cell is not None and shown(cell).strip() else None
    except (TypeError, ValueError, OverflowError):
        return None


def _answer_list(cell: Any, start: Any) -> Iterator[tuple[str, int | None]]:
    """Answers with their position, where it is given: SQuAD's list, Hugging Face's two lists, or a text."""
    if isinstance(cell, str) and cell.lstrip().startswith(("[", "{")):
        with suppress(ValueError):
            cell = json.loads(cell)
    if isinstance(cell, dict) and isinstance(cell.get("text"), list):
        starts = cell.get("answer_start") or cell.get("start") or []
        starts = starts if isinstance(starts, list) else [starts]
        for index, text in enumerate(cell["text"]):
            yield shown(text), _integer(starts[index]) if index < len(starts) else None
    elif isinstance(cell, list):
        for item in cell:
            if isinstance(item, dict):
                yield shown(item.get("text")), _integer(item.get("answer_start", item.get("start")))
            else:
                yield shown(item), None
    elif isinstance(cell, dict):
        yield shown(cell.get("text")), _integer(cell.get("answer_start", cell.get("start")))
    elif cell is not None and shown(cell).strip().lower() not in _EMPTY:
        yield shown(cell), _integer(start)


def _questions(cells: Cells, _line: Callable[[int], int], _repair: bool) -> _Row:
    question, context = _text(cells["question"]).strip(), _text(cells["context"])
    answers = []
    for text, start in _answer_list(cells["answers"], cells.get("start")):
        if not text.strip():
            continue
        if start is not None and context[max(0, start) : max(0, start) + len(text)] != text:
            raise _Bad("answer_misplaced" if text in context else "answer_missing", text)
        if start is None:
            # White space around an answer is nobody's intention.
            text = text.strip()
            start = context.find(text)
            if start < 0:
                raise _Bad("answer_missing", text)
        answers.append((start, text))
    return _Row(Question(question, context, tuple(dict.fromkeys(answers)), shown(cells.get("title"))))


_MAKE: Final[dict[TuningTask, Callable[[Cells, Callable[[int], int], bool], _Row]]] = {
    "classification": _classification,
    "entities": _entities,
    "questions": _questions,
}


# --- a whole file -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Made:
    rows: list[_Row]
    problems: list[RowProblem]
    total: int
    unit: Unit


def _make(task: TuningTask, records: Records, columns: Columns, repair: bool) -> _Made:
    check_columns(task, records, columns)
    if task == "entities" and "sentence" in columns:
        records = _by_sentence(records, columns)
    wanted = [(field, records.columns.index(name)) for field, name in columns.items() if field != "sentence"]
    if "title" in records.columns:
        wanted.append(("title", records.columns.index("title")))
    rows, problems = [], []
    for index, (number, row) in enumerate(zip(records.numbers, records.rows, strict=True)):
        cells = {field: row[place] for field, place in wanted}
        lines = records.token_lines[index] if records.token_lines else ()

        def line(tag: int, lines: tuple[int, ...] = lines, number: int = number) -> int:
            return lines[tag] if tag < len(lines) else number

        try:
            made = _MAKE[task](cells, line, repair)
            if "split" in cells:
                cell = cells["split"]
                made = replace(made, part=_part(cell[0] if records.layout == "conll" else cell))
            rows.append(made)
        except _Bad as bad:
            problems.append(RowProblem(bad.number or number, bad.reason, bad.detail))
    return _Made(rows, problems, len(records.rows), records.unit)


def _check_sizes(task: TuningTask, train: Sequence[_Row], test: Sequence[_Row]) -> None:
    count = len(train) + len(test)
    if count < MIN_EXAMPLES:
        raise DataInvalid(
            "too_few",
            ngettext(
                "Hay {n} ejemplo y hacen falta al menos {least}: unos para aprender y otros para probar. Con unas "
                "decenas por clase ya se nota.",
                "Hay {n} ejemplos y hacen falta al menos {least}: unos para aprender y otros para probar. Con unas "
                "decenas por clase ya se nota.",
                count,
            ).format(n=count, least=MIN_EXAMPLES),
        )
    if not train:
        raise DataInvalid("too_few", _("Todas las filas son de prueba: no queda ninguna para aprender."))
    everything = [*train, *test]
    if task == "entities" and all(tag == OUTSIDE for row in train for tag in _tags(row.example)):
        raise DataInvalid(
            "no_entities", _("Ninguna palabra lleva etiqueta de entidad: todas son O. Revisa la columna de etiquetas.")
        )
    if task == "questions" and not any(isinstance(row.example, Question) and row.example.answers for row in train):
        raise DataInvalid("no_answers", _("Ninguna pregunta tiene respuesta. Revisa qué columna es la de respuestas."))
    if task == "classification":
        _check_classes(everything, train)


def _tags(example: Example) -> tuple[str, ...]:
    return example.tags if isinstance(example, Tagged) else ()


def _check_classes(everything: Sequence[_Row], train: Sequence[_Row]) -> None:
    classes = {row.label for row in everything}
    if len(classes) == 1:
        raise DataInvalid(
            "one_class",
            _(
                "Todos los ejemplos tienen la misma etiqueta, «{label}»: no hay nada que distinguir. Añade ejemplos de "
                "otra clase, o mira si la columna elegida es la de etiquetas."
            ).format(label=next(iter(classes))),
        )
    # Ids or texts instead of labels: nearly every row has its own.
    if len(classes) > MAX_CLASSES or (len(everything) >= 20 and len(classes) > len(everything) / 2):
        raise DataInvalid(
            "too_many_classes",
            _(
                "La columna de etiquetas tiene {n} valores distintos en {rows} filas: no parece de etiquetas (caben "
                "{most}). Elige otra."
            ).format(n=format_number(len(classes)), rows=format_number(len(everything)), most=MAX_CLASSES),
        )


def _check_test_labels(names: Sequence[str], only: set[str]) -> None:
    if only:
        listed = ", ".join(f"«{name}»" for name in names if name in only)
        raise DataInvalid(
            "test_only",
            _(
                "Hay etiquetas que solo están en la prueba: {labels}. Nadie aprende lo que nunca ve: añade "
                "ejemplos suyos para aprender, o quítalas de la prueba."
            ).format(labels=listed),
        )


def build(
    task: TuningTask,
    records: Records,
    columns: Columns,
    *,
    test: Records | None = None,
    leave_out: bool = False,
    share: float = 0.2,
    seed: int = 0,
    language: str = "",
) -> Built:
    """Makes a data set of a file.

    What is for testing is told by the column ``split``, by a second file, or else chosen by
    ``core.training.data.split``. Rows marked validation or development count as test.

    Args:
        task: which of the three.
        records: the file.
        columns: field → column, as ``guess_columns`` gives it or the person changed it.
        test: a second file, with the same columns, to measure on.
        leave_out: rows that make no example are left out instead of refused, and tags ``I-`` that begin an entity
            are read as ``B-``.
        share: of the examples, how many are for testing where the files don't say.
        seed: decides which.
        language: ISO 639-1 code, if it is known.

    Raises:
        DataInvalid: a column is missing, or a row or the whole can't be learnt from; ``removable`` tells whether
            ``leave_out`` would help.
    """
    made = _make(task, records, columns, leave_out)
    rows = made.rows
    files = [(records, made)]
    if test is not None:
        kept = {field: name for field, name in columns.items() if field != "split"}
        absent = next((name for name in kept.values() if name not in test.columns), None)
        if absent is not None:
            raise DataInvalid(
                "columns_differ",
                _(
                    "El archivo de prueba, «{name}», no tiene la columna «{column}» que sí tiene el otro. Ponles a los "
                    "dos los mismos títulos."
                ).format(name=test.name, column=absent),
            )
        measured = _make(task, test, kept, leave_out)
        files.append((test, measured))
        rows = [*(replace(row, part="train") for row in rows), *(replace(row, part="test") for row in measured.rows)]
    if not leave_out:
        for source, own in files:
            refuse(own.problems, own.unit, source.name if test is not None else "")
    data = _data_set(task, records, rows, share, seed, language)
    return Built(data, _notices(files, rows))


def _notices(files: Sequence[tuple[Records, _Made]], rows: Sequence[_Row]) -> tuple[Notice, ...]:
    found: list[Notice] = []
    for source, made in files:
        if source.guessed:
            found.append(GuessedEncoding(source.encoding, source.sample))
        if made.problems:
            found.append(LeftOut(tuple(made.problems), made.total, made.unit))
    if repaired := sum(row.repaired for row in rows):
        found.append(RepairedTags(repaired))
    return tuple(found)


def _data_set(
    task: TuningTask, records: Records, rows: Sequence[_Row], share: float, seed: int, language: str
) -> DataSet:
    train, test = ([row for row in rows if row.part == part] for part in ("train", "test"))
    # Where the file names one part alone, there is nothing to measure on, and it is divided like any other.
    divided = bool(train and test)
    _check_sizes(task, train if test else rows, test)
    classes = sorted({row.label for row in rows}, key=lambda name: (name.casefold(), name))
    kinds = sorted({kind for row in rows for kind, _start, _end in spans(_tags(row.example))})
    if divided:
        learnt = {row.label for row in train} | {tag[2:] for row in train for tag in _tags(row.example)}
        names = classes if task == "classification" else kinds
        _check_test_labels(names, set(names) - learnt)

    def examples(part: Sequence[_Row]) -> list[Any]:
        place = {name: index for index, name in enumerate(classes)}
        return [
            replace(row.example, label=place[row.label]) if isinstance(row.example, Labelled) else row.example
            for row in part
        ]

    parts = (
        (tuple(examples(train)), tuple(examples(test))) if divided else split(examples(rows), share=share, seed=seed)
    )
    if not parts[1]:
        raise DataInvalid(
            "no_test",
            _("No queda nada con qué probar: los ejemplos de cada clase son copias de uno. Añade textos distintos.")
            if task != "questions"
            else _("No queda nada con qué probar: todas las preguntas son sobre el mismo texto. Añade otros."),
        )
    labels = {"classification": tuple(classes), "entities": tag_list(kinds), "questions": ()}[task]
    return DataSet(task, records.name, language, records.name, "", *parts, labels)
