"""The top of the page: the parts, an example, and the model."""

import streamlit as st

from core.catalog import ModelEntry
from core.course.embeddings import embedding_examples
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.embeddings.models import choose_model
from core.ui.embeddings.state import PART, PARTS, apply_example
from core.ui.example_field import choose_example
from core.ui.frame import show_models_in_use
from core.ui.model_facts import licence_text
from core.ui.views import view_switch


def choose_part() -> str:
    """The switch between the page's parts."""
    return view_switch(_("Parte"), PARTS, PART)


def show_form(models: list[ModelEntry], part: str) -> ModelEntry | None:
    """Draws the examples and, where one is needed, the field for the model.

    Args:
        models: those on this machine.
        part: the part that is open.

    Returns:
        The model; ``None`` in the part that needs none.
    """
    reader = get_language()
    known = {language for item in models for language in item.languages}
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    offered = [item for item in embedding_examples() if not item.language or item.language in known]
    # Those of the open part first.
    offered.sort(key=lambda item: item.part != part)
    with left:
        choose_example(offered, apply_example, "em_example_choice", label="visible")
    if part == "cosine":
        return None
    with right:
        item = choose_model(models)
    show_models_in_use([(item.name(reader), licence_text(item))])
    return item
