"""SNIPS: where it comes from, a button that downloads it, and how much of it to learn from."""

from typing import Final

import streamlit as st

from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.downloads import is_offline
from core.settings import get_settings
from core.training.data import DataSet, TuningTask, sample
from core.training.snips import LICENCE, SOURCE, TEST_EACH, TRAIN, SnipsFetcher, failure_sentence, snips_data
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.system.operator import may_download

SIZE: Final = "td_snips"
ALL: Final = sum(TRAIN.values())
SIZES: Final = (500, 2000, 5000, ALL)


@st.cache_resource(show_spinner=False)
def fetcher() -> SnipsFetcher:
    """The process's download of SNIPS."""
    return SnipsFetcher(get_settings())


def snips_sample(task: TuningTask, most: int) -> DataSet:
    """SNIPS with at most ``most`` examples to learn from.

    Raises:
        TallerError: it isn't here, or it is damaged.
    """
    return sample(snips_data(task, get_settings()), most)


def _start() -> None:
    if may_download():
        fetcher().start()


def _stop() -> None:
    if may_download():
        fetcher().cancel()


@fragment(run_every=0.5)
def _progress() -> None:
    """Follows the download without rerunning the page; reruns it once when it is over."""
    state = fetcher().state()
    if state.status != "running":
        st.rerun()
    st.progress(state.done / state.total, text=plain(state.message))
    if may_download():
        st.button(_("Detener"), icon=":material/stop:", key="td_snips_stop", on_click=_stop)


def show_snips() -> bool:
    """What SNIPS is, and its download or how much of it to use.

    Returns:
        Whether it is here.
    """
    st.markdown(
        _(
            "**SNIPS** (Coucke y otros, 2018): {n} frases en inglés, de siete intenciones y con sus partes "
            "marcadas, reunidas entre muchas personas para comparar asistentes. Licencia {licence}; se publica en "
            "[{place}]({source})."
        ).format(
            n=format_number(ALL + TEST_EACH * len(TRAIN)),
            licence=plain(LICENCE),
            place=SOURCE.removeprefix("https://"),
            source=SOURCE,
        )
    )
    state = fetcher().state()
    if state.status == "done":
        st.selectbox(
            _("Ejemplos para aprender"),
            list(SIZES),
            format_func=format_number,
            key=SIZE,
            persist_state="session",
            help=_("Los 700 de prueba no cambian. Con más ejemplos se acierta más y se tarda más."),
        )
        return True
    if state.status == "running":
        _progress()
        return False
    if state.message:
        st.warning(plain(state.message), icon=":material/info:")
    if is_offline(get_settings()):
        st.info(plain(failure_sentence("offline", "")), icon=":material/cloud_off:")
    elif not may_download():
        st.caption(_("Solo quien administra la aplicación puede bajar datos aquí."))
    else:
        st.button(_("Bajar SNIPS"), icon=":material/download:", key="td_snips_start", on_click=_start, type="primary")
    return False
