"""What came of a run: figures with their intervals, mistakes, map, the box to try it, files, and the way out."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pandas as pd
import streamlit as st

from core.i18n import format_duration, format_number, format_percent, get_language, ngettext
from core.i18n import gettext as _
from core.training.data import DataSet, TuningTask
from core.training.jobs import RunView, failure_text
from core.training.run import RunFolder
from core.training.tuned import key_of
from core.training.tuning.answering import Answer, Asking
from core.training.tuning.export import zip_model
from core.training.tuning.request import TuningRequest
from core.ui.ask import ask
from core.ui.charts import shares
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.glossary import glossary_marks
from core.ui.links import page_file
from core.ui.marked import Mark, marked_text
from core.ui.messages import errors_shown, plain
from core.ui.owner import owner
from core.ui.resources import training_jobs
from core.ui.share import Download, share_row
from core.ui.state import pack_text
from core.ui.tuning import state as keys
from core.ui.tuning.code import program
from core.ui.tuning.live import curves, metric_name, named, own_table, said
from core.ui.tuning.plots import confused, confusion, most_confused, vector_map

_TONES: Final = 8
# So many classes fit a matrix on a phone.
_READABLE: Final = 10
# So many confusions are told in words: a matrix of two dozen kinds can't be read from the last row.
_CONFUSED: Final = 4
# More classes than a table shows at once.
_MANY: Final = 10
# Of a column of texts, in pixels.
_WIDTH: Final = 220
# Where Tareas shows a model that was tuned for a task.
_CARDS: Final = {"classification": "sentiment", "entities": "entities", "questions": "questions"}


def interval(result: Mapping[str, Any]) -> str:
    """The measure's 95 % interval."""
    return _("entre {low} y {high} (95 %), n = {n}").format(
        low=format_percent(result["low"]), high=format_percent(result["high"]), n=format_number(result["n"])
    )


def _headline(view: RunView, result: Mapping[str, Any]) -> None:
    value, time, memory, learnt = st.columns(4)
    value.metric(metric_name(result["metric"]), format_percent(result["value"]))
    value.caption(plain(interval(result)))
    time.metric(_("Tiempo"), format_duration(result["seconds"]))
    about = view.about
    if about.forecast_s is not None:
        time.caption(plain(_("previsto: {time}").format(time=format_duration(about.forecast_s))))
    memory.metric(_("Memoria"), f"{format_number(result['memory_mib'])} MiB")
    if about.forecast_mib is not None:
        memory.caption(plain(_("prevista: {n} MiB").format(n=format_number(about.forecast_mib))))
    share = result["trained"] / max(1, result["parameters"])
    learnt.metric(_("Aprendió"), format_percent(share))
    learnt.caption(
        plain(
            _("{n} de {total} parámetros").format(
                n=format_number(result["trained"]), total=format_number(result["parameters"])
            )
        )
    )
    more = {
        "macro_f1": _("F1 media de las clases (macro)"),
        "precision": _("precisión"),
        "recall": _("exhaustividad (recall)"),
        "word_accuracy": _("palabras con su etiqueta"),
        "exact_match": _("respuesta exacta (exact match)"),
    }
    told = [
        f"{words}: {format_percent(result['more'][name])}" for name, words in more.items() if name in result["more"]
    ]
    parts = result.get("times", {})
    stages = {
        "load": _("cargar"),
        "adapt": _("adaptar"),
        "features": _("leer una vez"),
        "train": _("aprender"),
        "evaluate": _("medir"),
        "export": _("escribir"),
    }
    times = [f"{stages[name]} {format_number(s, 1)} s" for name, s in parts.items() if name in stages]
    st.caption(plain(" · ".join(told)) + "  \n" + plain(" · ".join(times)))


def _percent(value: float | None) -> str:
    return "–" if value is None else format_percent(value)


def class_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """Each class with its figures."""
    rows = []
    # The kinds of entities are many: those that say most come first.
    classes = result["classes"]
    for row in sorted(classes, key=lambda row: -row["n"]) if len(classes) > _MANY else classes:
        if "exact" in row:
            rows.append(
                {
                    _("Pregunta"): {"answered": _("con respuesta"), "unanswered": _("sin respuesta")}[row["label"]],
                    "F1": _percent(row["f1"]),
                    _("Exacta"): _percent(row["exact"]),
                    "n": row["n"],
                }
            )
            continue
        rows.append(
            {
                _("Clase"): named(row["label"]),
                _("Precisión"): _percent(row["precision"]),
                _("Exhaustividad (recall)"): _percent(row["recall"]),
                _("Intervalo del 95 %"): f"{format_percent(row['low'], 0)} – {format_percent(row['high'], 0)}",
                "F1": _percent(row["f1"]),
                "n": row["n"],
            }
        )
    return pd.DataFrame(rows)


def _mistakes(result: Mapping[str, Any], task: TuningTask) -> None:
    st.header(_("Los peores errores"))
    if not result["mistakes"]:
        st.success(_("Ninguno en los ejemplos de prueba."), icon=":material/check:")
        return
    st.caption(
        ngettext(
            "{n} ejemplo de prueba salió mal; primero, aquellos en que el modelo estaba más seguro.",
            "{n} ejemplos de prueba salieron mal; primero, aquellos en que el modelo estaba más seguro.",
            result["wrong"],
        ).format(n=format_number(result["wrong"]))
    )
    table = pd.DataFrame(
        [
            {
                _("Pregunta") if task == "questions" else _("Texto"): one["text"],
                _("Correcto"): said(one["wanted"], task) or _("(sin respuesta)"),
                _("Dijo"): said(one["got"], task) or _("(sin respuesta)"),
                _("Seguridad"): format_percent(one["sure"], 0),
                **({_("Texto"): one["context"]} if task == "questions" else {}),
            }
            for one in result["mistakes"]
        ]
    )
    texts = (_("Texto"), _("Pregunta"), _("Correcto"), _("Dijo"))
    # All columns in sight: a cell that is cut opens when it is clicked.
    widths = {name: st.column_config.TextColumn(width=_WIDTH) for name in table.columns if name in texts}
    st.dataframe(table, hide_index=True, key="tn_mistakes", column_config=widths)


def _map(result: Mapping[str, Any], request: TuningRequest) -> None:
    found = result.get("map")
    if not found:
        return
    st.header(_("Los vectores [CLS], antes y después"))
    labels = [named(label) for label in found["labels"]]
    classes = sorted(set(labels))
    parts = {"before": _("Antes"), "after": _("Después")}
    if request.method == "head":
        parts = {"after": _("Antes y después")}
    for column, (part, title) in zip(st.columns(2), parts.items(), strict=False):
        with column:
            share = format_percent(found[f"{part}_share"], 0)
            st.markdown(f"**{title}** · " + plain(_("{share} de la varianza").format(share=share)))
            figure, alt = vector_map(found[part], labels, found["texts"], classes)
            st.plotly_chart(figure, key=f"tn_map_{part}", alt=alt, config={"displayModeBar": False})
    st.caption(
        _(
            "Cada punto es un texto de prueba, en los dos ejes en que más varían sus vectores (PCA). El cuerpo estaba "
            "congelado: los vectores de antes y de después son los mismos, y la cabeza aprendió a separarlos tal como "
            "están."
        )
        if request.method == "head"
        else _(
            "Cada punto es un texto de prueba, en los dos ejes en que más varían sus vectores (PCA). Al aprender, el "
            "cuerpo junta los textos de cada clase y separa los demás."
        )
    )


def _show_answer(found: Answer, task: str) -> None:
    if task == "classification":
        figure, alt = shares([named(name) for name, _chance in found.classes[:7]], [c for _n, c in found.classes[:7]])
        st.plotly_chart(figure, key="tn_try_plot", alt=alt, config={"displayModeBar": False})
        return
    if not found.marks:
        st.info(
            _("No encuentra ninguna.") if task == "entities" else _("Dice que el texto no lo responde."),
            icon=":material/search_off:",
        )
        return
    kinds = sorted({kind for _start, _end, kind, _sure in found.marks})
    marks = [
        Mark(
            start,
            end,
            f"{named(kind)} · {format_percent(sure, 0)}" if kind else format_percent(sure, 0),
            tone=kinds.index(kind) % _TONES,
        )
        for start, end, kind, sure in found.marks
    ]
    marked_text(found.text, marks, key="tn_try_marks")


def _try_it(run: RunFolder, request: TuningRequest, data: DataSet) -> None:
    if run.model is None:
        return
    st.header(_("Pruébalo"))
    first = request.sentences[0] if request.sentences else ""
    with st.form("tn_try", border=False):
        label = _("Tu pregunta") if request.task == "questions" else _("Tu texto")
        text = st.text_input(label, value=first, key=f"tn_try_text_{run.id}")
        context = ""
        if request.task == "questions":
            context = st.text_area(_("El texto"), value=request.context, key=f"tn_try_context_{run.id}")
        st.form_submit_button(_("Preguntar al modelo"), icon=":material/play_arrow:")
    with errors_shown():
        asked = ask(Asking(request, data), (text, context), model=key_of(run.id))
        _show_answer(asked.result, request.task)


def _use_it(run: RunFolder, request: TuningRequest, data: DataSet) -> None:
    """Links to the pages where the model stands beside the others."""
    if run.model is None:
        return
    first = next((text for text in request.sentences if text.strip()), "")
    asks = request.task == "questions"
    task = {"model": key_of(run.id), "task": _CARDS[request.task], "tl": data.language or get_language()}
    task |= {"question": first, "text": request.context} if asks else {"text": first}
    attention = {"model": key_of(run.id), "text": first, "second": request.context if asks else ""}
    with st.container(horizontal=True):
        for page, query, label, icon in (
            ("tasks", task, _("Úsalo en Tareas, junto a los demás"), ":material/checklist:"),
            ("attention", attention, _("Mira su atención"), ":material/visibility:"),
        ):
            kept = {name: pack_text(value) for name, value in query.items() if value}
            st.page_link(page_file(page), label=label, icon=icon, query_params=kept)
    st.caption(_("Allí también lo ves solo tú, en este navegador, hasta que lo borres."))


def _zip(folder: Path) -> bytes:
    with TemporaryDirectory() as place:
        file = Path(place) / "model.zip"
        zip_model(folder, file)
        return file.read_bytes()


def _table_bytes(table: pd.DataFrame) -> bytes:
    return csv_bytes(list(table.columns), table.itertuples(index=False))


def _delete(id_: str) -> None:
    with errors_shown():
        training_jobs().delete(owner(), id_)
        st.session_state[keys.CHOSEN] = ""


def _go_on(id_: str) -> None:
    with errors_shown():
        training_jobs().go_on(owner(), id_)


def delete_button(id_: str) -> None:
    """Deletes a run, after a second press."""
    with st.popover(_("Borrar"), icon=":material/delete:", key=f"tn_delete_{id_}"):
        st.markdown(_("Se borran el modelo, sus datos y sus resultados de este equipo. No se puede deshacer."))
        st.button(_("Borrar este entrenamiento"), key=f"tn_delete_sure_{id_}", on_click=_delete, args=(id_,))


def show_unfinished(view: RunView) -> None:
    """A run that failed or was cancelled."""
    if view.state.status == "failed":
        st.warning(plain(view.state.message or failure_text(view.state.reason)), icon=":material/info:")
    else:
        st.info(_("Lo cancelaste. Puede seguir desde su último punto guardado."), icon=":material/stop_circle:")
    with st.container(horizontal=True):
        st.button(_("Seguir"), icon=":material/resume:", key=f"tn_go_on_{view.id}", on_click=_go_on, args=(view.id,))
        delete_button(view.id)


def show_result(view: RunView, run: RunFolder) -> None:
    """A finished run, whole."""
    result = run.result
    if result is None:
        st.warning(_("Faltan los resultados de este entrenamiento. Bórralo y repítelo."), icon=":material/info:")
        delete_button(view.id)
        return
    request, data, lines = run.request, run.data, run.progress()
    _headline(view, result)
    _try_it(run, request, data)
    _use_it(run, request, data)
    st.header(_("Mientras aprendía"))
    curves(lines, key="tn_done")
    own_table(lines, [s for s in request.sentences if s.strip()], request.task, key="tn_done_own")
    st.header(_("Clase por clase") if request.task != "questions" else _("Con y sin respuesta"))
    table = class_table(result)
    st.dataframe(table, hide_index=True, key="tn_classes")
    if result["confusion"] and len(result["labels"]) <= 40:
        names = [named(label) for label in result["labels"]]
        if request.task == "entities":
            names[-1] = _("ninguna")
        outside, matrix = request.task == "entities", result["confusion"]
        drawn = names, matrix
        # Two dozen kinds side by side can't be read on a phone, nor from the last row.
        if len(names) > _READABLE + 1 and not st.toggle(_("Todas las clases"), key="tn_all_classes"):
            drawn = most_confused(names, matrix, _READABLE, outside=outside)
            st.caption(_("Las {n} clases que más se confunden; las demás van juntas.").format(n=_READABLE))
        figure, alt = confusion(*drawn, outside=outside)
        st.plotly_chart(figure, key="tn_confusion", alt=alt, config={"displayModeBar": False})
        if wrong := confused(names, matrix, _CONFUSED):
            st.caption(plain(_("Lo que más se confundió: {what}.").format(what="; ".join(wrong))))
    _mistakes(result, request.task)
    _map(result, request)
    downloads = [
        Download(_("Resultados (JSON)"), "result.json", "application/json", lambda: json_bytes(result)),
        Download(_("Clase por clase (CSV)"), "classes.csv", "text/csv", lambda: _table_bytes(table)),
    ]
    model = run.model
    if model is not None:
        size = sum(file.stat().st_size for file in model.iterdir()) / 2**20
        label = _("El modelo (ZIP, {n} MiB)").format(n=format_number(size))
        downloads.insert(0, Download(label, "model.zip", "application/zip", lambda: _zip(model)))
    share_row(keys.state(), code=program(request, data), downloads=tuple(downloads), key="tn_share")
    delete_button(view.id)
    marks = ("fine-tuning", "body-and-head", "loss-optimizer-batches", "transfer-learning")
    glossary_marks(*marks, *(("cls-pooling",) if request.task == "classification" else ()), key="tn_g_result")
