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
from core.training.tuned import gone, run_id
from core.ui.messages import plain
from core.ui.tuned import model_entry

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


def label_of(item: ModelEntry) -> str:
    """A model as a field for models shows it: name, architecture, and whether it is still to be downloaded."""
    kind = {
        "encoder": _("codificador"),
        "decoder": _("decodificador"),
        "encoder-decoder": _("codificador-decodificador"),
    }[item.architecture]
    absent = "" if locate_model(item, get_settings()) else " · " + _("por descargar")
    own = _("tuyo") + " · " if run_id(item.key) else ""
    return f"{own}{item.name(get_language())} · {kind}{absent}"


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
    labels = {item.key: label_of(item) for item in models}
    wanted = session[key]
    noted = f"{key}_replaced"
    if wanted not in labels:
        best = best_for(language, models)
        session[key] = best.key if best is not None else ""
        if (wanted in entries() or run_id(wanted)) and best is not None:
            session[noted] = (wanted, best.key)
            if on_change is not None:
                on_change()
    replaced = session.get(noted)
    chosen = st.selectbox(
        _("Modelo"), list(labels), format_func=labels.__getitem__, key=key, persist_state="session", on_change=on_change
    )
    if replaced is not None:
        if chosen == replaced[1]:
            _say_replaced(replaced[0])
        else:
            del session[noted]
    return model_entry(chosen) if chosen else None


def _say_replaced(wanted: str) -> None:
    if run_id(wanted):
        st.info(plain(str(gone())), icon=":material/person_off:")
    else:
        st.info(plain(why_absent(entry(wanted), get_settings())), icon=":material/cloud_off:")


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
