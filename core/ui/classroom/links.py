"""Which of several links works here: in the reader's language first, and only with a model that is on this machine."""

from collections.abc import Sequence

from core.catalog import entries
from core.course.attention import attention_example
from core.course.embeddings import embedding_example
from core.i18n import get_language
from core.runtime.loading import locate_model
from core.settings import get_settings
from core.ui.links import parse


def _is_here(model: str) -> bool:
    item = entries().get(model)
    return item is not None and item.weights is not None and locate_model(item, get_settings()) is not None


def _language(reference: str) -> str:
    """The language of an example's text; empty where it has none or belongs to no model."""
    page, query = parse(reference)
    name = query.get("example", "")
    if page == "attention" and name:
        return attention_example(name).language
    if page == "embeddings" and name:
        return embedding_example(name).language
    return ""


def _works(reference: str) -> bool:
    page, query = parse(reference)
    name = query.get("example", "")
    if page == "attention" and name:
        return _is_here(attention_example(name).model)
    if page == "embeddings" and name and _language(reference):
        from core.ui.embeddings.models import here

        return any(_language(reference) in item.languages for item in here())
    return True


def usable(references: Sequence[str]) -> str:
    """The first link that works, those in the reader's language first; the last one if none does."""
    ordered = sorted(references, key=lambda reference: _language(reference) not in ("", get_language()))
    return next((reference for reference in ordered if _works(reference)), references[-1])
