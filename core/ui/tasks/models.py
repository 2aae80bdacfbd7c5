"""Which models can answer a task here: the choice of one, of a second beside it, and what to do without any."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.catalog import ModelEntry, entries_for, entry, scores
from core.i18n import format_number, format_percent, get_language
from core.i18n import gettext as _
from core.runtime.choice import choose
from core.runtime.engine import Outcome
from core.runtime.loading import locate_model
from core.settings import get_settings
from core.tasks.common import Timing
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.model_facts import licence_text, parameters_text
from core.ui.resources import downloads
from core.ui.system.download import download_control, size_text
from core.ui.tasks.view import Language


@dataclass(frozen=True, slots=True)
class Models:
    """Models for a task: those on this machine, the best first, and those that could be downloaded."""

    here: tuple[ModelEntry, ...]
    missing: tuple[ModelEntry, ...]


def models_for(task: str, language: Language) -> Models:
    """Looks at the disk, never at the network."""
    able = [item for item in entries_for(task, language) if item.weights is not None]
    here = [item for item in able if locate_model(item, get_settings()) is not None]
    here.sort(key=lambda item: item.tier != "reference")
    return Models(tuple(here), tuple(item for item in able if item not in here and item.embedded is None))


def size_line(item: ModelEntry) -> str:
    """A model's size and licence, in a few words."""
    return f"{parameters_text(item)} · {licence_text(item)}"


def _label(key: str) -> str:
    item = entry(key)
    kind = _("del taller") if item.tier == "workshop" else _("de referencia")
    return f"{item.name(get_language())} · {kind}"


def choose_model(models: Models, key: str, task: str, language: Language) -> ModelEntry:
    """The field for the model that answers; says why, where it isn't the best there is.

    Args:
        models: what there is; at least one on this machine.
        key: the field's key.
        task: the catalogue's name of the task.
        language: of the text.
    """
    keys = [item.key for item in models.here]
    wanted = st.session_state.get(key) or None
    choice = choose(task, language, get_settings(), wanted)
    if wanted not in keys:
        st.session_state[key] = choice.entry.key
    chosen = st.selectbox(
        _("Modelo"),
        keys,
        format_func=_label,
        key=key,
        persist_state="session",
        help=plain(choice.why) if choice.why else None,
    )
    return entry(chosen or choice.entry.key)


def choose_second(first: ModelEntry, tasks: Sequence[str], key: str) -> ModelEntry | None:
    """The field for a second model beside the first; those of the other language are offered, too.

    Args:
        first: the one that answers.
        tasks: the catalogue's names of the tasks whose models are offered, the page's own first.
        key: the field's key.
    """
    able = [
        item
        for item in {item.key: item for task in tasks for item in entries_for(task)}.values()
        if item.weights is not None and item.key != first.key and locate_model(item, get_settings()) is not None
    ]
    if not able:
        return None
    keys = ["", *(item.key for item in able)]
    if st.session_state.get(key, "") not in keys:
        st.session_state[key] = ""
    chosen = st.selectbox(
        _("Comparar con"),
        keys,
        format_func=lambda name: _label(name) if name else _("ninguno"),
        key=key,
        persist_state="session",
    )
    return entry(chosen) if chosen else None


@fragment(run_every=2.0)
def _watch(keys: tuple[str, ...]) -> None:
    if not any(downloads().state(entry(key)).active for key in keys):
        st.rerun()


def offer_downloads(models: Models, key: str) -> None:
    """Without a model on this machine: says so, and offers those that could be downloaded."""
    st.info(
        _("Ningún modelo de este equipo hace esta tarea en este idioma todavía. Con uno de estos, sí:"),
        icon=":material/cloud_off:",
    )
    reader = get_language()
    for item in models.missing:
        assert item.weights is not None
        with st.container(border=True):
            about = f"{size_line(item)} · {size_text(item.weights.download_mib)}"
            st.markdown(f"**{plain(item.name(reader))}**  \n:small[{plain(about)}]")
            download_control(item, key=f"{key}_{item.key}")
    active = tuple(item.key for item in models.missing if downloads().state(item).active)
    if active:
        _watch(active)


def milliseconds(value: float) -> str:
    """A duration as short as its size deserves."""
    if value >= 1000:
        return _("{n} s").format(n=format_number(value / 1000, 1))
    return _("{n} ms").format(n=format_number(value, 1 if value < 10 else 0))


def show_answered_by(item: ModelEntry, outcome: Outcome[object]) -> None:
    """Who answered, how large it is, and where the time went."""
    reader = get_language()
    made = " · " + _("entrenado por este proyecto") if (item.embedded or "").startswith("core:") else ""
    lines = [size_line(item) + made]
    measures = {"accuracy": _("aciertos"), "f1": "F1"}
    lines += [
        _("{metric} {value} en {test} (n = {n})").format(
            metric=measures.get(score.metric, score.metric),
            value=format_percent(score.value),
            test=score.test,
            n=format_number(score.n),
        )
        for score in scores(item.key)[:1]
    ]
    small = "  \n".join(f":small[{plain(line)}]" for line in lines)
    st.markdown(f":material/memory: **{plain(item.name(reader))}**  \n{small}")
    timing = getattr(outcome.result, "timing", None)
    parts = []
    if isinstance(timing, Timing):
        parts = [
            (_("tokenizar"), timing.tokenize_ms),
            (_("modelo"), timing.model_ms),
            (_("armar la respuesta"), timing.decode_ms),
        ]
    if outcome.queue_ms >= 1:
        parts.append((_("en la fila"), outcome.queue_ms))
    if outcome.load_ms:
        parts.append((_("cargar el modelo"), outcome.load_ms))
    text = " · ".join(f"{name} {milliseconds(value)}" for name, value in parts)
    st.caption(plain(f"{outcome.device}: {text}") if text else plain(outcome.device))
    if outcome.note:
        st.caption(plain(outcome.note))
