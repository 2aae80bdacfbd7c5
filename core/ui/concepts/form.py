"""The page's state and link."""

from typing import Final

from core.catalog import TASKS, entries
from core.course.glossary import concept
from core.i18n import gettext as _
from core.ui.navigation import N_
from core.ui.state import PageState, Param, catalogue_key, one_of, pack_text, unpack_text
from core.ui.views import view_switch

VIEWS: Final = {
    "glossary": (N_("Conceptos"), ":material/menu_book:"),
    "choose": (N_("Elegir un modelo"), ":material/checklist_rtl:"),
}
VIEW, SEARCH, CONCEPT = "con_view", "con_search", "con_concept"
TASK, LANGUAGE, SIZE, LICENCE, MODEL = "con_task", "con_language", "con_size", "con_licence", "con_model"
#: Largest size on offer, in millions of parameters; 0 for any.
SIZES: Final = (0, 30, 80, 130, 300)


def _known_concept(text: str) -> str:
    try:
        return concept(text).id
    except KeyError as error:
        raise ValueError(text) from error


def licences() -> list[str]:
    """The licences in the catalogue."""
    return sorted({entry.licence for entry in entries().values()})


def _known_licence(text: str) -> str:
    return one_of(*licences())(text)


def _size(text: str) -> int:
    return int(one_of(*(str(size) for size in SIZES))(text))


STATE: Final = PageState(
    "concepts",
    (
        Param("view", VIEW, "glossary", decode=one_of(*VIEWS)),
        Param("search", SEARCH, "", pack_text, unpack_text),
        Param("concept", CONCEPT, None, decode=_known_concept),
        Param("task", TASK, "fill-mask", decode=one_of(*TASKS)),
        Param("about", LANGUAGE, "es", decode=one_of("es", "en")),
        Param("size", SIZE, 0, decode=_size),
        Param("licence", LICENCE, None, decode=_known_licence),
        Param("model", MODEL, None, decode=catalogue_key),
    ),
)


def choose_view() -> str:
    """The switch between the two views."""
    return view_switch(_("Vista"), VIEWS, VIEW)
