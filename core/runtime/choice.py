"""Which model answers: the reference one if it is on this machine, otherwise the workshop's, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.catalog import ModelEntry, entries_for
from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime.loading import locate_model
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Choice:
    """The model for a task.

    Attributes:
        entry: the one that answers.
        why: a sentence for the reader where it is not the best there is, else an empty one.
        better: a reference model that could be downloaded instead; ``None`` if there is none.
        others: further models on this machine that can do the task.
    """

    entry: ModelEntry
    why: str
    better: ModelEntry | None
    others: tuple[ModelEntry, ...]


def on_this_machine(tasks: Sequence[str], language: str, settings: Settings) -> list[ModelEntry]:
    """The models that can answer here: those of the first task come first, and of each task the reference ones.

    Within a tier they stand in the catalogue's order: what the field knows comes before what the workshop made.
    """
    found: dict[str, ModelEntry] = {}
    for task in tasks:
        able = sorted(entries_for(task, language), key=lambda entry: entry.tier != "reference")
        found |= {entry.key: entry for entry in able if entry.key not in found}
    return [entry for entry in found.values() if locate_model(entry, settings) is not None]


def choose(
    task: str,
    language: str,
    settings: Settings,
    preferred: str | None = None,
    own: Sequence[ModelEntry] = (),
    instead: Sequence[str] = (),
) -> Choice:
    """Picks the model that answers ``task`` in ``language``; looks at the disk, never at the network.

    Args:
        task: one of ``core.catalog.TASKS``.
        language: ``"es"`` or ``"en"``.
        settings: where models are looked for.
        preferred: key of the model that the reader asked for, if any.
        own: models of the reader's own; they answer where they are asked to, or there is no other.
        instead: tasks whose models do this one, too, in a way of their own; they answer where the task has none.

    Raises:
        ModelUnavailable: none of those that can do it is on this machine.
    """
    tasks = (task, *instead)
    here = [*on_this_machine(tasks, language, settings), *(entry for entry in own if locate_model(entry, settings))]
    able = [*(entry for name in tasks for entry in entries_for(name, language) if entry.weights), *own]
    references = [entry for entry in entries_for(task, language) if entry.weights and entry.tier == "reference"]
    missing = [entry for entry in references if entry not in here]
    better = missing[0] if missing else None
    if not here:
        names = ", ".join(entry.name(get_language()) for entry in missing)
        raise ModelUnavailable(
            _("Ningún modelo de este equipo puede hacerlo. Descarga uno en la página Sistema: {names}.").format(
                names=names
            )
        )
    asked = next((entry for entry in able if entry.key == preferred), None)
    first = asked if asked in here else here[0]
    assert first is not None
    others = tuple(entry for entry in here if entry != first)
    if asked is not None and asked != first:
        why = _("{asked} no está en este equipo; responde {name}.").format(
            asked=asked.name(get_language()), name=first.name(get_language())
        )
        return Choice(first, why, asked, others)
    if first.tier == "workshop" and better is not None and first not in own:
        why = _("Responde un modelo pequeño del taller. Con {better}, que se puede descargar, acertaría más.").format(
            better=better.name(get_language())
        )
        return Choice(first, why, better, others)
    return Choice(first, "", None, others)
