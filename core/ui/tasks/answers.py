"""Answers that several visitors share: thirty students who press the same button cost one computation."""

import threading
from collections.abc import Hashable
from typing import Any, Final

import cachetools
import streamlit as st

from core.i18n import get_language
from core.runtime.engine import Outcome
from core.runtime.task import Task
from core.ui.resources import engine

# Enough for a class; a result is some kilobytes, a long text's some hundred.
_KEPT: Final = 128


@st.cache_resource(show_spinner=False)
def _shelf() -> tuple[cachetools.LRUCache[Hashable, Outcome[Any]], threading.Lock]:
    return cachetools.LRUCache(_KEPT), threading.Lock()


def answer(task: Task[Any, Any], request: Any, model: str) -> Outcome[Any]:
    """What ``model`` answers to ``request``: computed, or found among the last answers.

    Only whoever types the very same request gets to see its answer.

    Raises:
        TallerError: what the reader should be told.
    """
    kept, lock = _shelf()
    # Messages inside an outcome are in the language of whoever asked first.
    key = (task.name, type(request).__name__, request, model, get_language())
    with lock:
        found = kept.get(key)
    if found is None:
        found = engine().run(task, request, model=model)
        with lock:
            kept[key] = found
    return found
