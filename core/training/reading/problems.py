"""What can be wrong with a file of examples, each with its message: what, where, and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from core.errors import InputInvalid
from core.i18n import format_number, ngettext
from core.i18n import gettext as _
from core.training.data import shortened

Reason = Literal[
    "json",
    "layout",
    "no_column",
    "same_column",
    "no_rows",
    "too_few",
    "one_class",
    "too_many_classes",
    "test_only",
    "no_test",
    "no_entities",
    "no_answers",
    "empty_text",
    "no_label",
    "several_labels",
    "unknown_part",
    "tag_count",
    "tag_unknown",
    "tag_orphan",
    "bad_mark",
    "answer_missing",
    "answer_misplaced",
    "columns_differ",
]
Unit = Literal["row", "line", "item"]
# Numbers of rows that a message lists.
_LISTED: Final = 5


class DataInvalid(InputInvalid):
    """A file of examples can't be learnt from as it is.

    Attributes:
        reason: what is wrong.
        numbers: rows (lines, items) at which it was found, from 1; empty where it is about the whole file.
        removable: leaving those rows out helps.
    """

    def __init__(self, reason: Reason, message: str, numbers: Sequence[int] = (), removable: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.numbers = tuple(numbers)
        self.removable = removable


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with one row.

    Attributes:
        number: which row, line or item, from 1.
        reason: what.
        detail: the tag, the answer, the counts …
    """

    number: int
    reason: Reason
    detail: str = ""


def encoding_name(encoding: str) -> str:
    """What people call an encoding."""
    return {"cp1252": "Windows-1252", "latin-1": "Latin-1"}.get(encoding, encoding.upper())


def place(unit: Unit, numbers: Sequence[int]) -> str:
    """Where something was found: "Fila 3", "Líneas 3, 8 y 20 y 12 más"."""
    shown = ", ".join(format_number(number) for number in numbers[:_LISTED])
    more = len(numbers) - _LISTED
    if unit == "row":
        text = ngettext("Fila {numbers}", "Filas {numbers}", len(numbers))
    elif unit == "line":
        text = ngettext("Línea {numbers}", "Líneas {numbers}", len(numbers))
    else:
        text = ngettext("Elemento {numbers}", "Elementos {numbers}", len(numbers))
    text = text.format(numbers=shown)
    if more > 0:
        text += " " + ngettext("y {n} más", "y {n} más", more).format(n=format_number(more))
    return text


def sentence(reason: Reason, detail: str) -> str:
    """What is wrong with a row, and what to do."""
    detail = shortened(detail, 60)
    match reason:
        case "empty_text":
            text = _("el texto está vacío. Escríbelo, o deja fuera esas filas.")
        case "no_label":
            text = _("falta la etiqueta. Ponla, o deja fuera esas filas.")
        case "several_labels":
            text = _("hay varias etiquetas en una celda ({detail}) y aquí cada texto tiene una. Deja la principal.")
        case "unknown_part":
            text = _("«{detail}» no dice si la fila es para aprender o para probar. Escribe «train» o «test».")
        case "tag_count":
            text = _("no hay una etiqueta por palabra: {detail}. Sepáralas con espacios, una por palabra.")
        case "tag_unknown":
            text = _("«{detail}» no es una etiqueta IOB2. Usa O, B-TIPO en la primera palabra e I-TIPO en las demás.")
        case "tag_orphan":
            text = _("«{detail}» continúa una entidad que no empezó. La primera palabra de cada entidad lleva B-.")
        case "bad_mark":
            text = _("no entiendo la marca «{detail}». Escríbela así: [nombre: palabras].")
        case "answer_missing":
            text = _("la respuesta «{detail}» no aparece en su contexto. Cópiala tal cual, o deja fuera esas filas.")
        case "answer_misplaced":
            text = _("la respuesta «{detail}» no está en la posición indicada. Corrige el inicio, o no lo indiques.")
        case _:
            raise ValueError(reason)
    return text.format(detail=detail)


def refuse(problems: Iterable[RowProblem], unit: Unit, file: str = "") -> None:
    """Raises what the first problem is about, with all the rows that have it; nothing where there are none.

    Args:
        problems: in the file's order.
        unit: what their numbers count.
        file: its name, where there are two.

    Raises:
        DataInvalid: there are problems.
    """
    found = list(problems)
    if not found:
        return
    first = found[0]
    same = [problem for problem in found if problem.reason == first.reason]
    numbers = sorted({problem.number for problem in same})
    where = f"{file}, {place(unit, numbers)}" if file else place(unit, numbers)
    text = f"{where}: {sentence(first.reason, first.detail)}"
    others = len({problem.number for problem in found}) - len(numbers)
    if others > 0:
        text += " " + ngettext(
            "Hay {n} fila más con otros problemas.", "Hay {n} filas más con otros problemas.", others
        ).format(n=format_number(others))
    raise DataInvalid(first.reason, text, numbers, removable=True)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that were left out because something is wrong with them.

    Attributes:
        problems: of each of them, the first.
        total: rows that the file has.
        unit: what a number counts.
    """

    problems: tuple[RowProblem, ...]
    total: int
    unit: Unit

    @property
    def message(self) -> str:
        """What was done, in the reader's language."""
        numbers = [problem.number for problem in self.problems]
        return ngettext(
            "{n} de {total} ejemplos quedó fuera por tener problemas ({where}).",
            "{n} de {total} ejemplos quedaron fuera por tener problemas ({where}).",
            len(numbers),
        ).format(
            n=format_number(len(numbers)), total=format_number(self.total), where=place(self.unit, numbers).lower()
        )


@dataclass(frozen=True, slots=True)
class GuessedEncoding:
    """The file isn't UTF-8; its encoding was guessed.

    Attributes:
        encoding: as Python calls it.
        sample: a stretch with letters outside ASCII, to check the guess by; empty where there is none.
    """

    encoding: str
    sample: str

    @property
    def message(self) -> str:
        """What was done and how to check it, in the reader's language."""
        name = encoding_name(self.encoding)
        text = _("El archivo no está en UTF-8 y lo leí como {encoding}.").format(encoding=name)
        if self.sample:
            text += " " + _("Mira si las letras salen bien: «{sample}». Si no, guárdalo como UTF-8.").format(
                sample=self.sample
            )
        return text


@dataclass(frozen=True, slots=True)
class RepairedTags:
    """Tags ``I-`` that began an entity, read as ``B-`` (the older IOB1 writes them so).

    Attributes:
        count: how many.
    """

    count: int

    @property
    def message(self) -> str:
        """What was done, in the reader's language."""
        return ngettext(
            "{n} etiqueta I- que empezaba una entidad se leyó como B-.",
            "{n} etiquetas I- que empezaban una entidad se leyeron como B-.",
            self.count,
        ).format(n=format_number(self.count))


Notice = LeftOut | GuessedEncoding | RepairedTags
