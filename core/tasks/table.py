"""Tables that visitors bring: CSV in whatever encoding and with whatever separator, or plain lines."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.tasks.common import MAX_CHARACTERS

MAX_ROWS: Final = 2000
MAX_BYTES: Final = 5 * 2**20
_SEPARATORS: Final = (",", ";", "\t", "|")
# Rows by which separator and header are judged.
_SAMPLE: Final = 60
_MAGIC: Final = (
    b"PK\x03\x04",
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x1f\x8b",
    b"\xd0\xcf\x11\xe0",
    b"SQLite",
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
    }
)


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds.

    Attributes:
        columns: names, all different.
        rows: each with one cell a column.
        encoding: how it was read, such as ``"utf-8"``.
        separator: what stood between cells; empty for plain lines.
        header: the first row was taken for the columns' names.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    encoding: str
    separator: str
    header: bool

    def column(self, name: str) -> list[str]:
        """The cells of a column, in order."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def likeliest_text(self) -> str:
        """The column with the longest cells, which most probably holds the texts."""
        return max(self.columns, key=lambda name: sum(map(len, self.column(name))))


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
    if data.startswith(_MAGIC):
        raise _not_text()
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


def _not_text() -> InputInvalid:
    return InputInvalid(
        _("El archivo no es de texto. Si es una hoja de cálculo, guárdala como CSV y vuelve a subirla.")
    )


def _parse(text: str, separator: str) -> list[list[str]]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return [row for row in reader if any(cell.strip() for cell in row)]


def find_separator(text: str) -> str:
    """What separates the cells: the candidate that gives the same number of columns, above one, most often."""
    best, value = "", 0.0
    for separator in _SEPARATORS:
        rows = _parse(text, separator)[:_SAMPLE]
        sizes = [len(row) for row in rows]
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


def read_table(data: bytes, name: str = "", *, header: bool | None = None) -> Table:
    """Reads a file that a visitor uploaded, or lines that were pasted.

    Args:
        data: the file.
        name: its name; a ``.txt`` is read as one text a line.
        header: whether the first row names the columns; ``None`` to find out.

    Raises:
        InputInvalid: it is empty, or no text.
        InputTooLong: over 5 MiB, more than 2,000 rows, or a cell of more than 50,000 characters.
    """
    if len(data) > MAX_BYTES:
        raise InputTooLong(
            _("El archivo pesa {size} MiB y aquí caben {limit}. Divídelo en partes.").format(
                size=format_number(len(data) / 2**20, 1), limit=format_number(MAX_BYTES / 2**20)
            )
        )
    text, encoding = decode(data)
    plain = name.lower().endswith(".txt")
    separator = "" if plain else find_separator(text)
    try:
        if separator:
            rows = _parse(text, separator)
        elif plain or '"' not in text:
            rows = [[line] for line in text.splitlines() if line.strip()]
        else:
            rows = [[",".join(row)] for row in _parse(text, ",")]
    except csv.Error as error:
        raise InputInvalid(
            _(
                "El archivo no se puede leer como tabla: alguna comilla queda abierta. Ábrelo y guárdalo de nuevo como "
                "CSV."
            )
        ) from error
    if not rows:
        raise InputInvalid(_("El archivo está vacío: no hay ni una fila con texto."))
    named = looks_like_header(rows) if header is None else header
    body = rows[1:] if named else rows
    if not body:
        raise InputInvalid(_("El archivo solo tiene la fila de títulos: faltan los textos."))
    if len(body) > MAX_ROWS:
        raise InputTooLong(
            _("La tabla tiene {n} filas y aquí caben {limit}. Divídela en partes.").format(
                n=format_number(len(body)), limit=format_number(MAX_ROWS)
            )
        )
    width = max(map(len, rows))
    filled = [(*row, *[""] * (width - len(row))) for row in body]
    for number, row in enumerate(filled, 2 if named else 1):
        if max(map(len, row)) > MAX_CHARACTERS:
            raise InputTooLong(
                _("En la fila {row} hay una celda de más de {limit} caracteres. Acórtala.").format(
                    row=format_number(number), limit=format_number(MAX_CHARACTERS)
                )
            )
    return Table(_names(rows[0] if named else [], width), tuple(filled), encoding, separator, named)
