"""Which models the page offers: those of the catalogue that are here and know a language, not a single task."""

import streamlit as st

from core.catalog import ModelEntry, entries, entry
from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime.loading import locate_model, why_absent
from core.settings import get_settings
from core.ui.embeddings.state import MODEL
from core.ui.messages import plain

_GENERAL = ("fill-mask", "embeddings", "text-generation", "translation-en-es", "translation-es-en", "text2text")


def here() -> list[ModelEntry]:
    """Those on this machine, in the catalogue's order; looks at the disk, never at the network."""
    return [
        item
        for item in entries().values()
        # An adapter has its encoder's embeddings.
        if item.weights is not None
        and item.weights.base is None
        and any(task in item.tasks for task in _GENERAL)
        and locate_model(item, get_settings()) is not None
    ]


def languages_here(models: list[ModelEntry]) -> list[str]:
    """The languages that some encoder among them has learnt, the reader's first."""
    reader = get_language()
    known = {language for item in models if item.architecture == "encoder" for language in item.languages}
    return [language for language in (reader, "es", "en") if language in known]


def best_for(language: str, models: list[ModelEntry]) -> ModelEntry | None:
    """The model to open with: an encoder of the language, a reference one before the workshop's."""

    def rank(item: ModelEntry) -> tuple[bool, bool, bool]:
        return (language not in item.languages, item.architecture != "encoder", item.tier != "reference")

    return min(models, key=rank, default=None)


def _label(key: str) -> str:
    item = entry(key)
    kind = {
        "encoder": _("codificador"),
        "decoder": _("decodificador"),
        "encoder-decoder": _("codificador-decodificador"),
    }[item.architecture]
    return f"{item.name(get_language())} · {kind}"


def choose_model(models: list[ModelEntry]) -> ModelEntry:
    """The field for the model; what a link or an example asks for and isn't here is replaced, and that is said.

    Raises:
        ModelUnavailable: there is none at all.
    """
    if not models:
        raise ModelUnavailable(
            _("Ningún modelo de este equipo tiene embeddings que mostrar. Descarga uno en la página Sistema.")
        )
    session = st.session_state
    keys = [item.key for item in models]
    wanted = session[MODEL]
    if wanted not in keys:
        best = best_for(session.get("em_language") or get_language(), models)
        assert best is not None
        session[MODEL] = best.key
        if wanted:
            session["em_replaced"] = (wanted, best.key)
    replaced = session.get("em_replaced")
    chosen = st.selectbox(_("Modelo"), keys, format_func=_label, key=MODEL, persist_state="session")
    if replaced is not None:
        if chosen == replaced[1]:
            st.info(plain(why_absent(entry(replaced[0]), get_settings())), icon=":material/cloud_off:")
        else:
            del session["em_replaced"]
    return entry(chosen or keys[0])


def hint_language(text: str, item: ModelEntry) -> None:
    """Says so where the model hasn't learnt the language of the text."""
    from core.tasks.language import likely_language

    seen = likely_language(text)
    if seen is not None and seen not in item.languages:
        name = {"es": _("español"), "en": _("inglés")}[seen]
        st.info(
            _(
                "El texto parece estar en {language}, y este modelo no lo aprendió: mira qué hace de todos modos."
            ).format(language=name),
            icon=":material/translate:",
        )
