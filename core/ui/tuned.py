"""The models that a visitor has tuned, beside those of the catalogue: on every page they are theirs alone."""

from core.catalog import ModelEntry, Score, entries, scores
from core.errors import InputInvalid
from core.i18n import gettext as _
from core.training.tuned import gone, key_of, run_id, tuned_entry, tuned_score
from core.ui.owner import owner
from core.ui.resources import training_jobs
from core.ui.state import catalogue_key


def own_models(task: str | None = None, language: str | None = None) -> list[ModelEntry]:
    """The visitor's models that do ``task`` in ``language``, the newest first; ``None`` leaves a filter open."""
    return [
        item
        for item in training_jobs().models(owner())
        if (task is None or task in item.tasks) and (language is None or language in item.languages)
    ]


def model_entry(key: str) -> ModelEntry:
    """A model of the catalogue, or one of the visitor's own.

    Raises:
        KeyError: there is no such key.
        ModelUnavailable: it was deleted, or is somebody else's.
    """
    id_ = run_id(key)
    if id_ is None:
        return entries()[key]
    try:
        found = tuned_entry(training_jobs().run(owner(), id_))
    except InputInvalid as error:
        raise gone() from error
    if found is None:
        raise gone()
    return found


def known_model(text: str) -> str:
    """Decodes a model's key in a link. A tuned one passes whosever it is: the page says that it isn't there.

    Raises:
        ValueError: no key.
    """
    return text if run_id(text) else catalogue_key(text)


def scores_of(item: ModelEntry) -> tuple[Score, ...]:
    """What a model scores on text that it never saw, where that is known."""
    id_ = run_id(item.key)
    return scores(item.key) if id_ is None else (tuned_score(training_jobs().run(owner(), id_)),)


def name_for_all(key: str) -> str | None:
    """What a page that everybody sees calls a tuned model: by name only to its owner; ``None`` for other models."""
    id_ = run_id(key)
    if id_ is None:
        return None
    for view in training_jobs().views(owner()):
        if key_of(view.id) == key:
            return " ".join(view.about.name.split())
    return _("un modelo de otra persona")
