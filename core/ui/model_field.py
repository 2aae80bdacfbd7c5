"""The field for a page's model: which to open with, what is said of one that isn't here, or of a text it can't read."""

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from core.catalog import ModelEntry, entries, entry
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime.loading import locate_model, why_absent
from core.settings import get_settings
from core.tasks.language import likely_language
from core.ui.messages import plain

# Tasks of models that read or write in general, and were not changed for one thing alone.
_GENERAL: Final = ("fill-mask", "text-generation", "embeddings", "translation-en-es", "translation-es-en", "text2text")


def is_general(item: ModelEntry) -> bool:
    """Whether a model reads or writes in general, and was not changed for one task alone."""
    return any(task in item.tasks for task in _GENERAL)


def best_for(language: str, models: Sequence[ModelEntry]) -> ModelEntry | None:
    """The model to open with: a general encoder of the language, a reference one before the workshop's."""

    def rank(item: ModelEntry) -> tuple[bool, bool, bool, bool]:
        general = is_general(item)
        return (language not in item.languages, item.architecture != "encoder", not general, item.tier != "reference")

    return min(models, key=rank, default=None)


def language_of(text: str) -> str:
    """The language that a text seems to be in, or else the reader's."""
    return likely_language(text) or get_language()


def label_of(key: str) -> str:
    """A model as a field for models shows it: name, architecture, and whether it is still to be downloaded."""
    if not key:
        return _("ninguno")
    item = entry(key)
    kind = {
        "encoder": _("codificador"),
        "decoder": _("decodificador"),
        "encoder-decoder": _("codificador-decodificador"),
    }[item.architecture]
    absent = "" if locate_model(item, get_settings()) else " · " + _("por descargar")
    return f"{item.name(get_language())} · {kind}{absent}"


def choose_model(
    models: Sequence[ModelEntry], key: str, language: str, on_change: Callable[[], None] | None = None
) -> ModelEntry | None:
    """The field for the model; what a link or an example asks for and isn't here is replaced, and that is said.

    Args:
        models: those on offer.
        key: of the field in the session.
        language: what the model should have learnt.
        on_change: called when another model is chosen, or takes the place of one that isn't here.
    """
    session = st.session_state
    keys = [item.key for item in models]
    wanted = session[key]
    noted = f"{key}_replaced"
    if wanted not in keys:
        best = best_for(language, models)
        session[key] = best.key if best is not None else ""
        if wanted in entries() and best is not None:
            session[noted] = (wanted, best.key)
            if on_change is not None:
                on_change()
    replaced = session.get(noted)
    chosen = st.selectbox(
        _("Modelo"), keys, format_func=label_of, key=key, persist_state="session", on_change=on_change
    )
    if replaced is not None:
        if chosen == replaced[1]:
            st.info(plain(why_absent(entry(replaced[0]), get_settings())), icon=":material/cloud_off:")
        else:
            del session[noted]
    return entry(chosen) if chosen else None


def hint_language(text: str, item: ModelEntry) -> None:
    """Says so where the model hasn't learnt the language of the text."""
    seen = likely_language(text)
    if seen is not None and seen not in item.languages:
        name = {"es": _("español"), "en": _("inglés")}[seen]
        st.info(
            _(
                "El texto parece estar en {language}, y este modelo no lo aprendió: mira qué hace de todos modos."
            ).format(language=name),
            icon=":material/translate:",
        )
