"""What a run will take, and the button that begins it."""

import hashlib
import json
from typing import Any

import streamlit as st

from core.errors import TallerError
from core.i18n import format_duration, format_number, get_language
from core.i18n import gettext as _
from core.training.data import DataSet
from core.training.tuning.export import method_name, start_name
from core.training.tuning.forecast import Forecast
from core.training.tuning.request import TuningRequest, check
from core.ui.jobs import Job
from core.ui.language import fragment
from core.ui.messages import show_error
from core.ui.owner import owner
from core.ui.resources import training_jobs
from core.ui.tuning import state as keys

_FORECAST = "tn_forecast"


def run_name(request: TuningRequest, data: DataSet) -> str:
    """What a run is called: data, method, base, and where the body starts, unless it is pretrained."""
    from core.catalog import entry

    parts = [data.name, method_name(request), entry(request.base).name(get_language())]
    if request.start != "pretrained":
        parts.append(start_name(request))
    return " · ".join(parts)


def _key(request: TuningRequest, data: DataSet) -> str:
    return hashlib.sha256(json.dumps([request.to_dict(), data.digest], sort_keys=True).encode()).hexdigest()


def known_forecast(request: TuningRequest, data: DataSet) -> Forecast | None:
    """What three steps of this very run said, if somebody here measured them."""
    key, job = st.session_state.get(_FORECAST, ("", None))
    if key != _key(request, data) or job is None or job.running:
        return None
    try:
        found: Forecast = job.result()
        return found
    except TallerError:
        return None


def forecast_row(found: Forecast) -> None:
    """Time, memory and steps, side by side."""
    time, memory, steps = st.columns(3)
    time.metric(_("Tiempo previsto"), format_duration(found.seconds))
    memory.metric(_("Memoria prevista"), f"{format_number(found.memory_mib)} MiB")
    steps.metric(_("Pasos"), format_number(found.steps))


def _show_forecast(request: TuningRequest, data: DataSet) -> None:
    key, job = st.session_state.get(_FORECAST, ("", None))
    if key != _key(request, data) or job is None:
        return
    if job.running:
        _wait_for_forecast()
        return
    try:
        forecast_row(job.result())
        st.caption(
            _(
                "Medido ahora con tres pasos de este mismo entrenamiento donde se hará. Si otros trabajan allí, "
                "tardará más; al terminar verás la previsión junto a lo que pasó."
            )
        )
    except TallerError as error:
        show_error(error)


@fragment(run_every=1.0)
def _wait_for_forecast() -> None:
    _key_now, job = st.session_state.get(_FORECAST, ("", None))
    if job is None or not job.running:
        st.rerun()
    st.info(_("Midiendo tres pasos en un proceso aparte: unos segundos…"), icon=":material/timer:")


def _measure(request: TuningRequest, data: DataSet) -> None:
    jobs = training_jobs()
    st.session_state[_FORECAST] = (_key(request, data), Job(lambda: jobs.forecast(request, data)))


def submit(request: TuningRequest, data: DataSet, forecast: Forecast | None = None) -> str:
    """Puts a run into the queue and makes it the one that is looked at.

    Raises:
        TallerError: it can't be run, or the queue is full.
    """
    id_ = training_jobs().submit(owner(), request, data, name=run_name(request, data), forecast=forecast)
    st.session_state[keys.CHOSEN] = id_
    return id_


def _train(request: TuningRequest, data: DataSet) -> None:
    try:
        submit(request, data, known_forecast(request, data))
        st.session_state[keys.VIEW] = "runs"
    except TallerError as error:
        st.session_state["tn_refused"] = str(error)


def show_launch(request: TuningRequest, data: DataSet) -> None:
    """Forecast and button.

    Raises:
        InputInvalid: the form asks for what can't be.
    """
    check(request)
    arguments: tuple[Any, ...] = (request, data)
    with st.container(horizontal=True):
        st.button(
            _("Entrenar"),
            type="primary",
            icon=":material/play_arrow:",
            key="tn_go",
            on_click=_train,
            args=arguments,
        )
        st.button(
            _("Prever tiempo y memoria"),
            icon=":material/timer:",
            key="tn_measure",
            on_click=_measure,
            args=arguments,
        )
    refused = st.session_state.pop("tn_refused", "")
    if refused:
        show_error(TallerError(refused))
    _show_forecast(request, data)
