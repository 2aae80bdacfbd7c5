"""Which models the page offers: those of the catalogue that are here and know a language, not a single task."""

import streamlit as st

from core.catalog import ModelEntry, entries
from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime.loading import locate_model
from core.settings import get_settings
from core.ui import model_field
from core.ui.embeddings.state import MODEL
from core.ui.model_field import is_general


def here() -> list[ModelEntry]:
    """Those on this machine, in the catalogue's order; looks at the disk, never at the network."""
    return [
        item
        for item in entries().values()
        # An adapter has its encoder's embeddings, and so has a decoder that reads one.
        if item.weights is not None
        and not item.weights.needs
        and is_general(item)
        and locate_model(item, get_settings()) is not None
    ]


def languages_here(models: list[ModelEntry]) -> list[str]:
    """The languages that some encoder among them has learnt, the reader's first."""
    reader = get_language()
    known = {language for item in models if item.architecture == "encoder" for language in item.languages}
    return [language for language in (reader, "es", "en") if language in known]


def choose_model(models: list[ModelEntry]) -> ModelEntry:
    """The field for the model.

    Raises:
        ModelUnavailable: there is none at all.
    """
    if not models:
        raise ModelUnavailable(
            _("Ningún modelo de este equipo tiene embeddings que mostrar. Descarga uno en la página Sistema.")
        )
    item = model_field.choose_model(models, MODEL, st.session_state.get("em_language") or get_language())
    assert item is not None
    return item
