"""A finished run's model as an entry like the catalogue's, so that pool, engine and pages take it as any model.

Its key is ``tuned-`` and the run's id. Nobody is asked here who they are: ``TrainingJobs.models`` lists a visitor's
own, and pages offer no others.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from core.catalog import ModelEntry, Score, WeightsSpec, entry
from core.errors import ModelUnavailable
from core.i18n import gettext as _
from core.settings import Settings
from core.training.data import TuningTask
from core.training.run import RunFolder
from core.training.tuning.models import HEADS

# The catalogue's name of what a model does that was tuned for one of ours.
TASKS: Final[dict[TuningTask, str]] = {
    "classification": "sentiment",
    "entities": "ner",
    "questions": "question-answering",
}
_KEY: Final = re.compile(r"tuned-([0-9a-f]{16})")


def key_of(id_: str) -> str:
    """The key of the model that the run ``id_`` leaves."""
    return f"tuned-{id_}"


def run_id(key: str) -> str | None:
    """The run whose model has this key; ``None`` for keys of other kinds."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def gone() -> ModelUnavailable:
    """What is said of a model that was deleted, and alike of somebody else's: nobody learns which of the two it is."""
    return ModelUnavailable(
        _(
            "Ese modelo ajustado ya no está, o es de otra persona: cada cual ve solo los suyos, en el navegador en que "
            "los entrenó y hasta que se borran."
        )
    )


def tuned_entry(run: RunFolder) -> ModelEntry | None:
    """The entry of a run's model; ``None`` where there is none, or none any more."""
    # Asked at every run of a page: the figures, which may be long, are read once.
    if run.about is None or run.model is None or not (run.path / "result.json").is_file():
        return None
    return _entry(run.path)


def tuned_score(run: RunFolder) -> Score:
    """What the model scored on its own test examples.

    Raises:
        ModelUnavailable: it was deleted.
    """
    if tuned_entry(run) is None:
        raise gone()
    return _score(run.path)


# What a run has left doesn't change any more, but for its end, which the callers look for.
@lru_cache(maxsize=256)
def _entry(path: Path) -> ModelEntry:
    run = RunFolder(path)
    about, result, request = run.about, run.result, run.request
    if about is None or result is None:
        raise gone()
    base, language = entry(request.base), run.data.language
    name = _name(about.name)
    return ModelEntry(
        key=key_of(run.id),
        id=f"tuned/{run.id}",
        names={"es": name, "en": name},
        tier="workshop",
        # A table that says nothing of its language is offered in both.
        languages=(language,) if language in ("es", "en") else ("es", "en"),
        licence=base.licence,
        window=base.window,
        embedded=f"folder:{path / 'model'}",
        teaches={"es": "", "en": ""},
        limits={"es": "", "en": ""},
        architecture="encoder",
        tasks=(TASKS[request.task],),
        verified=False,
        tokenizer=base.tokenizer,
        weights=WeightsSpec(HEADS[request.task], "safetensors", (), result["parameters"], 0.0, None),
    )


def _name(name: str) -> str:
    # From the name of somebody's file: one line, and no longer than a field shows.
    line = " ".join(name.split())
    return line if len(line) <= 80 else line[:79] + "…"


@lru_cache(maxsize=256)
def _score(path: Path) -> Score:
    run = RunFolder(path)
    result = run.result
    if result is None:
        raise gone()
    return Score(" ".join(run.data.name.split()), result["metric"], result["value"], result["n"])


def find(key: str, settings: Settings) -> ModelEntry | None:
    """The entry behind a key, for the pool, which loads by key; ``None`` for keys of other kinds.

    Raises:
        ModelUnavailable: the run and its model were deleted.
    """
    id_ = run_id(key)
    if id_ is None:
        return None
    found = tuned_entry(RunFolder(settings.training_folder / id_))
    if found is None:
        raise gone()
    return found
