"""View "¿Listos para el taller?": per page what is here, how fast it answers, and one button for the rest."""

import html
from datetime import datetime
from typing import Literal

import streamlit as st

from core.catalog import ModelEntry, entries, entries_for
from core.errors import TallerError
from core.i18n import format_number, get_language, ngettext
from core.i18n import gettext as _
from core.runtime.loading import locate_model
from core.runtime.machine import describe
from core.runtime.readiness import PageNeeds, check, measure
from core.settings import get_settings
from core.ui.glossary import glossary_marks
from core.ui.language import fragment
from core.ui.messages import plain, show_error
from core.ui.navigation import PAGES
from core.ui.resources import downloads, model_pool, tokenizer_store
from core.ui.share import Download, share_row
from core.ui.state import PageState
from core.ui.system.download import progress_text, size_text
from core.ui.system.operator import download_field, may_download

LATENCIES = "ready_latencies"
_MEASURE = "_ready_measure"
CODE = """from core.runtime.readiness import check, measure
from core.runtime.pool import ModelPool
from core.settings import get_settings

for page in check(get_settings()):
    here = [need.entry.key for need in page.needs if need.here]
    print(page.page, "ready" if page.works else "not ready", here)
print(f"{measure(ModelPool(get_settings()), 'minilm'):.0f} ms for 30 words")
"""


def _page_title(name: str) -> str:
    return next((_(spec.title) for spec in PAGES if spec.name == name), name)


def _verdict(page: PageNeeds) -> tuple[str, Literal["green", "blue", "red"], str]:
    """Icon, colour and words: never the colour alone."""
    if page.complete:
        return ":material/check_circle:", "green", _("todo está aquí")
    if page.works:
        missing = sum(not need.here for need in page.needs)
        text = ngettext("funciona; falta {n} modelo", "funciona; faltan {n} modelos", missing)
        return ":material/task_alt:", "blue", text.format(n=missing)
    return ":material/error:", "red", _("no funcionará sin internet")


def _show_page(page: PageNeeds) -> None:
    icon, colour, words = _verdict(page)
    language = get_language()
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"### {plain(_page_title(page.page))}", width="content")
            st.badge(words, icon=icon, color=colour)
        here = [need for need in page.needs if need.here]
        away = [need for need in page.needs if not need.here]
        if here:
            st.markdown(
                ":material/check: **" + _("Aquí") + "**: " + plain(", ".join(n.entry.name(language) for n in here))
            )
        if away:
            names = [f"{need.entry.name(language)} ({size_text(need.missing_mib)})" for need in away]
            st.markdown(":material/download: **" + _("Por bajar") + "**: " + plain(", ".join(names)))


def _on_disk() -> list[ModelEntry]:
    settings = get_settings()
    return [item for item in entries().values() if item.weights and locate_model(item, settings)]


def _measure_all() -> None:
    found: dict[str, float] = st.session_state.setdefault(LATENCIES, {})
    models = _on_disk()
    bar = st.progress(0.0)
    for index, item in enumerate(models):
        bar.progress(index / len(models), text=plain(item.name(get_language())))
        try:
            found[item.key] = measure(model_pool(), item.key)
        except TallerError as error:
            show_error(error)
    bar.empty()


def _show_latencies() -> None:
    st.header(_("Cuánto tarda cada modelo en este equipo"))
    st.markdown(_("Una frase de treinta palabras: la mediana de cinco intentos con el modelo ya en memoria."))
    st.button(
        _("Medir ahora"),
        icon=":material/timer:",
        key="ready_measure",
        on_click=lambda: st.session_state.update({_MEASURE: True}),
    )
    if st.session_state.pop(_MEASURE, False):
        _measure_all()
    found: dict[str, float] = st.session_state.get(LATENCIES, {})
    if found:
        language = get_language()
        st.dataframe(
            {
                _("Modelo"): [entries()[key].name(language) for key in found],
                _("Milisegundos"): [f"{format_number(value, 1)}" for value in found.values()],
            },
            hide_index=True,
        )


def _reference() -> list[ModelEntry]:
    settings = get_settings()
    return [
        item
        for item in entries_for(tier="reference")
        if item.weights and item.weights.files and locate_model(item, settings) is None
    ]


def _prepare(keys: list[str]) -> None:
    if may_download():
        for key in keys:
            downloads().start(entries()[key])
        missing = [page_need.entry for page in check(get_settings()) for page_need in page.needs if not page_need.here]
        for item in missing:
            tokenizer_store().fetcher.start(item, force=True)
        st.session_state["_ready_polled"] = True


@fragment(run_every=1.0)
def _show_progress() -> None:
    states = downloads().states()
    for state in states.values():
        if state.active:
            share = state.done_bytes / state.total_bytes if state.total_bytes else 0.0
            st.progress(min(1.0, share), text=plain(progress_text(state)))
        elif state.status in {"failed", "cancelled"}:
            st.warning(plain(state.message), icon=":material/info:")
    if not any(state.active for state in states.values()):
        st.session_state["_ready_polled"] = False
        st.rerun()


def _show_prepare() -> None:
    st.header(_("Preparar lo que falta"))
    language = get_language()
    missing = _reference()
    if not missing:
        st.success(_("Todos los modelos de referencia están en este equipo."), icon=":material/check_circle:")
        return
    st.markdown(
        _(
            "Los modelos del taller ya vienen con la aplicación. Elige qué modelos de referencia quieres además "
            "(si no eliges ninguno, todos); lo que se corte sigue donde quedó."
        )
    )
    sizes = {item.key: item.weights.download_mib for item in missing if item.weights}
    chosen = st.multiselect(
        _("Modelos de referencia"),
        list(sizes),
        format_func=lambda key: f"{entries()[key].name(language)} · {size_text(sizes[key])}",
        key="ready_models",
        placeholder=_("Elige los que vas a usar"),
    )
    wanted = chosen or list(sizes)
    total = sum(sizes[key] for key in wanted)
    free = downloads().free_disk_bytes() / 2**20
    count = ngettext("{n} modelo", "{n} modelos", len(wanted)).format(n=len(wanted))
    text = _("**{total}** por bajar · {free} libres en el disco")
    st.markdown(f"{count}: " + text.format(total=size_text(total), free=size_text(free)))
    if total > free:
        st.warning(_("No caben: elige menos o libera espacio."), icon=":material/info:")
    if not may_download():
        st.caption(_("Solo quien administra la aplicación puede bajar modelos aquí."))
        download_field()
    st.button(
        _("Preparar todo lo que falta"),
        icon=":material/download:",
        type="primary",
        key="ready_prepare",
        disabled=total > free or not may_download(),
        on_click=_prepare,
        args=(wanted,),
    )
    if get_settings().offline:
        st.caption(_("La aplicación trabaja sin conexión (TALLER_OFFLINE): nada se bajará."))
    if st.session_state.get("_ready_polled"):
        _show_progress()
    elif failed := [s for s in downloads().states().values() if s.status == "failed"]:
        for state in failed:
            st.warning(plain(state.message), icon=":material/info:")


def summary_rows(pages: list[PageNeeds], latencies: dict[str, float]) -> list[tuple[str, str, str, str]]:
    """The summary's lines: page, model, whether it is here, milliseconds."""
    language = get_language()
    rows = []
    for page in pages:
        rows += [
            (
                _page_title(page.page),
                need.entry.name(language),
                _("aquí") if need.here else _("falta ({size})").format(size=size_text(need.missing_mib)),
                "",
            )
            for need in page.needs
        ]
    for item in _on_disk():
        latency = latencies.get(item.key)
        text = "" if latency is None else f"{format_number(latency, 1)} ms"
        rows.append((_("En memoria"), item.name(language), _("aquí"), text))
    return rows


def summary_html(pages: list[PageNeeds], latencies: dict[str, float]) -> bytes:
    """A page to print: all text escaped, nothing fetched from anywhere."""
    machine = describe()
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in summary_rows(pages, latencies)
    )
    names = (_("Página"), _("Modelo"), _("Estado"), _("30 palabras"))
    heads = "".join(f"<th scope='col'>{html.escape(name)}</th>" for name in names)
    title = html.escape(_("¿Listos para el taller?"))
    verdicts = "".join(
        f"<li>{html.escape(_page_title(page.page))}: {html.escape(_verdict(page)[2])}</li>" for page in pages
    )
    facts = html.escape(
        f"{datetime.now():%Y-%m-%d %H:%M} · {machine.processor} · "
        + ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    )
    return (
        f"<!doctype html><html lang='{get_language()}'><meta charset='utf-8'><title>{title}</title>"
        "<style>body{font:16px/1.5 sans-serif;margin:2rem;max-width:60rem}table{border-collapse:collapse;width:100%}"
        "td,th{border:1px solid #888;padding:.3rem .6rem;text-align:left}</style>"
        f"<h1>{title}</h1><p>{facts}</p><ul>{verdicts}</ul>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table></html>"
    ).encode()


def show_readiness(state: PageState) -> None:
    """The whole view."""
    st.header(_("¿Listos para el taller?"))
    pages = check(get_settings())
    for page in pages:
        _show_page(page)
    _show_latencies()
    _show_prepare()
    latencies: dict[str, float] = dict(st.session_state.get(LATENCIES, {}))
    share_row(
        state,
        code=CODE,
        downloads=(
            Download(
                _("Resumen para imprimir (HTML)"), "taller.html", "text/html", lambda: summary_html(pages, latencies)
            ),
        ),
        key="sys_ready",
    )
    glossary_marks("hub-and-pipeline", "transformers-library", key="g_ready")
