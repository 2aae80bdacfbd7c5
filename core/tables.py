"""Tables that visitors bring: CSV in whatever encoding and with whatever separator, or plain lines."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _

MAX_ROWS: Final = 2000
MAX_BYTES: Final = 5 * 2**20
MAX_CHARACTERS: Final = 50_000
_SEPARATORS: Final = (",", ";", "\t", "|")
# Rows by which separator and header are judged.
_SAMPLE: Final = 60
# First bytes of what is no text, and what it is. Nothing is ever unpacked: a small zip may hold terabytes.
_SIGNATURES: Final = (
    (b"PK\x03\x04", "ZIP/XLSX/DOCX/ODS"),
    (b"PK\x05\x06", "ZIP"),
    (b"%PDF", "PDF"),
    (b"\xd0\xcf\x11\xe0", "XLS/DOC"),
    (b"\x1f\x8b", "GZIP"),
    (b"BZh", "BZIP2"),
    (b"\xfd7zXZ\x00", "XZ"),
    (b"7z\xbc\xaf\x27\x1c", "7Z"),
    (b"Rar!", "RAR"),
    (b"\x28\xb5\x2f\xfd", "ZSTD"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"SQLite format 3", "SQLite"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"{\\rtf", "RTF"),
)
# First rows of files that people have: one of these words in it, and it is a header.
_HEADERS: Final = frozenset(
    {
        "text",
        "texto",
        "frase",
        "sentence",
        "comentario",
        "comment",
        "review",
        "reseña",
        "opinion",
        "opinión",
        "tweet",
        "mensaje",
        "message",
        "contenido",
        "content",
        "id",
        "label",
        "etiqueta",
        "title",
        "título",
        "fecha",
        "date",
        "autor",
        "author",
        "clase",
        "class",
        "categoria",
        "categoría",
        "category",
        "intent",
        "intención",
        "intencion",
        "sentiment",
        "sentimiento",
        "split",
        "tags",
        "etiquetas",
        "palabras",
        "words",
        "tokens",
        "token",
        "word",
        "palabra",
        "tag",
        "sentence_id",
        "sentence #",
        "pregunta",
        "question",
        "contexto",
        "context",
        "respuesta",
        "answer",
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a table may hold.

    Attributes:
        rows: below the header.
        bytes: of the file.
        characters: of a cell.
    """

    rows: int = MAX_ROWS
    bytes: int = MAX_BYTES
    characters: int = MAX_CHARACTERS


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds.

    Attributes:
        columns: names, all different.
        rows: each with one cell a column.
        encoding: how it was read, such as ``"utf-8"``.
        separator: what stood between cells; empty for plain lines.
        header: the first row was taken for the columns' names.
        numbers: of each row, which one it is in the file as a spreadsheet counts them, from 1, empty ones included.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    encoding: str
    separator: str
    header: bool
    numbers: tuple[int, ...]

    def column(self, name: str) -> list[str]:
        """The cells of a column, in order."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def likeliest_text(self) -> str:
        """The column with the longest cells, which most probably holds the texts."""
        return max(self.columns, key=lambda name: sum(map(len, self.column(name))))


def check_size(size: int, limit: int) -> None:
    """Refuses a file by its size, before anybody reads it.

    Args:
        size: in bytes.
        limit: in bytes.

    Raises:
        InputTooLong: it is larger.
    """
    if size > limit:
        raise InputTooLong(
            _("El archivo pesa {size} MiB y aquí caben {limit}. Divídelo en partes.").format(
                size=format_number(size / 2**20, 1), limit=format_number(limit / 2**20)
            )
        )


def decode(data: bytes) -> tuple[str, str]:
    """Text and encoding of a file.

    Raises:
        InputInvalid: it isn't text.
    """
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(name), name.removesuffix("-sig")
            except UnicodeDecodeError:
                break
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            raise _not_text(kind)
    if b"\x00" in data:
        # UTF-16 without its mark: in European text every second byte is zero.
        for name, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
            if len(data) % 2 == 0 and zeros.count(0) > 0.6 * len(zeros):
                return data.decode(name, errors="replace"), name
        raise _not_text()
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    if sum(byte < 32 and byte not in b"\t\n\r\x0c" for byte in data) > 0.01 * len(data):
        raise _not_text()
    try:
        # What spreadsheets write on Windows; where it has no letter, Latin-1 has a control character.
        return data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def _not_text(kind: str = "") -> InputInvalid:
    advice = _("Si está comprimido, descomprímelo; si es una hoja de cálculo, guárdala como CSV y vuelve a subirla.")
    found = (
        _("El archivo no es de texto: por sus primeros bytes parece {kind}.")
        if kind
        else _("El archivo no es de texto.")
    )
    return InputInvalid(found.format(kind=kind) + " " + advice)


def _parse(text: str, separator: str, most: int | None = None) -> list[tuple[int, list[str]]]:
    """Rows that aren't empty, each with its number in the file."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    filled = ((number, row) for number, row in enumerate(reader, 1) if any(cell.strip() for cell in row))
    return list(islice(filled, most))


def find_separator(text: str) -> str:
    """What separates the cells: the candidate that gives the same number of columns, above one, most often."""
    best, value = "", 0.0
    for separator in _SEPARATORS:
        sizes = [len(row) for _number, row in _parse(text, separator, _SAMPLE)]
        if not sizes or max(sizes) < 2:
            continue
        usual = max(set(sizes), key=lambda size: (sizes.count(size), size))
        share = sizes.count(usual) / len(sizes)
        # In prose, commas come at random: a table's rows agree. More columns decide between equals.
        if usual > 1 and share >= 0.8 and share + usual / 1000 > value:
            best, value = separator, share + usual / 1000
    return best


def looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: short, filled, different, without numbers, unlike what follows."""
    first = [cell.strip() for cell in rows[0]]
    if any(cell.lower() in _HEADERS for cell in first):
        return True
    if len(rows) < 2 or len(first) < 2 or len(set(first)) < len(first):
        return False
    if any(not cell or len(cell) > 40 or cell.replace(".", "").replace(",", "").isdigit() for cell in first):
        return False
    below = rows[1:_SAMPLE]
    longest = max(sum(len(row[i]) for row in below if i < len(row)) / len(below) for i in range(len(first)))
    return longest > 2 * max(map(len, first))


def _names(raw: Sequence[str], width: int) -> tuple[str, ...]:
    found: list[str] = []
    for index in range(width):
        name = (raw[index].strip() if index < len(raw) else "") or _("columna {n}").format(n=index + 1)
        base, again = name, 2
        while name in found:
            name, again = f"{base} ({again})", again + 1
        found.append(name)
    return tuple(found)


def read_table(data: bytes, name: str = "", *, header: bool | None = None, limits: Limits | None = None) -> Table:
    """Reads a file that a visitor uploaded, or lines that were pasted.

    Args:
        data: the file.
        name: its name; a ``.txt`` is read as one text a line.
        header: whether the first row names the columns; ``None`` to find out.
        limits: how much it may hold; by default 2,000 rows, 5 MiB, and 50,000 characters a cell.

    Raises:
        InputInvalid: it is empty, or no text.
        InputTooLong: over one of the limits.
    """
    limits = limits or Limits()
    check_size(len(data), limits.bytes)
    text, encoding = decode(data)
    plain = name.lower().endswith(".txt")
    separator = "" if plain else find_separator(text)
    try:
        if separator:
            found = _parse(text, separator)
        elif plain or '"' not in text:
            found = [(number, [line]) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        else:
            found = [(number, [",".join(row)]) for number, row in _parse(text, ",")]
    except csv.Error as error:
        raise InputInvalid(
            _(
                "El archivo no se puede leer como tabla: alguna comilla queda abierta. Ábrelo y guárdalo de nuevo como "
                "CSV."
            )
        ) from error
    if not found:
        raise InputInvalid(_("El archivo está vacío: no hay ni una fila con texto."))
    rows = [row for _number, row in found]
    named = looks_like_header(rows[:_SAMPLE]) if header is None else header
    body = found[1:] if named else found
    if not body:
        raise InputInvalid(_("El archivo solo tiene la fila de títulos: faltan los textos."))
    if len(body) > limits.rows:
        raise InputTooLong(
            _("La tabla tiene {n} filas y aquí caben {limit}. Divídela en partes.").format(
                n=format_number(len(body)), limit=format_number(limits.rows)
            )
        )
    width = max(map(len, rows))
    filled = [(*row, *[""] * (width - len(row))) for _number, row in body]
    numbers = tuple(number for number, _row in body)
    for number, row in zip(numbers, filled, strict=True):
        if max(map(len, row)) > limits.characters:
            raise InputTooLong(
                _("En la fila {row} hay una celda de más de {limit} caracteres. Acórtala.").format(
                    row=format_number(number), limit=format_number(limits.characters)
                )
            )
    return Table(_names(rows[0] if named else [], width), tuple(filled), encoding, separator, named, numbers)
