"""What a task's module gives the page: its fields, its form, its picture, its code and its files.

The page (``page.show_task``) does the rest alike for all: language of the text, model, a second model beside
it, examples, link, contrast pairs and the tab for many rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import gettext as _
from core.runtime.engine import Outcome
from core.runtime.task import Task
from core.ui.guess import Question
from core.ui.share import Download
from core.ui.state import PageState, Param, flag, pack_text, unpack_text

if TYPE_CHECKING:
    from core.ui.tasks.batch import BatchSpec

Language = Literal["es", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("es", "en")


def _same(text: str) -> Any:
    return text


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a task's form; a link carries it, and an example sets it.

    Attributes:
        name: its name in links and examples; tasks share names for like things (``FIELD_NAMES``).
        default: its value at first, by the language of the text.
        encode: value → text in the link.
        decode: text in the link → value; raises ``ValueError``.
    """

    name: str
    default: Mapping[Language, Any]
    encode: Callable[[Any], str] = str
    decode: Callable[[str], Any] = _same


def text_field(name: str, es: str, en: str) -> Field:
    """A field that holds text."""
    return Field(name, {"es": es, "en": en}, pack_text, unpack_text)


def number_field(name: str, default: float, low: float, high: float) -> Field:
    """A field that holds a number between two others; whole if all three are."""
    kind = int if all(isinstance(value, int) for value in (default, low, high)) else float

    def decode(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return Field(name, {"es": default, "en": default}, str, decode)


def flag_field(name: str) -> Field:
    """A field that is on or off; off at first."""
    return Field(name, {"es": False, "en": False}, lambda value: "1" if value else "0", flag)


def choice_field(name: str, *values: str) -> Field:
    """A field that holds one of some words; the first is the default."""

    def decode(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return Field(name, {"es": values[0], "en": values[0]}, str, decode)


@dataclass(frozen=True, slots=True)
class Form:
    """Where a task's form stands: its fields live in the session under keys of their own.

    Attributes:
        slug: the task.
        language: of the text; each language keeps its own text.
        fields: the task's fields.
    """

    slug: str
    language: Language
    fields: tuple[Field, ...]

    def key(self, name: str) -> str:
        """The session's (and the widget's) key of a field."""
        return f"tk_{self.slug}_{self.language}_{name}"

    def __getitem__(self, name: str) -> Any:
        """A field's value now."""
        return st.session_state[self.key(name)]

    def choose(
        self, name: str, label: str, options: Mapping[str, str], *, disabled: bool = False, help: str | None = None
    ) -> str | None:
        """One of a few words, as buttons side by side.

        Args:
            name: of the field, a ``choice_field``.
            label: in the reader's language.
            options: each word and what it is called, not yet translated.
            disabled: whether nobody can choose now.
            help: what the question mark says.
        """
        chosen: str | None = st.segmented_control(
            label,
            list(options),
            format_func=lambda key: _(options[key]),
            key=self.key(name),
            required=True,
            persist_state="session",
            wrap=True,
            disabled=disabled,
            help=help,
        )
        return chosen

    def put(self, values: Mapping[str, Any]) -> None:
        """Sets fields, as an example does; those that it doesn't name go back to their default."""
        for item in self.fields:
            st.session_state[self.key(item.name)] = values.get(item.name, item.default[self.language])

    def params(self) -> tuple[Param, ...]:
        """The fields as parameters of a link."""
        return tuple(
            Param(item.name, self.key(item.name), item.default[self.language], item.encode, item.decode)
            for item in self.fields
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer on its way to the screen.

    Attributes:
        request: what was asked.
        outcome: the answer, and how it came about.
        entry: the model that answered.
        key: prefix for the widgets' keys, unique on the page.
        form: the form it came from.
        beside: another model's answer stands beside it, so that it has half the width.
    """

    request: Any
    outcome: Outcome[Any]
    entry: ModelEntry
    key: str
    form: Form
    beside: bool = False

    @property
    def result(self) -> Any:
        """The task's result."""
        return self.outcome.result


@dataclass(frozen=True, slots=True)
class Contrast:
    """How two texts that differ in one thing are compared.

    Attributes:
        make: a text and the form → the request.
        values: a result → what is compared: name → number. The larger of a side's values come first.
        unit: what the numbers are, for the axis.
    """

    make: Callable[[str, Form], Any]
    values: Callable[[Any], dict[str, float]]
    unit: Callable[[], str]


@dataclass(frozen=True, slots=True)
class TaskView:
    """All that the page needs to know of one task.

    Attributes:
        fields: of its form.
        catalogue: language of the text → the catalogue's name of the task, by which models are found.
        task: imports and returns the task.
        form: draws the fields and returns the request.
        show: draws an answer.
        code: request, model → a program with plain transformers that prints the same result.
        files: an answer → what can be downloaded.
        marks: glossary concepts.
        button: what the button says.
        contrast: how contrast pairs are judged; ``None`` where the view isn't offered.
        batch: the form → how many rows are answered; ``None`` where the view isn't offered.
        options: draws the fields that aren't the text, for the two views that have texts of their own; ``form``
            draws them, too.
        instead: the catalogue's names of other tasks, whose models can do this one, too, in a way of their own.
        also: the catalogue's names of other tasks, whose models may stand beside one of this task's.
        custom: draws the whole answer itself, instead of ``show``, from the form, the request, the models (one or
            two), a prefix for keys and the page's link; for answers that arrive bit by bit. ``PREFIX_go_pressed``
            is set in the session when the button was pressed.
        guess: request, result, model → what the page asks for before it shows the answer; ``None`` where there is
            nothing to guess.
    """

    fields: tuple[Field, ...]
    catalogue: Callable[[Language], str]
    task: Callable[[], Task[Any, Any]]
    form: Callable[[Form], Any]
    show: Callable[[Shown], None]
    code: Callable[[Any, ModelEntry], str]
    files: Callable[[Shown], tuple[Download, ...]]
    marks: tuple[str, ...]
    button: Callable[[], str]
    contrast: Contrast | None = None
    batch: "Callable[[Form], BatchSpec] | None" = None
    options: Callable[[Form], None] | None = None
    instead: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    custom: Callable[[Form, Any, tuple[ModelEntry, ...], str, PageState], None] | None = field(default=None)
    guess: Callable[[Any, Any, ModelEntry], Question | None] | None = None
