"""View "Modelos en memoria": what is loaded, the budget, the queue; disk use and versions."""

import streamlit as st

from core.catalog import entries
from core.i18n import format_number, ngettext
from core.i18n import gettext as _
from core.runtime.device import CPU
from core.runtime.loading import locate_model
from core.runtime.machine import describe
from core.runtime.pool import MIB, LoadedModel
from core.runtime.storage import Store, stores
from core.settings import get_settings
from core.ui.downloads import csv_bytes
from core.ui.gauges import Gauge, gauge_view
from core.ui.glossary import glossary_marks
from core.ui.language import fragment
from core.ui.messages import errors_shown, plain
from core.ui.readings import model_name
from core.ui.resources import engine, model_pool
from core.ui.share import Download, share_row
from core.ui.state import PageState
from core.ui.system.live import ago
from core.ui.system.operator import is_operator, operator_field

_WANTED = "_models_wanted"
_UNLOADED = "_models_unloaded"
CODE = """import torch
from core.runtime.pool import ModelPool
from core.settings import get_settings

pool = ModelPool(get_settings())
with pool.use("minilm") as bundle, torch.inference_mode():
    vectors = bundle.model(**bundle.encode(["The cat sat on the mat."])).last_hidden_state
    print(tuple(vectors.shape), bundle.device.name, bundle.dtype)
for model in pool.loaded():
    print(model.name, f"{model.bytes / 2**20:.0f} MiB", model.uses)
"""
_STORE_NAMES = {
    "shipped": lambda: _("Los modelos que vienen con la aplicación"),
    "models_dir": lambda: _("La carpeta de modelos (TALLER_MODELS_DIR)"),
    "hub_cache": lambda: _("Lo bajado del hub"),
}


def _unload(key: str) -> None:
    if not is_operator():
        return
    # Somebody else, or a load that needed the room, may have been faster.
    gone = model_pool().unload(key) or model_pool().state(key) != "ready"
    # Only what happened: callbacks run before the visitor's language is known.
    st.session_state[_UNLOADED] = (key, gone)


def _show_unloaded() -> None:
    key, gone = st.session_state.pop(_UNLOADED, (None, False))
    if key is None:
        return
    text = (
        _("{name} ya no está en memoria.")
        if gone
        else _("{name} está en uso en este momento: espera a que termine y vuelve a intentarlo.")
    )
    st.info(plain(text.format(name=model_name(key))), icon=":material/info:")


def _card(model: LoadedModel, operator: bool) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"### {plain(model_name(model.key))}", width="stretch")
            if operator:
                st.button(
                    _("Quitar de la memoria"),
                    icon=":material/eject:",
                    key=f"unload_{model.device}_{model.key}",
                    on_click=_unload,
                    args=(model.key,),
                )
        uses = ngettext("{n} uso", "{n} usos", model.uses).format(n=format_number(model.uses))
        facts = [
            f"**{format_number(model.bytes / MIB)} MiB** · {plain(model.dtype)} · {plain(model.device)}",
            f"{uses} · " + _("el último, {ago}").format(ago=ago(model.last_used)),
            _("cargado en {s} s").format(s=format_number(model.load_s, 1)),
        ]
        if model.in_use:
            facts.append(_("**en uso ahora**"))
        st.markdown(" · ".join(facts))
        if model.note:
            st.caption(plain(model.note))


def _budget_gauges() -> list[Gauge]:
    pool = model_pool()
    places = [pool.device]
    if pool.device.name != CPU.name and pool.used_bytes(CPU):
        places.append(CPU)  # what did not fit on the card
    text = _("{used} de {budget} MiB en {device}")
    gauges = []
    for place in places:
        used, budget = pool.used_bytes(place), pool.budget_bytes(place)
        title = _("Memoria de los modelos")
        gauges.append(
            Gauge(
                f"{title} · {place.name}" if len(places) > 1 else title,
                text.format(used=format_number(used / MIB), budget=format_number(budget / MIB), device=place.name),
                used / budget if budget else 1.0,
                facts=(
                    (_("Peticiones en espera"), format_number(engine().waiting(place.name))),
                    (_("Calculando ahora"), format_number(engine().running(place.name))),
                ),
            )
        )
    return gauges


@fragment()
def _show_loaded() -> None:
    _show_unloaded()
    loaded = model_pool().loaded()
    nothing = Gauge(_("Memoria de los modelos"), format_number(0) + " MiB", 0.0)
    gauge_view(_budget_gauges() if loaded else [nothing], key="models_gauge", every_s=3.0)
    if not loaded:
        st.info(
            _("Ningún modelo está en memoria todavía. El primero que lo necesite lo carga para todos; tarda segundos."),
            icon=":material/info:",
        )
        return
    operator = is_operator()
    for model in loaded:
        _card(model, operator)


def _show_load() -> None:
    settings = get_settings()
    here = [item for item in entries().values() if item.weights and locate_model(item, settings)]
    idle = [item for item in here if model_pool().state(item.key) != "ready"]
    if not idle:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            _("Cargar un modelo que está en este equipo"),
            [item.key for item in idle],
            format_func=model_name,
            key="models_load",
        )
        st.button(
            _("Cargar ahora"),
            icon=":material/play_arrow:",
            key="models_load_now",
            on_click=lambda: st.session_state.update({_WANTED: st.session_state.get("models_load")}),
        )
    wanted = st.session_state.pop(_WANTED, None)
    if wanted:
        with errors_shown():
            with st.spinner(_("Cargando…"), show_time=True), model_pool().use(wanted):
                pass
            st.rerun()


def _show_store(store: Store) -> None:
    title = _STORE_NAMES[store.kind]()
    size = format_number(store.bytes / MIB)
    free = format_number(store.free_bytes / 2**30, 1)
    with st.expander(f"{title}: **{size} MiB** · " + _("{free} GiB libres en su disco").format(free=free)):
        st.text(str(store.folder))
        if store.damaged:
            damaged = _("{n} entradas están dañadas: «hf cache verify» dice cuáles. Se pueden borrar y bajar de nuevo.")
            st.warning(damaged.format(n=store.damaged))
        if store.models:
            st.dataframe(
                {_("Modelo"): [m for m, _s in store.models], "MiB": [round(s / MIB, 1) for _m, s in store.models]},
                hide_index=True,
            )
        else:
            st.caption(_("No hay ninguno."))


def _csv() -> bytes:
    rows = [
        (m.key, m.name, m.device, m.dtype, m.bytes, m.uses, m.in_use, round(m.load_s, 3)) for m in model_pool().loaded()
    ]
    return csv_bytes(["key", "model", "device", "dtype", "bytes", "uses", "in_use", "load_s"], rows)


def _show_versions() -> None:
    st.header(_("Versiones"))
    machine = describe()
    versions = {"Python": machine.python, **machine.libraries}
    for index, gpu in enumerate(machine.gpus):
        versions[f"GPU {index}"] = f"{gpu.name} · {gpu.driver}"
    st.dataframe({_("Programa"): list(versions), _("Versión"): list(versions.values())}, hide_index=True)


def show_models(state: PageState) -> None:
    """The whole view."""
    st.header(_("Modelos en memoria"))
    _show_loaded()
    operator_field()
    _show_load()
    share_row(
        state,
        code=CODE,
        downloads=(Download(_("Modelos en memoria (CSV)"), "models.csv", "text/csv", _csv),),
        key="sys_models",
    )
    glossary_marks("transformers-library", "gpu-and-tpu", key="g_models")
    st.header(_("En el disco"))
    for store in stores(get_settings()):
        _show_store(store)
    _show_versions()
