"""Which models the page offers: all of the catalogue that are here and have attention, and what to do without one."""

import streamlit as st

from core.catalog import ModelEntry, entries, entry
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime.loading import locate_model, why_absent
from core.settings import get_settings
from core.tasks.language import likely_language
from core.ui.attention_page.state import MODEL, TEXT, VERSUS
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.resources import downloads
from core.ui.system.download import download_control, size_text
from core.ui.tasks.models import size_line

# Models that were only changed for one task come after those that read in general.
_GENERAL = ("fill-mask", "text-generation", "embeddings", "translation-en-es", "translation-es-en", "text2text")


def able() -> list[ModelEntry]:
    """All models with weights, the general ones first, in the catalogue's order."""
    found = [item for item in entries().values() if item.weights is not None]
    return sorted(found, key=lambda item: not any(task in item.tasks for task in _GENERAL))


def here() -> list[ModelEntry]:
    """Those on this machine; looks at the disk, never at the network."""
    return [item for item in able() if locate_model(item, get_settings()) is not None]


def languages_here(models: list[ModelEntry]) -> list[str]:
    """The languages that some encoder or decoder among them has learnt."""
    return [
        language
        for language in ("es", "en")
        if any(language in item.languages and item.architecture != "encoder-decoder" for item in models)
    ]


def best_for(text: str, models: list[ModelEntry]) -> ModelEntry | None:
    """The model to open with: an encoder of the text's language, a reference one before the workshop's."""
    language = likely_language(text) or get_language()

    def rank(item: ModelEntry) -> tuple[bool, bool, bool, bool]:
        general = any(task in item.tasks for task in _GENERAL)
        return (language not in item.languages, item.architecture != "encoder", not general, item.tier != "reference")

    return min(models, key=rank, default=None)


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


def choose_model(models: list[ModelEntry]) -> ModelEntry | None:
    """The field for the model; what a link or an example asks for and isn't here is replaced, and that is said."""
    keys = [item.key for item in models]
    wanted = st.session_state[MODEL]
    if wanted not in keys:
        best = best_for(st.session_state[TEXT], models)
        st.session_state[MODEL] = best.key if best is not None else ""
        if wanted and best is not None and wanted in entries():
            st.session_state["at_replaced"] = (wanted, best.key)
    replaced = st.session_state.get("at_replaced")
    chosen = st.selectbox(_("Modelo"), keys, format_func=label_of, key=MODEL, persist_state="session")
    if replaced is not None:
        if chosen == replaced[1]:
            st.info(plain(why_absent(entry(replaced[0]), get_settings())), icon=":material/cloud_off:")
        else:
            del st.session_state["at_replaced"]
    return entry(chosen) if chosen else None


def choose_second() -> ModelEntry | None:
    """The field for the model to compare with; those that could be downloaded are offered, too."""
    first = st.session_state[MODEL]
    keys = ["", *(item.key for item in able() if item.key != first)]
    if st.session_state[VERSUS] not in keys:
        st.session_state[VERSUS] = ""
    chosen = st.selectbox(_("Comparar con"), keys, format_func=label_of, key=VERSUS, persist_state="session")
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


@fragment(run_every=2.0)
def _watch(keys: tuple[str, ...]) -> None:
    if not any(downloads().state(entry(key)).active for key in keys):
        st.rerun()


def offer_download(item: ModelEntry, key: str) -> None:
    """What to do about a model that isn't here."""
    assert item.weights is not None
    with st.container(border=True):
        st.markdown(f":material/cloud_off: {plain(why_absent(item, get_settings()))}")
        if item.weights.download_mib > 0:
            st.markdown(f":small[{plain(size_line(item))} · {plain(size_text(item.weights.download_mib))}]")
            download_control(item, key=f"{key}_{item.key}")
    if downloads().state(item).active:
        _watch((item.key,))
