"""A run while it waits and learns: renewed by itself every second, without running the page again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from core.i18n import format_duration, format_number, format_percent, get_language
from core.i18n import gettext as _
from core.settings import get_settings
from core.training.data import TuningTask
from core.training.jobs import RunView, state_text
from core.training.ours import display_name
from core.training.run import OVER, RunFolder, Turn
from core.ui.cluster import trouble_text
from core.ui.language import fragment
from core.ui.messages import errors_shown, plain
from core.ui.owner import owner
from core.ui.readings import gib_of, percent
from core.ui.resources import telemetry, training_jobs
from core.ui.tuning.plots import loss_curve, metric_curve

Lines = Sequence[Mapping[str, Any]]
# Of a column, in pixels: five of them fit beside the menu.
_WIDTH: Final = 180


def named(label: str) -> str:
    """A class as people call it: ours have names in both languages, others stay as they are."""
    return display_name(label, get_language())


def said(answer: str, task: TuningTask) -> str:
    """What a run's files hold as an answer, for people: a class, marked stretches, or words of a text as they are."""
    if task == "questions":
        return answer
    if task == "classification":
        return named(answer)
    marks = (mark.rpartition(" = ") for mark in answer.split(" · "))
    return " · ".join(f"{stretch}{sign}{named(kind)}" for stretch, sign, kind in marks)


def metric_name(metric: str) -> str:
    """The measure, for people."""
    return {"accuracy": _("Exactitud (accuracy)"), "f1": "F1"}[metric]


def _stage_text(stage: str) -> str:
    return {
        "load": _("Cargando el modelo y los datos"),
        "adapt": _("Adaptándose a tu texto: adivina palabras tapadas"),
        "features": _("El cuerpo congelado lee cada ejemplo una vez"),
        "train": _("Aprendiendo"),
        "evaluate": _("Midiendo con los ejemplos de prueba"),
        "export": _("Escribiendo el modelo"),
    }.get(stage, _("Arrancando el proceso"))


def _share(lines: Lines, stage: str) -> float:
    last = next((line for line in reversed(lines) if line.get("stage") == stage), {})
    if last.get("kind") == "step":
        return float(last["step"] / last["steps"])
    if last.get("kind") == "features":
        return float(last["done"] / last["total"])
    steps = [line for line in lines if line.get("kind") == "step" and line.get("stage") == stage]
    return float(steps[-1]["step"] / steps[-1]["steps"]) if steps else 0.0


def own_table(lines: Lines, sentences: Sequence[str], task: TuningTask, *, key: str) -> None:
    """What the model said of the person's sentences before and after each epoch, a column each."""
    epochs = [line for line in lines if line.get("kind") == "epoch" and line.get("own")]
    if not epochs or not sentences:
        return
    # Before, the newest, and two between them.
    inner = epochs[1:-1]
    shown = [epochs[0], *inner[:: max(1, -(-len(inner) // 2))], epochs[-1]]
    columns: dict[str, list[str]] = {_("Tu frase"): list(sentences)}
    for line in {line["epoch"]: line for line in shown}.values():
        title = _("antes") if line["epoch"] == 0 else _("época {n}").format(n=line["epoch"])
        told = [
            f"{said(answer['answer'], task) or '–'} ({format_percent(answer['sure'], 0)})" for answer in line["own"]
        ]
        columns[title] = (told + [""] * len(sentences))[: len(sentences)]
    # Of one width, or a long sentence would push what the model learnt out of sight.
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        key=key,
        column_config={name: st.column_config.TextColumn(width=_WIDTH) for name in columns},
    )


def curves(lines: Lines, *, key: str) -> None:
    """Loss and measure, side by side."""
    left, right = st.columns(2)
    stages = [stage for stage in ("train", "adapt") if any(_is_step(line, stage) for line in lines)]
    if stages:
        figure, alt = loss_curve(lines, stages[0])
        left.plotly_chart(figure, key=f"{key}_loss", alt=alt, config={"displayModeBar": False})
    epochs = [line for line in lines if line.get("kind") == "epoch" and "value" in line]
    if epochs:
        figure, alt = metric_curve(lines, metric_name(epochs[-1]["metric"]))
        right.plotly_chart(figure, key=f"{key}_metric", alt=alt, config={"displayModeBar": False})


def _is_step(line: Mapping[str, Any], stage: str) -> bool:
    return line.get("kind") == "step" and line.get("stage") == stage


def _figures(lines: Lines) -> None:
    steps = [line for line in lines if line.get("kind") == "step"]
    epochs = [line for line in lines if line.get("kind") == "epoch" and "value" in line]
    loss, metric, speed, left = st.columns(4)
    if steps:
        last = steps[-1]
        loss.metric(_("Pérdida (loss)"), format_number(last["loss"], 3))
        speed.metric(_("Tokens por segundo"), format_number(last["tokens_per_second"]))
        left.metric(_("Queda"), format_duration(last["left_s"]))
    if epochs:
        metric.metric(metric_name(epochs[-1]["metric"]), format_percent(epochs[-1]["value"]))


def _card_line() -> None:
    """The graphics card's reading beside the run, where there is one; otherwise the processor's."""
    sample = telemetry().latest()
    for gpu in sample.gpus:
        text = f"GPU {gpu.index} · {percent(gpu.utilization_gpu)} · {gib_of(gpu.memory_used_mib, gpu.memory_total_mib)}"
        st.caption(f":material/memory: {plain(text)}")
    if not sample.gpus:
        words = _("Procesador del equipo al {percent}; el entrenamiento cede el paso a las páginas.")
        st.caption(plain(words.format(percent=percent(sample.host.cpu_percent))))


def cluster_line(turn: Turn, wait_s: float) -> tuple[str, bool]:
    """What is said of the cluster beside a run that isn't over; empty where there is none to speak of.

    Args:
        turn: whose turn it is.
        wait_s: how long a lost cluster is waited for.

    Returns:
        The sentence, and whether it warns.
    """
    if turn.place == "cluster" and turn.why in ("", "pending"):
        if not turn.open:
            return "", False
        if turn.why:
            return _("El clúster Ray no tiene sitio todavía: el entrenamiento empieza en cuanto lo haya."), False
        return _("Se entrena en el clúster Ray."), False
    if turn.why == "elsewhere":
        return _("El clúster Ray no ve la carpeta de los entrenamientos: se entrena en este equipo."), True
    if turn.why == "full":
        return _("El clúster Ray no tiene sitio: se entrena en este equipo."), True
    if not turn.why:
        return "", False
    why = trouble_text(turn.why)
    if turn.place == "local":
        return _("{why}: se entrena en este equipo.").format(why=why), True
    if turn.open:
        return _("{why}: mientras el entrenamiento dé señales de vida, sigue allí.").format(why=why), True
    return (
        _("{why}: el entrenamiento lo espera. Si no vuelve en {time}, sigue en este equipo.").format(
            why=why, time=format_duration(wait_s)
        ),
        True,
    )


def _show_cluster(turn: Turn) -> None:
    text, warns = cluster_line(turn, get_settings().training_cluster_wait)
    if warns:
        st.warning(plain(text), icon=":material/cloud_off:")
    elif text:
        st.caption(":material/hub: " + plain(text))


def _cancel(id_: str) -> None:
    with errors_shown():
        training_jobs().cancel(owner(), id_)


def show_progress(view: RunView, run: RunFolder) -> None:
    """One look at a run that isn't over."""
    lines = run.progress()
    st.markdown(f"**{plain(view.about.name)}** · {plain(state_text(view))}")
    _show_cluster(view.turn)
    if view.state.status == "waiting":
        st.info(
            _("Hay {n} delante. Puedes cerrar la página: te espera aquí.").format(n=format_number(view.ahead or 0))
            if view.ahead
            else _("Es el siguiente: el proceso arranca en unos segundos."),
            icon=":material/hourglass_empty:",
        )
    else:
        stage = next((line["stage"] for line in reversed(lines) if line.get("kind") == "stage"), "")
        st.progress(min(1.0, _share(lines, stage)), text=_stage_text(stage))
        if view.state.tries > 1:
            st.caption(_("El proceso se cortó y siguió desde su último punto guardado."))
        _figures(lines)
        curves(lines, key=f"tn_live_{run.id}")
        own_table(lines, [s for s in run.request.sentences if s.strip()], run.request.task, key=f"tn_live_own_{run.id}")
        if view.turn.place == "local":
            _card_line()
    st.button(_("Cancelar"), icon=":material/stop_circle:", key=f"tn_cancel_{run.id}", on_click=_cancel, args=(run.id,))


@fragment(run_every=1.0)
def live(id_: str) -> None:
    """The run, until it is over; then the page shows what came of it."""
    with errors_shown():
        view = training_jobs().view(owner(), id_)
        if view.state.status in OVER:
            st.rerun()
        show_progress(view, training_jobs().run(owner(), id_))
