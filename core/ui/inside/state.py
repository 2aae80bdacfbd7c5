"""The page's state, which is its link: texts, model, view, step and the value that is chosen."""

from typing import Final

import streamlit as st

from core.course.inside import InsideExample, inside_example, inside_examples
from core.i18n import get_language
from core.lens.forward_reading import ForwardRequest
from core.ui.navigation import N_
from core.ui.state import PageState, Param, catalogue_key, one_of, pack_text, unpack_text

VIEWS: Final = {
    "walk": (N_("El recorrido"), ":material/route:"),
    "answer": (N_("La respuesta"), ":material/output:"),
    "parameters": (N_("Los parámetros"), ":material/donut_large:"),
    "race": (N_("La carrera"), ":material/speed:"),
}

TEXT, SECOND, MODEL, VIEW = "in_text", "in_second", "in_model", "in_view"
STEP, HEAD, ROW, COLUMN, ADDED = "in_step", "in_head", "in_row", "in_column", "in_added"
EXAMPLE, PENDING, FILLED = "in_example", "in_pending", "in_filled"
# The decoder of an encoder-decoder writes to the end by itself.
AUTO: Final = "auto"


def _added(text: str) -> str:
    if text not in (AUTO, ""):
        ids = [int(part) for part in text.split("-")]
        if len(ids) > 512 or any(token < 0 for token in ids):
            raise ValueError(text)
    return text


STATE: Final = PageState(
    "inside",
    (
        # No text and no model is anybody's default: a link always says which, as machines have different ones.
        Param("text", TEXT, "", pack_text, unpack_text),
        Param("second", SECOND, "", pack_text, unpack_text),
        Param("model", MODEL, "", str, catalogue_key),
        Param("view", VIEW, "walk", str, one_of(*VIEWS)),
        Param("step", STEP, "", str, str),
        Param("head", HEAD, 0, str, int),
        Param("row", ROW, -1, str, int),
        Param("column", COLUMN, -1, str, int),
        Param("added", ADDED, AUTO, str, _added),
        # An order rather than a state: carried out once, then gone from the link.
        Param("example", EXAMPLE, "", str, str),
    ),
)


def request() -> ForwardRequest:
    """The texts of the form, and what a decoder has written after them."""
    session = st.session_state
    added = session[ADDED]
    ids = None if added == AUTO else tuple(int(part) for part in added.split("-") if part)
    return ForwardRequest(session[TEXT] or "", session[SECOND] or "", ids)


def write(ids: tuple[int, ...] | None) -> None:
    """Makes these the ids that the decoder has written; ``None`` lets it write by itself."""
    st.session_state[ADDED] = AUTO if ids is None else "-".join(map(str, ids))
    forget_cell()


def forget_cell() -> None:
    """Another text or step: the value that was chosen is no longer there."""
    st.session_state[ROW] = st.session_state[COLUMN] = -1


def forget_text() -> None:
    """Another text: what was written after the last one doesn't belong to it."""
    st.session_state[ADDED] = AUTO
    st.session_state.pop(PENDING, None)
    forget_cell()


def choose_step(step: str) -> None:
    """Opens a step."""
    st.session_state[STEP] = step
    forget_cell()


def go(step: str, index: tuple[int, ...], axes: tuple[str, ...]) -> None:
    """Opens a step with one of its values chosen.

    Args:
        step: its id.
        index: place of the value, without the batch.
        axes: of the step, the batch first.
    """
    session = st.session_state
    session[STEP] = step
    if axes[1] == "heads":
        session[HEAD], session[ROW], session[COLUMN] = index
    elif len(index) == 2:
        session[ROW], session[COLUMN] = index
    elif axes[1] == "tokens":
        session[ROW], session[COLUMN] = index[0], 0
    else:
        session[ROW], session[COLUMN] = 0, index[0]


def apply_example(key: str) -> None:
    """Fills the form with an example and opens its step."""
    try:
        example: InsideExample = inside_example(key)
    except KeyError:
        return
    session = st.session_state
    session[TEXT], session[SECOND], session[MODEL] = example.text, example.second, example.model
    session[VIEW], session[STEP], session[HEAD] = example.view, example.step, example.head
    forget_text()
    # Which tokens the words are is known once the model has read them.
    session[PENDING] = (example.row, example.column)


def arrive(models: list[str]) -> None:
    """Takes over what the link says; an example named in it is applied once.

    Args:
        models: keys of those that are here.
    """
    STATE.arrive()
    session = st.session_state
    if session[EXAMPLE]:
        apply_example(session[EXAMPLE])
        session[EXAMPLE] = ""
    if not session.get(FILLED) and not session[TEXT]:
        reader = get_language()
        asked = {key: session[key] for key in (MODEL, VIEW, STEP, HEAD, ROW, COLUMN)}
        offered = [item for item in inside_examples() if item.model in models and item.view == "walk"]
        first = next((item for item in offered if item.language == reader), offered[0] if offered else None)
        if first is not None:
            apply_example(first.id)
        # A link without a text may still say what to show of it.
        defaults = {param.key: param.default for param in STATE.params}
        given = {key: value for key, value in asked.items() if value != defaults[key]}
        session.update(given)
        if {STEP, ROW, COLUMN} & set(given):
            session.pop(PENDING, None)
    session[FILLED] = True
