"""What was computed, kept for all visitors: thirty students who type one sentence cost one computation."""

from typing import Any

import streamlit as st

from core.lens.forward import Index, Origin
from core.lens.forward_reading import ForwardRequest, Outline, StepValues
from core.lens.parameters import ParameterCount
from core.runtime.shelf import Shelf
from core.ui.ask import ask
from core.ui.kept import kept_by

_KEPT_BYTES = 64 * 2**20


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf(_KEPT_BYTES)


def outline(model: str, wanted: ForwardRequest) -> Outline:
    """The steps of a pass.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.forward_reading import WALK_TASK

    return _shelf().get(("outline", kept_by(model), wanted), lambda: ask(WALK_TASK, wanted, model=model).result)


def values(model: str, wanted: ForwardRequest, step: str, column: int | None) -> StepValues:
    """The values of one step.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.forward_reading import VALUES_TASK, ValuesRequest

    request = ValuesRequest(wanted, step, column)
    return _shelf().get(("values", kept_by(model), request), lambda: ask(VALUES_TASK, request, model=model).result)


def origin(model: str, wanted: ForwardRequest, step: str, index: Index) -> Origin:
    """The numbers behind one value.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.forward_reading import ORIGIN_TASK, OriginRequest

    request = OriginRequest(wanted, step, index)
    return _shelf().get(("origin", kept_by(model), request), lambda: ask(ORIGIN_TASK, request, model=model).result)


def parameters(model: str) -> ParameterCount:
    """Exact counts of a model's parameters.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.parameters import PARAMETERS_TASK, ParametersRequest

    made: Any = lambda: ask(PARAMETERS_TASK, ParametersRequest(), model=model).result  # noqa: E731
    counted: ParameterCount = _shelf().get(("parameters", kept_by(model)), made)
    return counted
