"""Which models the page offers: all of the catalogue that are here and have attention, and what to do without one."""

import streamlit as st

from core.catalog import ModelEntry, entries, entry
from core.i18n import gettext as _
from core.runtime.loading import locate_model, why_absent
from core.settings import get_settings
from core.ui.attention_page.state import MODEL, VERSUS
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.model_field import is_general, label_of
from core.ui.resources import downloads
from core.ui.system.download import download_control, size_text
from core.ui.tasks.models import size_line
from core.ui.tuned import model_entry, own_models


def able() -> list[ModelEntry]:
    """All models with weights: those not changed for one task, the catalogue's others, and the visitor's own."""
    found = [item for item in entries().values() if item.weights is not None]
    return [*sorted(found, key=lambda item: not is_general(item)), *own_models()]


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


def choose_second() -> ModelEntry | None:
    """The field for the model to compare with; those that could be downloaded are offered, too."""
    first = st.session_state[MODEL]
    labels = {"": _("ninguno"), **{item.key: label_of(item) for item in able() if item.key != first}}
    if st.session_state[VERSUS] not in labels:
        st.session_state[VERSUS] = ""
    chosen = st.selectbox(
        _("Comparar con"), list(labels), format_func=labels.__getitem__, key=VERSUS, persist_state="session"
    )
    return model_entry(chosen) if chosen else None


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
