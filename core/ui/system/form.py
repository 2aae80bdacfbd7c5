"""What the Sistema page's link carries, and its views."""

from typing import Final

from core.catalog import TASKS
from core.i18n import gettext as _
from core.ui.navigation import N_
from core.ui.state import PageState, Param, flag, one_of
from core.ui.views import view_switch

VIEW: Final = "sys_view"
TASK: Final = "sys_task"
LANGUAGE: Final = "sys_language"
TIER: Final = "sys_tier"
HERE: Final = "sys_here"

ALL: Final = "all"
VIEWS: Final = {
    "now": (N_("Ahora"), ":material/speed:"),
    "models": (N_("Modelos en memoria"), ":material/memory:"),
    "catalogue": (N_("Catálogo"), ":material/inventory_2:"),
    "ready": (N_("¿Listos para el taller?"), ":material/checklist:"),
}
STATE: Final = PageState(
    "system",
    (
        Param("view", VIEW, "now", decode=one_of(*VIEWS)),
        Param("task", TASK, ALL, decode=one_of(ALL, *TASKS)),
        Param("models", LANGUAGE, ALL, decode=one_of(ALL, "es", "en")),
        Param("tier", TIER, ALL, decode=one_of(ALL, "workshop", "reference")),
        Param("here", HERE, False, encode=lambda value: str(int(value)), decode=flag),
    ),
)


def choose_view() -> str:
    """The switch between the page's views."""
    return view_switch(_("Qué ver"), VIEWS, VIEW)
