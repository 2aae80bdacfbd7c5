"""What is said of a model in a few words, alike on every page: its size and its licence."""

from core.catalog import ModelEntry
from core.i18n import format_number
from core.i18n import gettext as _


def parameters_text(item: ModelEntry) -> str:
    """How many parameters its weights have; ``item`` must have weights."""
    assert item.weights is not None
    millions = item.weights.parameters / 1e6
    return _("{n} millones de parámetros").format(n=format_number(millions, 0 if millions >= 10 else 1))


def licence_text(item: ModelEntry) -> str:
    """Its licence, in words where its page states none."""
    return _("licencia sin declarar") if item.licence == "unstated" else item.licence
