"""Which of several links works here: in the reader's language first, and only with a model that is on this machine."""

from collections.abc import Sequence
from typing import cast

from core.catalog import entries, entry
from core.course.attention import attention_example
from core.course.embeddings import embedding_example
from core.course.inside import inside_example
from core.i18n import get_language
from core.runtime.loading import locate_model
from core.settings import get_settings
from core.ui.links import parse
from core.ui.tasks.registry import BY_SLUG
from core.ui.tasks.view import Language


def _is_here(model: str) -> bool:
    item = entries().get(model)
    return item is not None and item.weights is not None and locate_model(item, get_settings()) is not None


def _language(reference: str) -> str:
    """The language of what a link opens; empty where it has none or belongs to no model."""
    page, query = parse(reference)
    name = query.get("example", "")
    if page == "attention" and name:
        return attention_example(name).language
    if page == "embeddings" and name:
        return embedding_example(name).language
    if page == "inside" and name:
        return inside_example(name).language
    if page == "inside" and "model" in query:
        return entry(query["model"]).languages[0]
    # Tareas, Ajuste fino and the table of models each have a name of their own for it.
    return next((query[key] for key in ("tl", "dl", "about") if key in query), "")


def _works(reference: str) -> bool:
    page, query = parse(reference)
    name = query.get("example", "")
    if page == "attention" and name:
        return _is_here(attention_example(name).model)
    if page == "embeddings" and name and _language(reference):
        from core.ui.embeddings.models import here

        return any(_language(reference) in item.languages for item in here())
    if page == "inside" and name:
        return _is_here(inside_example(name).model)
    if page == "tasks" and "model" not in query:
        from core.ui.tasks.models import models_for

        language = cast(Language, query["tl"])
        view = BY_SLUG[query["task"]].view()
        return bool(models_for(view.catalogue(language), language, view.instead).here)
    return "model" not in query or _is_here(query["model"])


def works(references: Sequence[str]) -> bool:
    """Whether one of several links works on this machine."""
    return any(_works(reference) for reference in references)


def usable(references: Sequence[str]) -> str:
    """The first link that works, those in the reader's language first; the last one if none does."""
    ordered = sorted(references, key=lambda reference: _language(reference) not in ("", get_language()))
    return next((reference for reference in ordered if _works(reference)), references[-1])
