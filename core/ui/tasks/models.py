"""Which models can answer a task here: the choice of one, of a second beside it, and what to do without any."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from core.catalog import ModelEntry, entries_for, entry
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.runtime.choice import choose, on_this_machine
from core.runtime.engine import Outcome
from core.runtime.loading import locate_model
from core.settings import get_settings
from core.tasks.common import Timing
from core.training.tuned import gone, run_id
from core.ui.language import fragment
from core.ui.messages import plain
from core.ui.model_facts import licence_text, main_scores, parameters_text, score_text
from core.ui.resources import downloads
from core.ui.system.download import download_control, size_text
from core.ui.tasks.view import Language
from core.ui.tuned import model_entry, own_models, scores_of


@dataclass(frozen=True, slots=True)
class Models:
    """Models for a task: those on this machine, the best first, and those that could be downloaded."""

    here: tuple[ModelEntry, ...]
    missing: tuple[ModelEntry, ...]


def models_for(task: str, language: Language, instead: Sequence[str] = ()) -> Models:
    """Looks at the disk, never at the network. The visitor's own models come last.

    Args:
        task: the catalogue's name of the task.
        language: of the text.
        instead: tasks whose models do this one, too, in a way of their own; they come after the task's.
    """
    here = on_this_machine((task, *instead), language, get_settings())
    missing = [item for item in entries_for(task, language) if item.weights and item.embedded is None]
    own = [item for name in (task, *instead) for item in own_models(name, language)]
    return Models((*here, *own), tuple(item for item in missing if item not in here))


def size_line(item: ModelEntry) -> str:
    """A model's size and licence, in a few words."""
    return f"{parameters_text(item)} · {licence_text(item)}"


def _label(item: ModelEntry) -> str:
    name = item.name(get_language())
    # Its name is long: what tells it from the others comes first.
    if run_id(item.key):
        return f"{_('tuyo')} · {name}"
    kind = _("del taller") if item.tier == "workshop" else _("de referencia")
    return f"{name} · {kind}"


def choose_model(models: Models, key: str, task: str, language: Language, instead: Sequence[str] = ()) -> ModelEntry:
    """The field for the model that answers; says why, where it isn't the best there is.

    Args:
        models: what there is; at least one on this machine.
        key: the field's key.
        task: the catalogue's name of the task.
        language: of the text.
        instead: as for ``models_for``.
    """
    labels = {item.key: _label(item) for item in models.here}
    wanted = st.session_state.get(key) or None
    own = [item for item in models.here if run_id(item.key)]
    choice = choose(task, language, get_settings(), wanted, own, instead)
    lost = f"{key}_lost"
    if wanted not in labels:
        st.session_state[key] = choice.entry.key
        if wanted and run_id(wanted):
            st.session_state[lost] = choice.entry.key
    chosen = st.selectbox(
        _("Modelo"),
        list(labels),
        format_func=labels.__getitem__,
        key=key,
        persist_state="session",
        help=plain(choice.why) if choice.why else None,
    )
    if st.session_state.get(lost) == chosen:
        st.info(plain(str(gone())), icon=":material/person_off:")
    else:
        st.session_state.pop(lost, None)
    item = model_entry(chosen or choice.entry.key)
    if run_id(item.key):
        st.caption(_("Lo entrenaste tú: responde según los datos que le diste, y solo lo ves en este navegador."))
    return item


def choose_second(first: ModelEntry, tasks: Sequence[str], key: str) -> ModelEntry | None:
    """The field for a second model beside the first; those of the other language are offered, too.

    Args:
        first: the one that answers.
        tasks: the catalogue's names of the tasks whose models are offered, the page's own first.
        key: the field's key.
    """
    able = [
        item
        for item in {item.key: item for task in tasks for item in (*entries_for(task), *own_models(task))}.values()
        if item.weights is not None and item.key != first.key and locate_model(item, get_settings()) is not None
    ]
    if not able:
        return None
    labels = {"": _("ninguno"), **{item.key: _label(item) for item in able}}
    if st.session_state.get(key, "") not in labels:
        st.session_state[key] = ""
    chosen = st.selectbox(
        _("Comparar con"),
        list(labels),
        format_func=labels.__getitem__,
        key=key,
        persist_state="session",
    )
    return model_entry(chosen) if chosen else None


@fragment(run_every=2.0)
def _watch(keys: tuple[str, ...]) -> None:
    if not any(downloads().state(entry(key)).active for key in keys):
        st.rerun()


def offer_downloads(models: Models, key: str, wanted: str | None = None) -> None:
    """Without a model on this machine: says so, and offers those that could be downloaded.

    Args:
        models: what could be downloaded.
        key: prefix for the widgets' keys.
        wanted: key of the model that a link asks for, if any.
    """
    if wanted and run_id(wanted):
        st.info(plain(str(gone())), icon=":material/person_off:")
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


# Of what ships under ``core/models``, what others trained and this project only made smaller.
_CUT: Final = frozenset({"mini-e5"})


def milliseconds(value: float) -> str:
    """A duration as short as its size deserves."""
    if value >= 1000:
        return _("{n} s").format(n=format_number(value / 1000, 1))
    return _("{n} ms").format(n=format_number(value, 1 if value < 10 else 0))


def show_answered_by(item: ModelEntry, outcome: Outcome[object]) -> None:
    """Who answered, how large it is, and where the time went."""
    reader = get_language()
    lines = [size_line(item)]
    if (item.embedded or "").startswith("core:"):
        made = _("recortado por este proyecto") if item.key in _CUT else _("entrenado por este proyecto")
        lines = [f"{lines[0]} · {made}"]
    lines += [score_text(score) for score in main_scores(scores_of(item))]
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
    place = _("clúster Ray, {device}").format(device=outcome.device) if outcome.engine == "ray" else outcome.device
    st.caption(plain(f"{place}: {text}") if text else plain(place))
    if outcome.note:
        st.caption(plain(outcome.note))
