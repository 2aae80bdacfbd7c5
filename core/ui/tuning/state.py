"""The page's state, which is its link: the whole form, and which view is open. Runs are in no link."""

from collections.abc import Callable
from typing import Final, cast

import streamlit as st

from core.catalog import entries
from core.i18n import get_language
from core.training.data import TASKS, TuningTask
from core.training.tuning.request import (
    LIMITS,
    METHODS,
    PRESETS,
    STARTS,
    Method,
    Preset,
    TuningRequest,
    defaults,
    preset,
)
from core.ui.navigation import N_
from core.ui.state import PageState, Param, one_of, pack_text, unpack_text

VIEWS: Final = {
    "train": (N_("Entrenar"), ":material/model_training:"),
    "runs": (N_("Mis entrenamientos"), ":material/monitoring:"),
    "compare": (N_("Comparar"), ":material/compare_arrows:"),
}
TASK_NAMES: Final[dict[str, tuple[str, str]]] = {
    "classification": (N_("Clasificar textos"), ":material/category:"),
    "entities": (N_("Encontrar entidades"), ":material/label:"),
    "questions": (N_("Responder preguntas"), ":material/quiz:"),
}
RATES: Final = (1e-5, 2e-5, 3e-5, 5e-5, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2)

VIEW, TASK, LANGUAGE, BASE = "tn_view", "tn_task", "tn_language", "tn_base"
PRESET, METHOD, START = "tn_preset", "tn_method", "tn_start"
EPOCHS, RATE, BATCH, LENGTH, SEED, ADAPT = "tn_epochs", "tn_rate", "tn_batch", "tn_length", "tn_seed", "tn_adapt"
SENTENCES, CONTEXT, RAW = "tn_sentences", "tn_context", "tn_raw"
CHOSEN: Final = "tn_run"
# Which set of defaults the numbers belong to, so that another task or method brings its own.
_FILLED: Final = "tn_filled"


def _number(name: str) -> Callable[[str], int]:
    least, most = LIMITS[name]

    def decode(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return decode


def _rate(text: str) -> float:
    value = float(text)
    if value not in RATES:
        raise ValueError(text)
    return value


def _base(text: str) -> str:
    if text not in entries():
        raise ValueError(text)
    return text


# Short names: the address has to stay readable.
STATE: Final = PageState(
    "finetuning",
    (
        Param("view", VIEW, "train", decode=one_of(*VIEWS)),
        Param("task", TASK, "classification", decode=one_of(*TASKS)),
        Param("tl", LANGUAGE, "", decode=one_of("es", "en")),
        Param("base", BASE, "", decode=_base),
        Param("method", METHOD, "head", decode=one_of(*METHODS)),
        Param("start", START, "pretrained", decode=one_of(*STARTS)),
        Param("epochs", EPOCHS, 0, decode=_number("epochs")),
        Param("rate", RATE, 0.0, lambda value: f"{value:g}", _rate),
        Param("batch", BATCH, 0, decode=_number("batch")),
        Param("length", LENGTH, 0, decode=_number("max_length")),
        Param("seed", SEED, 1, decode=_number("seed")),
        Param("adapt", ADAPT, 3, decode=_number("adapt_epochs")),
        Param("own", SENTENCES, "", pack_text, unpack_text),
        Param("context", CONTEXT, "", pack_text, unpack_text),
        Param("raw", RAW, "", pack_text, unpack_text),
    ),
)


def arrive() -> None:
    """Takes over what the link says."""
    STATE.arrive()
    if not st.session_state[LANGUAGE]:
        st.session_state[LANGUAGE] = get_language()


def task() -> TuningTask:
    """The task that is open."""
    return cast(TuningTask, st.session_state[TASK])


def put_numbers(request: TuningRequest) -> None:
    """Fills the form's numbers with a request's."""
    state = st.session_state
    state[METHOD], state[EPOCHS], state[RATE] = request.method, request.epochs, request.learning_rate
    state[BATCH], state[LENGTH] = request.batch, request.max_length
    state[_FILLED] = (request.task, request.method)


def fill_numbers(base: str) -> None:
    """Gives the numbers their defaults where the task or the method is another than the one they belong to."""
    state = st.session_state
    now = (state[TASK], state[METHOD])
    given = all(state[key] for key in (EPOCHS, RATE, BATCH, LENGTH))
    if state.get(_FILLED) == now or (_FILLED not in state and given):  # given: a link brought them
        state[_FILLED] = now
        return
    wanted = defaults(task(), cast(Method, state[METHOD]), base)
    if _FILLED not in state:  # of a link, those that it names stay
        for key, value in (
            (EPOCHS, wanted.epochs),
            (RATE, wanted.learning_rate),
            (BATCH, wanted.batch),
            (LENGTH, wanted.max_length),
        ):
            state[key] = state[key] or value
        state[_FILLED] = now
    else:
        put_numbers(wanted)


def preset_now(base: str) -> Preset | None:
    """The preset that the form's numbers are, if they are one's."""
    state = st.session_state
    for name in PRESETS:
        one = preset(name, task(), base)
        if (one.method, one.epochs, one.learning_rate, one.batch, one.max_length) == (
            state[METHOD],
            state[EPOCHS],
            state[RATE],
            state[BATCH],
            state[LENGTH],
        ):
            return name
    return None
