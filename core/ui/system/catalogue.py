"""View "Catálogo": every model the app knows, with filters, and a download for those that aren't here."""

import streamlit as st

from core.catalog import TASKS, ModelEntry, Tier, entries_for
from core.i18n import get_language, ngettext
from core.i18n import gettext as _
from core.runtime.hub import locate
from core.runtime.loading import locate_model
from core.settings import get_settings
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.glossary import glossary_marks
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.model_facts import licence_text, parameters_text
from core.ui.navigation import N_
from core.ui.resources import downloads
from core.ui.share import Download, share_row
from core.ui.state import PageState
from core.ui.system.download import download_control, size_text
from core.ui.system.form import ALL, HERE, LANGUAGE, TASK, TIER
from core.ui.system.operator import download_field

TASK_NAMES = {
    "tokenization": N_("Tokenización"),
    "fill-mask": N_("Palabra oculta"),
    "next-sentence": N_("Frase siguiente"),
    "sentiment": N_("Sentimiento"),
    "ner": N_("Entidades"),
    "question-answering": N_("Preguntas sobre un texto"),
    "summarization": N_("Resumen"),
    "translation-en-es": N_("Traducción inglés → español"),
    "translation-es-en": N_("Traducción español → inglés"),
    "text-generation": N_("Generación de texto"),
    "text2text": N_("Texto a texto"),
    "zero-shot": N_("Etiquetas libres"),
    "similarity": N_("Similitud"),
    "embeddings": N_("Vectores"),
    "coreference": N_("Correferencia"),
}
ARCHITECTURES = {
    "encoder": N_("codificador"),
    "decoder": N_("decodificador"),
    "encoder-decoder": N_("codificador-decodificador"),
}
_TIERS = {ALL: N_("Todos"), "workshop": N_("Del taller"), "reference": N_("De referencia")}
_PLACES = {
    "embedded": N_("viene con la aplicación"),
    "models_dir": N_("en la carpeta de modelos"),
    "hub_cache": N_("bajado del hub"),
    "memory": N_("en memoria"),
}
_EVERY = "_cat_show_every"
_FIRST = 8
CODE = """from core.catalog import entries
from core.runtime.loading import locate_model
from core.settings import get_settings

for entry in entries().values():
    place = locate_model(entry, get_settings())
    print(entry.key, entry.id, entry.licence, place.source if place else "-")
"""


def where(entry: ModelEntry) -> str | None:
    """Where a model is on this machine, in words; ``None`` if it isn't."""
    settings = get_settings()
    found = locate_model(entry, settings) if entry.weights else locate(entry, settings)
    return _(_PLACES[found.source]) if found else None


def _filters() -> list[ModelEntry]:
    columns = st.columns([2, 1.2, 1.3, 1.3], vertical_alignment="bottom")
    task = columns[0].selectbox(
        _("Tarea"),
        [ALL, *TASKS],
        format_func=lambda name: _("Todas") if name == ALL else _(TASK_NAMES[name]),
        key=TASK,
        persist_state="session",
    )
    language = columns[1].selectbox(
        _("Lengua del modelo"),
        [ALL, "es", "en"],
        format_func=lambda name: {ALL: _("Todas"), "es": _("Español"), "en": _("Inglés")}[name],
        key=LANGUAGE,
        persist_state="session",
    )
    tier = columns[2].selectbox(
        _("De dónde viene"), list(_TIERS), format_func=lambda name: _(_TIERS[name]), key=TIER, persist_state="session"
    )
    only_here = columns[3].toggle(_("Solo los de aquí"), key=HERE, persist_state="session")
    chosen_tier: Tier | None = None if tier == ALL else "workshop" if tier == "workshop" else "reference"
    found = entries_for(None if task == ALL else task, None if language == ALL else language, chosen_tier)
    return [entry for entry in found if not only_here or where(entry)]


def _facts(entry: ModelEntry) -> str:
    tongues = {"es": _("español"), "en": _("inglés")}
    facts = [_(ARCHITECTURES[entry.architecture]), " + ".join(tongues[name] for name in entry.languages)]
    if entry.weights:
        facts.append(parameters_text(entry))
        if entry.weights.download_mib:
            facts.append(size_text(entry.weights.download_mib))
    return " · ".join([*facts, licence_text(entry)])


def _card(entry: ModelEntry) -> None:
    language = get_language()
    place = where(entry)
    with st.container(border=True, key=f"model_{entry.key}", height="stretch", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"### {plain(entry.name(language))}", width="content")
            if place:
                st.badge(place, icon=":material/check:", color="green")
        st.markdown(plain(entry.teaches[language]))
        if entry.limits[language]:
            st.markdown(f":material/warning: {plain(entry.limits[language])}")
        st.caption(plain(_facts(entry)))
        tasks = " · ".join(_(TASK_NAMES[task]) for task in entry.tasks)
        st.caption(f"{plain(tasks)}  \n{plain(entry.id)}")
        if place is None and entry.weights and entry.weights.files:
            st.space("stretch")
            download_control(entry, key=f"cat_{entry.key}")


def _csv(chosen: list[ModelEntry]) -> bytes:
    rows = [
        (
            entry.key,
            entry.id,
            entry.tier,
            " ".join(entry.languages),
            entry.architecture,
            entry.weights.parameters if entry.weights else "",
            entry.weights.download_mib if entry.weights else "",
            entry.licence,
            " ".join(entry.tasks),
            where(entry) or "",
        )
        for entry in chosen
    ]
    header = ["key", "id", "tier", "languages", "architecture", "parameters", "mib", "licence", "tasks", "here"]
    return csv_bytes(header, rows)


def _json(chosen: list[ModelEntry]) -> bytes:
    language = get_language()
    return json_bytes(
        [
            {
                "key": entry.key,
                "id": entry.id,
                "name": entry.name(language),
                "tasks": entry.tasks,
                "teaches": entry.teaches[language],
                "limits": entry.limits[language],
                "licence": entry.licence,
                "here": where(entry) is not None,
            }
            for entry in chosen
        ]
    )


def _show_cards(chosen: list[ModelEntry]) -> None:
    before = {key for key, state in downloads().states().items() if state.active}
    shown = chosen if st.session_state.get(_EVERY) else chosen[:_FIRST]
    for left in range(0, len(shown), 2):
        for column, entry in zip(st.columns(2), shown[left : left + 2], strict=False):
            with column:
                _card(entry)
    if len(shown) < len(chosen):
        label = ngettext("Ver {n} modelo más", "Ver {n} modelos más", len(chosen) - len(shown))
        st.button(
            label.format(n=len(chosen) - len(shown)),
            icon=":material/expand_more:",
            key="cat_every",
            on_click=lambda: st.session_state.update({_EVERY: True}),
        )
    after = {key for key, state in downloads().states().items() if state.active}
    if before != after or st.session_state.get("_cat_polled") != bool(after):
        # The polling begins with the first download and ends with the last.
        st.session_state["_cat_polled"] = bool(after)
        st.rerun()


@fragment(run_every=1.0)
def _polled_cards(chosen: list[ModelEntry]) -> None:
    _show_cards(chosen)


def show_catalogue(state: PageState) -> None:
    """The whole view."""
    st.header(_("Catálogo"))
    chosen = _filters()
    here = sum(where(entry) is not None for entry in chosen)
    count = ngettext("{n} modelo", "{n} modelos", len(chosen)).format(n=len(chosen))
    st.markdown(f"**{count}** · " + _("{n} en este equipo").format(n=here))
    if any(not entry.verified and entry.tier == "reference" for entry in chosen):
        st.caption(
            _(
                "Tamaños y licencias, según la página de cada modelo; quien administra los comprueba con "
                "«python -m core.catalog check»."
            )
        )
    if not chosen:
        st.info(_("Ningún modelo del catálogo cumple todo eso. Quita un filtro."), icon=":material/info:")
    download_field()
    active = any(download.active for download in downloads().states().values())
    st.session_state["_cat_polled"] = active
    if active:
        _polled_cards(chosen)
    else:
        _show_cards(chosen)
    share_row(
        state,
        code=CODE,
        downloads=(
            Download(_("Catálogo (CSV)"), "catalogue.csv", "text/csv", lambda: _csv(chosen)),
            Download(_("Catálogo (JSON)"), "catalogue.json", "application/json", lambda: _json(chosen)),
        ),
        key="sys_catalogue",
    )
    glossary_marks("hub-and-pipeline", "three-families", "context-window", key="g_catalogue")
