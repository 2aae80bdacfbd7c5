"""Questions to models from a page: asked for the visitor whose page it is, and withdrawn when they leave."""

from typing import TypeVar

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.runtime.caller import Caller, calling
from core.runtime.engine import Outcome
from core.runtime.task import Task
from core.ui.resources import engine

Req = TypeVar("Req")
Res = TypeVar("Res")


def visitor() -> Caller | None:
    """Whose page this script draws; ``None`` outside a page.

    Its check ends the script, as Streamlit itself would at its next element, when the visitor has closed the page, or
    pressed something else so that all of it is drawn anew.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return None
    session, ends_if_asked = context.session_id, context.yield_check

    def check() -> None:
        ends_if_asked()
        # A closed page keeps its session for a while, in case it was only a bad network. If so, its script runs again.
        if Runtime.exists() and not Runtime.instance().is_active_session(session):
            st.stop()

    return Caller(session, check)


def in_background() -> Caller | None:
    """The same for a thread that goes on while its page is drawn again; it has to notice by itself who is gone."""
    here = visitor()
    return None if here is None else Caller(here.id)


def ask(task: Task[Req, Res], request: Req, *, model: str) -> Outcome[Res]:
    """What ``model`` answers to ``request``, for the visitor of this page.

    Raises:
        TallerError: what the reader should be told.
    """
    with calling(visitor()):
        return engine().run(task, request, model=model)
