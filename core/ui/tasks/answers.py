"""Answers that several visitors share: thirty students who press the same button cost one computation."""

from typing import Any, Final

import streamlit as st

from core.runtime.caller import calling
from core.runtime.engine import Outcome
from core.runtime.shelf import Shelf
from core.runtime.task import Task
from core.ui.ask import visitor
from core.ui.kept import kept_by
from core.ui.resources import engine

# A sentence's answer takes some kilobytes, a long text's some hundred.
_KEPT_BYTES: Final = 64 * 2**20


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf(_KEPT_BYTES, "answers")


def answer(task: Task[Any, Any], request: Any, model: str) -> Outcome[Any]:
    """What ``model`` answers to ``request``: computed, or found among the last answers.

    Only whoever types the very same request gets to see its answer.

    Raises:
        TallerError: what the reader should be told.
    """
    key = task.name, type(request).__name__, request, kept_by(model)
    with calling(visitor()):
        return _shelf().get(key, lambda: engine().run(task, request, model=model))
