"""Runs on the same data against each other: frozen, full and LoRA; and what transfer learning is worth."""

from dataclasses import replace
from typing import Any, Final

import pandas as pd
import streamlit as st

from core.errors import TallerError
from core.i18n import format_duration, format_number, format_percent
from core.i18n import gettext as _
from core.training.data import DataSet
from core.training.jobs import RunView, state_text
from core.training.run import OVER
from core.training.tuning.export import method_name, start_name
from core.training.tuning.request import METHODS, STARTS, TuningRequest, defaults
from core.ui.glossary import glossary_marks
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.owner import owner
from core.ui.resources import training_jobs
from core.ui.tuning.launch import submit
from core.ui.tuning.live import metric_name
from core.ui.tuning.plots import quality_and_time

_SHOWN: Final = 12


def _same(view: RunView, data: DataSet) -> bool:
    return view.about.digest == data.digest


def _missing(wanted: list[TuningRequest], data: DataSet, views: list[RunView]) -> list[TuningRequest]:
    """Those of the wanted runs that nobody has begun yet, told apart by method and starting point."""
    there = set()
    for view in views:
        if _same(view, data) and view.state.status not in ("failed", "cancelled"):
            request = training_jobs().run(owner(), view.id).request
            there.add((request.base, request.method, request.start))
    return [one for one in wanted if (one.base, one.method, one.start) not in there]


def _begin(wanted: list[TuningRequest], data: DataSet) -> None:
    try:
        for one in wanted:
            submit(one, data)
    except TallerError as error:
        st.session_state["tn_refused_many"] = str(error)


def _offer(title: str, what: str, wanted: list[TuningRequest], data: DataSet, views: list[RunView], key: str) -> None:
    missing = _missing(wanted, data, views)
    with st.container(border=True):
        st.markdown(f"**{title}**")
        st.markdown(what)
        if missing:
            names = ", ".join(f"{method_name(one)} ({start_name(one)})" for one in missing)
            st.caption(plain(_("Falta: {names}").format(names=names)))
            st.button(
                _("Entrenar lo que falta"),
                icon=":material/play_arrow:",
                key=key,
                on_click=_begin,
                args=(missing, data),
            )
        else:
            st.caption(_("Todos están hechos o en marcha."))


@fragment(run_every=2.0)
def _watch(ids: tuple[str, ...]) -> None:
    views = {view.id: view for view in training_jobs().views(owner())}
    active = [views[id_] for id_ in ids if id_ in views and views[id_].state.status not in OVER]
    for view in active:
        st.caption(plain(f"{view.about.name}: {state_text(view)}"))
    if len(active) < len(ids):
        st.rerun()


def _rows(views: list[RunView], data: DataSet) -> list[dict[str, Any]]:
    rows = []
    for view in views:
        if view.state.status != "done" or not _same(view, data):
            continue
        run = training_jobs().run(owner(), view.id)
        result = run.result
        if result is None:
            continue
        request = run.request
        name = f"{method_name(request)} · {start_name(request)}"
        rows.append({"name": name, "base": request.base, **result})
    return rows[:_SHOWN]


def show_compare(data: DataSet, request: TuningRequest) -> None:
    """The view.

    Args:
        data: what the form has chosen: runs on it are compared.
        request: what the form asks for; its base and sentences are used.
    """
    views = training_jobs().views(owner())
    with_own: dict[str, Any] = {"sentences": request.sentences, "context": request.context, "seed": request.seed}
    methods = [replace(defaults(data.task, method, request.base), **with_own) for method in METHODS]
    starts = [
        replace(defaults(data.task, "head", request.base), start=start, raw_text=request.raw_text, **with_own)
        for start in STARTS
    ]
    st.markdown(plain(_("Datos: {name}").format(name=data.name)))
    left, right = st.columns(2)
    with left:
        _offer(
            _("¿Qué parte conviene entrenar?"),
            _("La misma tarea con la cabeza sola, con LoRA y con todos los pesos: calidad contra tiempo."),
            methods,
            data,
            views,
            "tn_methods",
        )
    with right:
        _offer(
            _("¿Cuánto vale lo que ya sabía?"),
            _("La misma cabeza sobre el cuerpo preentrenado, sobre uno al azar y sobre uno adaptado a tu texto."),
            starts,
            data,
            views,
            "tn_starts",
        )
    refused = st.session_state.pop("tn_refused_many", "")
    if refused:
        st.warning(plain(refused), icon=":material/info:")
    active = tuple(view.id for view in views if view.state.status not in OVER)
    if active:
        _watch(active)
    rows = _rows(views, data)
    if not rows:
        st.info(
            _("Aún no hay ningún entrenamiento terminado con estos datos. Pulsa uno de los dos botones."),
            icon=":material/compare_arrows:",
        )
        return
    figure, alt = quality_and_time(rows, metric_name(rows[0]["metric"]))
    st.plotly_chart(figure, key="tn_compare_plot", alt=alt, config={"displayModeBar": False})
    st.caption(
        _(
            "Las barras son intervalos del 95 %: si se solapan mucho, la diferencia puede ser azar. Cuanto más grande "
            "la marca, más parámetros aprendieron."
        )
    )
    table = pd.DataFrame(
        [
            {
                _("Entrenamiento"): row["name"],
                metric_name(row["metric"]): format_percent(row["value"]),
                _("Intervalo del 95 %"): f"{format_percent(row['low'])} – {format_percent(row['high'])}",
                _("Tiempo"): format_duration(row["seconds"]),
                _("Memoria"): f"{format_number(row['memory_mib'])} MiB",
                _("Parámetros entrenados"): format_number(row["trained"]),
            }
            for row in rows
        ]
    )
    st.dataframe(table, hide_index=True, key="tn_compare_table")
    glossary_marks("transfer-learning", "ulmfit-three-steps", "domain-adaptation", "fine-tuning", key="tn_g_compare")
