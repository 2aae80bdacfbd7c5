"""What to learn from: our own sets, a file of the visitor's, or SNIPS; with its examples, counts and warnings.

``show_data`` draws the whole section and returns the set; ``data_params`` are its values in the page's link,
``data_code`` the lines of Python that load the same set, ``data_downloads`` its files.
"""

from typing import Final

import streamlit as st

from core.i18n import get_language
from core.i18n import gettext as _
from core.training.data import DataSet, TuningTask
from core.training.ours import LANGUAGES, our_data
from core.ui.glossary import glossary_marks
from core.ui.messages import errors_shown
from core.ui.navigation import N_
from core.ui.state import Param, one_of
from core.ui.tuning.data_view import Shown, data_downloads, show_set
from core.ui.tuning.snips_source import SIZE, SIZES, show_snips, snips_sample
from core.ui.tuning.upload import show_upload, upload_code

__all__ = ["data_code", "data_downloads", "data_params", "show_data"]

SOURCE: Final = "td_source"
LANGUAGE: Final = "td_language"
SOURCES: Final = {
    "ours": (N_("Los del taller"), ":material/school:"),
    "upload": (N_("Tu archivo"), ":material/upload_file:"),
    "snips": (N_("SNIPS"), ":material/cloud_download:"),
}
LANGUAGE_NAMES: Final = {"es": N_("en español"), "en": N_("en inglés")}


def data_params() -> tuple[Param, ...]:
    """What a link says of the data. A file of one's own can't travel in it: such a link opens an empty uploader."""
    return (
        Param("data", SOURCE, "ours", decode=one_of(*SOURCES)),
        Param("dl", LANGUAGE, get_language(), decode=one_of(*LANGUAGES)),
        Param("snips", SIZE, 2000, decode=lambda text: int(one_of(*map(str, SIZES))(text))),
    )


def _sources(task: TuningTask) -> list[str]:
    # SNIPS has intents and slots, but no questions.
    return [name for name in SOURCES if name != "snips" or task != "questions"]


def _settle(task: TuningTask) -> None:
    """Values that the widgets can show, whatever another task or a link left behind."""
    if st.session_state.get(SOURCE) not in _sources(task):
        st.session_state[SOURCE] = "ours"
    if st.session_state.get(LANGUAGE) not in LANGUAGES:
        st.session_state[LANGUAGE] = get_language()


@st.cache_resource(max_entries=12, show_spinner=False)
def _ours(task: TuningTask, language: str, reader: str) -> Shown:
    """One of our sets, looked through once for all visitors with the same language."""
    return Shown.of(our_data(task, language), key=f"ours_{task}_{language}_{reader}")


@st.cache_resource(max_entries=8, show_spinner=False)
def _snips(task: TuningTask, most: int, reader: str) -> Shown:
    return Shown.of(snips_sample(task, most), key=f"snips_{task}_{most}_{reader}")


def _show_ours(task: TuningTask) -> Shown:
    language = st.segmented_control(
        _("Idioma de los datos"),
        list(LANGUAGES),
        format_func=lambda name: _(LANGUAGE_NAMES[name]),
        key=LANGUAGE,
        required=True,
        persist_state="session",
    )
    if task == "questions":
        st.caption(_("Textos breves de clase y de la vida diaria; una de cada seis preguntas no tiene respuesta."))
    else:
        st.caption(
            _(
                "Lo que alguien pide a un asistente, escrito a mano para este taller, con palabras de varios países: "
                "siete intenciones, y en cada frase sus partes marcadas."
            )
        )
    return _ours(task, language or get_language(), get_language())


def show_data(task: TuningTask) -> DataSet | None:
    """The whole section: choice, file and columns, examples, counts, warnings.

    Args:
        task: what the model is to learn.

    Returns:
        The set to learn from; ``None`` while there is none (the section says why).
    """
    _settle(task)
    source = st.segmented_control(
        _("Datos"),
        _sources(task),
        format_func=lambda name: f"{SOURCES[name][1]} {_(SOURCES[name][0])}",
        key=SOURCE,
        required=True,
        persist_state="session",
        # The page's own heading says it.
        label_visibility="collapsed",
        wrap=True,
    )
    shown: Shown | None = None
    with errors_shown():
        if source == "upload":
            shown = show_upload(task)
        elif source == "snips":
            shown = _snips(task, int(st.session_state[SIZE]), get_language()) if show_snips() else None
        else:
            shown = _show_ours(task)
        if shown is not None:
            show_set(shown)
    marks = {
        "classification": ("sequence-classification", "intent-detection"),
        "entities": ("named-entity-recognition",),
        "questions": ("extractive-and-abstractive-questions",),
    }
    glossary_marks(*marks[task], key="g_td")
    return shown.data if shown is not None else None


def data_code(task: TuningTask) -> str:
    """Lines of Python that leave the chosen set in ``data``, run from the project's folder."""
    source = st.session_state.get(SOURCE, "ours")
    if source == "upload":
        return upload_code(task)
    if source == "snips":
        most = int(st.session_state.get(SIZE, 2000))
        return (
            "from core.settings import get_settings\n"
            "from core.training.data import sample\n"
            "from core.training.snips import snips_data\n\n"
            f"data = sample(snips_data({task!r}, get_settings()), {most})\n"
        )
    language = st.session_state.get(LANGUAGE, get_language())
    return f"from core.training.ours import our_data\n\ndata = our_data({task!r}, {language!r})\n"
