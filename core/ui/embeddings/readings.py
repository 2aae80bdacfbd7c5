"""What the models computed, kept for all visitors: thirty students who press one button cost one computation."""

from collections.abc import Hashable
from typing import Any

import streamlit as st

from core.lens.projection import Method, Projection, Vectors, project
from core.runtime.shelf import Shelf
from core.runtime.task import Task
from core.ui.ask import ask
from core.ui.kept import kept_by

_KEPT_BYTES = 160 * 2**20


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf(_KEPT_BYTES)


def reading(task: Task[Any, Any], request: Hashable, model: str) -> Any:
    """What ``model`` gives for ``request``: computed, or found among the last answers.

    Raises:
        TallerError: what the reader should be told.
    """
    return _shelf().get((task.name, kept_by(model), request), lambda: ask(task, request, model=model).result)


def projection(model: str, name: Hashable, vectors: Vectors, dimensions: int, method: Method, seed: int) -> Projection:
    """A projection, kept under ``name``, which says what the vectors of ``model`` are.

    Raises:
        TallerError: too few vectors.
    """
    key = ("projection", kept_by(model), name, dimensions, method, seed)
    return _shelf().get(key, lambda: project(vectors, 3 if dimensions == 3 else 2, method, seed))
