"""The page's state, which is its link: the whole form, and which view is open. Runs are in no link."""

from collections.abc import Callable
from typing import Final, cast

import streamlit as st

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
from core.ui.state import PageState, Param, catalogue_key, one_of, pack_text, unpack_text
from core.ui.tuning.data_section import data_params

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

VIEW, TASK, BASE = "tn_view", "tn_task", "tn_base"
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


def state() -> PageState:
    """The page's parameters; their defaults depend on the reader's language."""
    # Short names: the address has to stay readable.
    return PageState(
        "finetuning",
        (
            Param("view", VIEW, "train", decode=one_of(*VIEWS)),
            Param("task", TASK, "classification", decode=one_of(*TASKS)),
            *data_params(),
            Param("base", BASE, "", decode=catalogue_key),
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
    state().arrive()


def task() -> TuningTask:
    """The task that is open."""
    return cast(TuningTask, st.session_state[TASK])


def put_numbers(request: TuningRequest) -> None:
    """Fills the form's numbers with a request's."""
    form = st.session_state
    form[METHOD], form[EPOCHS], form[RATE] = request.method, request.epochs, request.learning_rate
    form[BATCH], form[LENGTH] = request.batch, request.max_length
    form[_FILLED] = (request.task, request.method)


def fill_numbers(base: str) -> None:
    """Gives the numbers their defaults where the task or the method is another than the one they belong to."""
    form = st.session_state
    now = (form[TASK], form[METHOD])
    given = all(form[key] for key in (EPOCHS, RATE, BATCH, LENGTH))
    if form.get(_FILLED) == now or (_FILLED not in form and given):  # given: a link brought them
        form[_FILLED] = now
        return
    wanted = defaults(task(), cast(Method, form[METHOD]), base)
    if _FILLED not in form:  # of a link, those that it names stay
        for key, value in (
            (EPOCHS, wanted.epochs),
            (RATE, wanted.learning_rate),
            (BATCH, wanted.batch),
            (LENGTH, wanted.max_length),
        ):
            form[key] = form[key] or value
        form[_FILLED] = now
    else:
        put_numbers(wanted)


def preset_now(base: str) -> Preset | None:
    """The preset that the form's numbers are, if they are one's."""
    form = st.session_state
    for name in PRESETS:
        one = preset(name, task(), base)
        if (one.method, one.epochs, one.learning_rate, one.batch, one.max_length) == (
            form[METHOD],
            form[EPOCHS],
            form[RATE],
            form[BATCH],
            form[LENGTH],
        ):
            return name
    return None
