"""The field in which a page's examples are chosen."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import streamlit as st

from core.i18n import get_language
from core.i18n import gettext as _


class Example(Protocol):
    """A filled form with a name."""

    @property
    def id(self) -> str:
        """Its name in links."""

    def title(self, reader: str, /) -> str:
        """A short title in the reader's language."""

    def teaches(self, reader: str, /) -> str:
        """One sentence: what to look at."""


def choose_example(
    examples: Sequence[Example],
    apply: Callable[[str], object],
    key: str,
    *,
    placeholder: str = "",
    label: Literal["visible", "collapsed"] = "collapsed",
) -> None:
    """Draws the field, empty at first.

    Args:
        examples: those on offer, in their order.
        apply: fills the form with the example of this id; called before the script runs again.
        key: of the field.
        placeholder: what the empty field says; as a rule that each example teaches one thing.
        label: whether its label is seen, as beside a field that has one.
    """
    reader = get_language()
    names = {item.id: f"{item.title(reader)} — {item.teaches(reader)}" for item in examples}

    def chosen() -> None:
        # It is None when the choice is cleared.
        if st.session_state[key]:
            apply(st.session_state[key])

    st.selectbox(
        _("Ejemplos"),
        list(names),
        index=None,
        format_func=names.__getitem__,
        placeholder=placeholder or _("Elige un ejemplo: cada uno enseña una cosa"),
        key=key,
        on_change=chosen,
        label_visibility=label,
    )
