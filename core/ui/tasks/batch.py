"""Many texts at once: a table comes in, the model answers each row, a table with the answers goes out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd
import streamlit as st

from core.errors import TallerError
from core.i18n import format_duration, format_number, get_language, ngettext
from core.i18n import gettext as _
from core.runtime.batch import BatchJob, BatchState
from core.runtime.caller import calling
from core.runtime.engine import Outcome
from core.runtime.task import Task
from core.tables import MAX_ROWS, Table, read_table
from core.ui import charts
from core.ui.ask import in_background
from core.ui.downloads import csv_bytes
from core.ui.language import fragment
from core.ui.messages import plain, show_error
from core.ui.resources import engine
from core.ui.share import in_this_language
from core.ui.tuned import model_entry

# More bars can't be read; the table has all.
_BARS: Final = 20
_SEPARATOR_NAMES: Final = {",": ",", ";": ";", "\t": "↹", "|": "|"}


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """How a task answers many rows.

    Attributes:
        task: the task.
        make: a row's text → the request.
        columns: a result → the columns that it adds to the table.
        plot: a bar for each label, or a histogram of a number.
        column: which of the columns is plotted.
    """

    task: Task[Any, Any]
    make: Callable[[str], Any]
    columns: Callable[[Any], dict[str, Any]]
    plot: Literal["labels", "numbers"]
    column: str


@dataclass(slots=True)
class _Run:
    """A job and the table it answers."""

    job: BatchJob[Any, Any]
    table: Table
    texts: list[str]
    places: list[int]


def _read(key: str, example: bytes | None) -> Table | None:
    left, right = st.columns(2)
    upload = left.file_uploader(
        _("Un archivo CSV, TSV o TXT (hasta {n} filas)").format(n=format_number(MAX_ROWS)),
        key=f"{key}_file",
    )
    pasted = right.text_area(
        _("…o pega aquí una frase por línea"), key=f"{key}_pasted", height=120, persist_state="session"
    )
    if example is not None and upload is None and not (pasted or "").strip():

        def take() -> None:
            st.session_state[f"{key}_pasted"] = example.decode()

        right.button(_("Usar los ejemplos"), icon=":material/lightbulb:", key=f"{key}_example", on_click=take)
    try:
        if upload is not None:
            return read_table(upload.getvalue(), upload.name)
        if (pasted or "").strip():
            return read_table(pasted.encode("utf-8", "replace"), "pasted.txt", header=False)
    except TallerError as error:
        show_error(error)
    return None


def _start(key: str, spec: BatchSpec, table: Table, column: str, model: str) -> None:
    texts = table.column(column)
    places = [index for index, text in enumerate(texts) if text.strip()]
    requests = [spec.make(texts[index]) for index in places]
    before: _Run | None = st.session_state.get(f"{key}_run")
    if before is not None:
        before.job.cancel()
    sizes = {request: len(texts[index]) for request, index in zip(requests, places, strict=True)}
    with calling(in_background()):
        job = BatchJob(engine(), spec.task, requests, model=model, size=sizes.__getitem__)
    st.session_state[f"{key}_run"] = _Run(job, table, texts, places)


def show_batch(spec: BatchSpec, *, model: str, key: str, example: bytes | None) -> None:
    """The whole mode: file, column, button, progress, results.

    Args:
        spec: what to do with a row.
        model: key of the model.
        key: prefix for the widgets' keys.
        example: lines to try it with.
    """
    table = _read(key, example)
    if table is not None:
        read = _("{n} filas, leídas como {encoding}").format(n=format_number(len(table.rows)), encoding=table.encoding)
        if table.separator:
            read += _(", columnas separadas por «{separator}»").format(separator=_SEPARATOR_NAMES[table.separator])
        st.caption(plain(read))
        column = table.columns[0]
        if len(table.columns) > 1:
            names = list(table.columns)
            picked = st.selectbox(
                _("La columna con los textos"), names, index=names.index(table.likeliest_text()), key=f"{key}_column"
            )
            column = picked or names[0]
        with st.expander(_("Ver las primeras filas")):
            st.dataframe(pd.DataFrame(table.rows[:5], columns=list(table.columns)), hide_index=True)
        filled = sum(bool(text.strip()) for text in table.column(column))
        if not filled:
            st.info(_("Esa columna está vacía: elige otra."), icon=":material/info:")
            return
        label = ngettext("Responder {n} fila", "Responder {n} filas", filled).format(n=format_number(filled))
        st.button(
            f"{label} · {model_entry(model).name(get_language())}",
            type="primary",
            icon=":material/play_arrow:",
            key=f"{key}_start",
            on_click=_start,
            args=(key, spec, table, column, model),
            width="stretch",
        )
    run: _Run | None = st.session_state.get(f"{key}_run")
    if run is None:
        return
    if run.job.state().running:
        _progress(key)
    else:
        _results(spec, run, key)


def progress_text(state: BatchState) -> str:
    """How far a job is, how fast and how long it will take."""
    parts = [_("{done} de {total} filas").format(done=format_number(state.done), total=format_number(state.total))]
    if state.seconds_left is not None:
        parts.append(_("{n} por segundo").format(n=format_number(state.done / max(state.seconds, 1e-9), 1)))
        parts.append(_("faltan {time}").format(time=format_duration(state.seconds_left)))
    return " · ".join(parts)


@fragment(run_every=0.5)
def _progress(key: str) -> None:
    run: _Run = st.session_state[f"{key}_run"]
    state = run.job.state()
    st.progress(state.done / max(1, state.total), text=plain(progress_text(state)))
    st.button(_("Detener"), icon=":material/stop:", key=f"{key}_stop", on_click=run.job.cancel)
    if not state.running:
        st.rerun()


def result_rows(spec: BatchSpec, run: "_Run") -> tuple[list[str], list[list[Any]]]:
    """Header and rows: the table as it came, then the answers; a row that failed has its message."""
    answers: dict[int, dict[str, Any]] = {}
    errors: dict[int, str] = {}
    for place, outcome in zip(run.places, run.job.results(), strict=True):
        if isinstance(outcome, Outcome):
            answers[place] = spec.columns(outcome.result)
        elif outcome is not None:
            errors[place] = str(outcome)
    added = list(dict.fromkeys(name for found in answers.values() for name in found))
    problem = _("problema")
    header = [*run.table.columns, *added, *([problem] if errors else [])]
    rows = []
    for index, row in enumerate(run.table.rows):
        found = answers.get(index, {})
        cells = [*row, *(found.get(name) for name in added)]
        rows.append([*cells, errors.get(index, "")] if errors else cells)
    return header, rows


def _results(spec: BatchSpec, run: _Run, key: str) -> None:
    state = run.job.state()
    if state.message:
        st.warning(plain(state.message), icon=":material/info:")
    elif state.done < state.total:
        st.info(
            plain(
                _("Detenido: {done} de {total} filas están respondidas y se conservan.").format(
                    done=format_number(state.done), total=format_number(state.total)
                )
            ),
            icon=":material/info:",
        )
    if not state.done:
        return
    header, rows = result_rows(spec, run)
    st.markdown("### " + _("Resultados"))
    st.caption(
        plain(
            _("{n} filas en {time}, {speed} por segundo").format(
                n=format_number(state.done),
                time=format_duration(state.seconds),
                speed=format_number(state.done / max(state.seconds, 1e-9), 1),
            )
        )
    )
    # The visitor's own columns come first and may have the same name.
    if spec.column in header[len(run.table.columns) :]:
        place = header.index(spec.column, len(run.table.columns))
        found = [row[place] for row in rows if row[place] is not None]
        if spec.plot == "labels":
            counts = Counter(map(str, found)).most_common()
            figure, alt = charts.counts(
                [name for name, _n in counts[:_BARS]], [n for _l, n in counts[:_BARS]], _("filas")
            )
        else:
            figure, alt = charts.histogram(found, spec.column)
        st.plotly_chart(figure, key=f"{key}_plot", alt=alt, config={"displayModeBar": False})
    st.dataframe(pd.DataFrame(rows, columns=_unique(header)), hide_index=True)
    st.download_button(
        _("Descargar los resultados (CSV)"),
        data=in_this_language(lambda: csv_bytes(header, rows)),
        file_name="results.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"{key}_csv",
    )


def _unique(names: list[str]) -> list[str]:
    """Column names, all different, as a dataframe needs them: the visitor's may be like ours."""
    found: list[str] = []
    for name in names:
        fresh, again = name, 2
        while fresh in found:
            fresh, again = f"{name} ({again})", again + 1
        found.append(fresh)
    return found
