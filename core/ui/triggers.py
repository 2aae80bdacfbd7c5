"""What a click inside a component of ours sends, read before the page runs again.

The body of a page is no place to read it: a rerun that something else asks for (a gauge's tick, another widget) may
cut a run short before it gets there, and the click is lost. A callback runs first and whole. It also spares the second
run that a page would need to draw what was chosen.
"""

from typing import Any

import streamlit as st


def sent(key: str, name: str) -> Any:
    """The trigger ``name`` of the component with this key; ``None`` outside the callback of its change."""
    state: Any = st.session_state.get(key)
    return None if state is None else state.get(name)


def sent_index(key: str, name: str, count: int) -> int | None:
    """A trigger that has to be one of ``range(count)``: it comes from a browser, and anything else is nothing."""
    value = sent(key, name)
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and int(value) == value
    return int(value) if whole and 0 <= value < count else None
