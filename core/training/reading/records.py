"""Files of examples as rows and columns, whatever their layout: CSV, TSV, JSON, JSON lines, SQuAD, CoNLL."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from core.errors import InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.tables import Limits, check_size, decode, read_table
from core.training.data import shortened
from core.training.reading.problems import DataInvalid, Unit, place

Layout = Literal["table", "json", "jsonl", "squad", "conll"]

MAX_BYTES: Final = 10 * 2**20
MAX_ROWS: Final = 100_000
MAX_CHARACTERS: Final = 20_000
LIMITS: Final = Limits(MAX_ROWS, MAX_BYTES, MAX_CHARACTERS)

#: What the uploader lets through.
EXTENSIONS: Final = ("csv", "tsv", "txt", "json", "jsonl", "ndjson", "conll", "conllu", "iob", "iob2", "bio")
_CONLL: Final = (".conll", ".conllu", ".iob", ".iob2", ".bio")
_JSON: Final = (".json", ".jsonl", ".ndjson")

TAG: Final = re.compile(r"O|[A-Za-z]-\S+")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SAMPLE_LINES: Final = 200


@dataclass(frozen=True)
class Records:
    """What a file holds.

    Attributes:
        name: the file's, for messages.
        layout: how it was written.
        columns: names, all different.
        rows: each with one cell a column: text, of JSON any value, of CoNLL a sentence's cells as a tuple.
        numbers: of each row, where it is in the file: row of the table, line, or item, from 1.
        unit: what ``numbers`` counts.
        encoding: as Python calls it.
        separator: between the cells of a table; empty elsewhere.
        token_lines: of CoNLL, the line of each word of each sentence; empty elsewhere.
        sample: where the encoding was guessed, a stretch to check it by.
        guessed: the encoding was guessed.
    """

    name: str
    layout: Layout
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    numbers: tuple[int, ...]
    unit: Unit
    encoding: str = "utf-8"
    separator: str = ""
    token_lines: tuple[tuple[int, ...], ...] = ()
    sample: str = ""
    guessed: bool = False

    def column(self, name: str) -> list[Any]:
        """The cells of a column, in order."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]


def clean(text: str) -> str:
    """Text without control characters and lone surrogates; every character keeps its place."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


def shown(cell: Any) -> str:
    """A cell as a person reads it in a preview."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, list | tuple) and all(isinstance(item, str) for item in cell):
        return " ".join(cell)
    return clean(json.dumps(cell, ensure_ascii=False))


def _sample(text: str) -> str:
    found = re.search(r"\S*[^\x00-\x7f]\S*", text)
    return shortened(clean(found[0]), 40) if found else ""


def _check_rows(count: int) -> None:
    if count > MAX_ROWS:
        raise InputTooLong(
            _("La tabla tiene {n} filas y aquí caben {limit}. Divídela en partes.").format(
                n=format_number(count), limit=format_number(MAX_ROWS)
            )
        )


def _check_cells(rows: Sequence[Sequence[Any]], numbers: Sequence[int], unit: Unit) -> None:
    for number, row in zip(numbers, rows, strict=True):
        if any(len(cell) > MAX_CHARACTERS for cell in row if isinstance(cell, str)):
            raise InputTooLong(
                _("{where}: hay un texto de más de {limit} caracteres. Acórtalo.").format(
                    where=place(unit, [number]), limit=format_number(MAX_CHARACTERS)
                )
            )


# --- JSON -------------------------------------------------------------------------------------------------


def _as_rows(items: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """Columns in the order in which they first appear, and rows; a key that an item lacks is ``None``."""
    listed = list(items)
    columns = tuple(dict.fromkeys(key for item in listed for key in item))
    return columns, tuple(tuple(_tidy(item.get(column)) for column in columns) for item in listed)


def _tidy(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return {key: _tidy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _squad(articles: Sequence[Any]) -> list[dict[str, Any]]:
    """The questions of SQuAD's own layout (Rajpurkar et al. 2016, 2018), one row each.

    Raises:
        DataInvalid: an article without paragraphs, or a paragraph without context.
    """
    found = []
    for number, article in enumerate(articles, 1):
        try:
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    answers = [] if asked.get("is_impossible") else asked.get("answers", [])
                    row = {"question": asked["question"], "context": paragraph["context"], "answers": answers}
                    found.append({"title": article.get("title", ""), **row})
        except (KeyError, TypeError, AttributeError):
            raise DataInvalid(
                "layout",
                _(
                    "El artículo {n} no sigue el formato de SQuAD: cada uno lleva «paragraphs»; cada párrafo, «context»"
                    " y «qas»; cada pregunta, «question» y «answers»."
                ).format(n=format_number(number)),
                [number],
            ) from None
    return found


def _not_objects(number: int, unit: Unit) -> DataInvalid:
    return DataInvalid(
        "json",
        _('{where}: no es un objeto JSON. Cada ejemplo se escribe así: {{"text": "…", "label": "…"}}.').format(
            where=place(unit, [number])
        ),
        [number],
    )


def _broken_json(line: int, column: int) -> str:
    return _(
        "{where}, carácter {column}: desde ahí no es JSON válido. Revisa comillas, comas, corchetes y llaves."
    ).format(where=place("line", [line]), column=format_number(column))


def _from_json(value: Any, name: str) -> Records:
    """A whole JSON document: a list of objects, SQuAD, ``{"data": […]}``, or ``{"train": […], "test": […]}``.

    Raises:
        DataInvalid: it is none of these.
    """
    layout: Layout = "json"
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
        if value and isinstance(value[0], dict) and "paragraphs" in value[0]:
            value, layout = _squad(value), "squad"
    elif isinstance(value, dict) and value and all(isinstance(part, list) for part in value.values()):
        parts = value.items()
        lengths = {len(part) for part in value.values()}
        if all(isinstance(item, dict) for _part, items in parts for item in items):
            value = [{**item, "split": part} for part, items in parts for item in items]
        elif len(lengths) == 1:  # one list a column
            value = [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    elif isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise _not_objects(1, "item")
    _check_rows(len(value))
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict):
            raise _not_objects(number, "item")
    columns, rows = _as_rows(value)
    return Records(name, layout, columns, rows, tuple(range(1, len(rows) + 1)), "item")


def _from_json_lines(text: str, name: str) -> Records:
    """One object a line.

    Raises:
        DataInvalid: a line that is none; the message says which.
    """
    items, numbers = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataInvalid(
                "json",
                _broken_json(number, getattr(error, "colno", 1)),
                [number],
            ) from None
        if not isinstance(item, dict):
            raise _not_objects(number, "line")
        items.append(item)
        numbers.append(number)
    _check_rows(len(items))
    columns, rows = _as_rows(items)
    return Records(name, "jsonl", columns, rows, tuple(numbers), "line")


def _read_json(text: str, name: str) -> Records:
    try:
        value = json.loads(text)
    except RecursionError:
        raise DataInvalid("json", _("El JSON tiene demasiados niveles, unos dentro de otros.")) from None
    except ValueError as error:
        first = text.lstrip().partition("\n")[0]
        if text.lstrip().startswith("{") and first.rstrip().endswith("}"):
            return _from_json_lines(text, name)
        raise DataInvalid(
            "json",
            _broken_json(getattr(error, "lineno", 1), getattr(error, "colno", 1)),
            [getattr(error, "lineno", 1)],
        ) from None
    # A file of lines may have only one.
    lines = name.lower().endswith((".jsonl", ".ndjson")) and isinstance(value, dict)
    return _from_json_lines(text, name) if lines else _from_json(value, name)


# --- CoNLL ------------------------------------------------------------------------------------------------


def _fields(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else line.split()


def looks_like_conll(text: str) -> bool:
    """Whether lines are words with tags: columns by tabs or spaces, the last of nearly all ``O`` or ``B-…``."""
    lines = [line for line in text.split("\n")[:_SAMPLE_LINES] if line.strip() and not line.startswith("#")]
    parts = [_fields(line) for line in lines]
    tagged = sum(len(part) > 1 and TAG.fullmatch(part[-1]) is not None for part in parts)
    return len(lines) > 1 and tagged >= 0.6 * len(lines)


def _from_conll(text: str, name: str) -> Records:
    """Sentences of one word a line, a blank line between them.

    Raises:
        DataInvalid: a line has another number of columns than the others.
        InputTooLong: more than ``MAX_ROWS`` sentences.
    """
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1)]
    usual = Counter(len(_fields(line)) for _number, line in lines if line.strip() and not line.startswith("#"))
    width = usual.most_common(1)[0][0] if usual else 0
    sentences: list[list[tuple[int, list[str]]]] = [[]]
    for number, line in lines:
        parts = _fields(line)
        if not line.strip() or line.startswith("-DOCSTART-"):
            sentences.append([])
        elif line.startswith("#") and not (len(parts) == width and TAG.fullmatch(parts[-1])):
            continue  # a comment, unless "#" is the word that is tagged
        elif len(parts) != width:
            raise DataInvalid(
                "layout",
                _(
                    "La línea {line} tiene otro número de columnas ({n}) que las demás ({usual}). Cada línea lleva una "
                    "palabra y su etiqueta; "
                    "entre frase y frase va una línea en blanco."
                ).format(line=format_number(number), n=len(parts), usual=width),
                [number],
            )
        elif not re.fullmatch(r"\d+[-.]\d+", parts[0]):  # CoNLL-U repeats there what the next lines take apart
            sentences[-1].append((number, [clean(part) for part in parts]))
    filled = [own for own in sentences if own]
    _check_rows(len(filled))
    columns = tuple(_("columna {n}").format(n=index + 1) for index in range(width))
    rows = tuple(tuple(zip(*(cells for _number, cells in own), strict=True)) for own in filled)
    token_lines = tuple(tuple(number for number, _cells in own) for own in filled)
    numbers = tuple(own[0] for own in token_lines)
    return Records(name, "conll", columns, rows, numbers, "line", token_lines=token_lines)


# --- any file ---------------------------------------------------------------------------------------------


def read_upload(data: bytes, name: str) -> Records:
    """Reads a file that a visitor uploaded.

    What it is is told by its content and, where that leaves a doubt, by its name. Nothing is unpacked or run.

    Args:
        data: the file, up to ``MAX_BYTES``.
        name: its name.

    Raises:
        InputTooLong: over 10 MiB, 100,000 rows, or 20,000 characters in a cell.
        InputInvalid: it is empty, or no text (a zip renamed ``.csv`` …).
        DataInvalid: broken JSON or CoNLL; the message says where.
    """
    check_size(len(data), MAX_BYTES)
    name = shortened(clean(name), 60)
    text, encoding = decode(data)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.strip():
        raise DataInvalid("no_rows", _("El archivo está vacío: no hay ni una fila con texto."))
    lower = name.lower()
    start = text.lstrip()[:2].replace(" ", "")
    if lower.endswith(_JSON) or start.startswith('{"') or start in {"[{", "{\n", "[\n"}:
        found = _read_json(text, name)
        _check_cells(found.rows, found.numbers, found.unit)
    elif lower.endswith(_CONLL) or (not lower.endswith(".csv") and looks_like_conll(text)):
        found = _from_conll(text, name)
    else:
        # Without its name: a .txt of a table is a table here.
        table = read_table(data, limits=LIMITS)
        rows = tuple(tuple(clean(cell) for cell in row) for row in table.rows)
        found = Records(name, "table", table.columns, rows, table.numbers, "row", separator=table.separator)
    if not found.rows:
        raise DataInvalid("no_rows", _("El archivo está vacío: no hay ni una fila con texto."))
    guessed = encoding in {"cp1252", "latin-1", "utf-16-le", "utf-16-be"}
    return replace(found, encoding=encoding, guessed=guessed, sample=_sample(text) if guessed else "")
