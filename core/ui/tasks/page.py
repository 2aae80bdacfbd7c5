"""What all tasks have alike: choice of task and language, examples, model, second model, and the three modes."""

from typing import Any, Final, cast

import streamlit as st

from core.catalog import ModelEntry
from core.course.tasks import contrast_pairs, task_examples
from core.errors import TallerError
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.classroom import show_classroom
from core.ui.frame import show_models_in_use
from core.ui.glossary import glossary_marks
from core.ui.guess import guess_first, guess_switch, guessing
from core.ui.messages import errors_shown, plain
from core.ui.model_facts import licence_text
from core.ui.model_field import hint_language
from core.ui.navigation import N_
from core.ui.share import share_row
from core.ui.state import PageState, Param, one_of, pack_text, unpack_text
from core.ui.tasks.answers import answer
from core.ui.tasks.models import (
    choose_model,
    choose_second,
    models_for,
    offer_downloads,
    show_answered_by,
)
from core.ui.tasks.registry import BY_SLUG, CARDS, TaskCard
from core.ui.tasks.view import LANGUAGES, Form, Language, Shown, TaskView
from core.ui.tuned import known_model

TASK: Final = "tk_task"
LANGUAGE: Final = "tk_language"
MODE: Final = "tk_mode"
EXAMPLE: Final = "tk_example"

MODES: Final = {
    "try": (N_("Probar"), ":material/play_arrow:"),
    "contrast": (N_("Cambiar una cosa"), ":material/difference:"),
    "batch": (N_("Muchos textos"), ":material/table_rows:"),
}
LANGUAGE_NAMES: Final = {"es": N_("en español"), "en": N_("en inglés")}
# Every name that a field of a task may have in a link.
FIELD_NAMES: Final = frozenset(
    {"text", "second", "question", "labels", "template", "several", "strategy", "top", "pieces", "count", "pooling"}
    | {"tokens", "temperature", "k", "p", "beams", "seed", "pronoun", "explain", "length", "kind", "penalty", "order"}
)
_COMMON: Final = frozenset({"task", "tl", "mode", "model", "versus", "a", "b"})


def _base() -> PageState:
    return PageState(
        "tasks",
        (
            Param("task", TASK, CARDS[0].slug, decode=one_of(*BY_SLUG)),
            Param("tl", LANGUAGE, get_language(), decode=one_of(*LANGUAGES)),
        ),
        FIELD_NAMES | _COMMON,
    )


class TaskPage:
    """One run of the page's script: the task that is open, its form and its link."""

    def __init__(self) -> None:
        _base().arrive()
        self.card: TaskCard = BY_SLUG[st.session_state[TASK]]
        self.view: TaskView = self.card.view()
        self.form = self._form()
        self.state = self._state()
        self.state.arrive()

    def _form(self) -> Form:
        return Form(self.card.slug, cast(Language, st.session_state[LANGUAGE]), self.view.fields)

    def _state(self) -> PageState:
        return PageState(
            "tasks",
            (
                Param("task", TASK, CARDS[0].slug, decode=one_of(*BY_SLUG)),
                # A link always says it: whoever opens it may read the page in another language.
                Param("tl", LANGUAGE, "", decode=one_of(*LANGUAGES)),
                Param("mode", MODE, "try", decode=one_of(*MODES)),
                Param("model", self.model_key, "", decode=known_model),
                Param("versus", self.second_key, "", decode=known_model),
                *self.form.params(),
                *self._pair_params(),
            ),
            FIELD_NAMES | _COMMON,
        )

    def _pair_params(self) -> list[Param]:
        """The two texts of a contrast pair, for links; the first pair's are there at first."""
        if self.view.contrast is None:
            return []
        pairs = contrast_pairs(self.card.slug, self.form.language)
        first = (pairs[0].a, pairs[0].b) if pairs else ("", "")
        return [
            Param(name, self.form.key(f"pair_{name}"), text, pack_text, unpack_text)
            for name, text in zip("ab", first, strict=True)
        ]

    @property
    def model_key(self) -> str:
        """The key of the model's field."""
        return self.form.key("model")

    @property
    def second_key(self) -> str:
        """The key of the second model's field."""
        return self.form.key("versus")

    @property
    def prefix(self) -> str:
        """Begins the keys of all that this task draws."""
        return f"tk_{self.card.slug}_{self.form.language}"

    # --- choosing -----------------------------------------------------------------------------------------

    def choose_task(self) -> None:
        """The row of tasks."""
        st.pills(
            _("Tarea"),
            list(BY_SLUG),
            format_func=lambda slug: f"{BY_SLUG[slug].icon} {_(BY_SLUG[slug].title)}",
            key=TASK,
            required=True,
            persist_state="session",
            label_visibility="collapsed",
        )

    def choose_mode(self) -> str:
        """The switch between trying, contrast pairs and many rows, where the task has them."""
        modes = ["try"]
        if self.view.contrast is not None:
            modes.append("contrast")
        if self.view.batch is not None:
            modes.append("batch")
        if st.session_state[MODE] not in modes:
            st.session_state[MODE] = "try"
        language, mode = st.columns([1, 2], vertical_alignment="bottom")
        with language:
            st.segmented_control(
                _("Idioma del texto"),
                list(LANGUAGES),
                format_func=lambda key: _(LANGUAGE_NAMES[key]),
                key=LANGUAGE,
                required=True,
                persist_state="session",
            )
        if len(modes) == 1:
            return "try"
        with mode:
            chosen = st.segmented_control(
                _("Qué hacer"),
                modes,
                format_func=lambda key: f"{MODES[key][1]} {_(MODES[key][0])}",
                key=MODE,
                required=True,
                persist_state="session",
                wrap=True,
            )
        return chosen or "try"

    def choose_example(self) -> None:
        """The field of examples."""
        reader = get_language()
        found = task_examples(self.card.slug, self.form.language)
        if not found:
            return

        def chosen() -> None:
            index = st.session_state[self.form.key(EXAMPLE)]
            if index is not None:
                self.form.put(found[index].fields)

        st.selectbox(
            _("Ejemplos"),
            range(len(found)),
            index=None,
            format_func=lambda index: f"{found[index].title(reader)} — {found[index].teaches(reader)}",
            placeholder=_("Elige un ejemplo: cada uno enseña una cosa"),
            key=self.form.key(EXAMPLE),
            on_change=chosen,
            label_visibility="collapsed",
        )

    # --- modes --------------------------------------------------------------------------------------------

    def show(self) -> None:
        """The whole page below its title."""
        self.choose_task()
        st.markdown("## " + _(self.card.title))
        st.markdown(_(self.card.what))
        mode = self.choose_mode()
        task = self.view.catalogue(self.form.language)
        models = models_for(task, self.form.language, self.view.instead)
        if mode == "try":
            self.choose_example()
            with errors_shown():
                self._try(task, models)
        elif not models.here:
            offer_downloads(models, self.prefix, st.session_state.get(self.model_key))
        elif mode == "contrast":
            from core.ui.tasks.contrast import show_contrast

            with errors_shown():
                self._options()
                first, second = self._models(task, models)
                show_contrast(self, [model for model in (first, second) if model is not None])
        else:
            from core.ui.tasks.batch import show_batch

            assert self.view.batch is not None
            with errors_shown():
                self._options()
                first, _second = self._models(task, models, second=False)
                show_batch(
                    self.view.batch(self.form), model=first.key, key=f"{self.prefix}_batch", example=self._rows()
                )
        if self.view.marks:
            glossary_marks(*self.view.marks, key=f"{self.prefix}_g")
        show_classroom(self.state, self.card.slug)
        self.state.publish()

    def _options(self) -> None:
        if self.view.options is not None:
            self.view.options(self.form)

    def _rows(self) -> bytes | None:
        """The texts of the examples, as a file to try the tab with."""
        texts = [item.fields["text"] for item in task_examples(self.card.slug, self.form.language)]
        return ("\n".join(" ".join(text.split()) for text in texts) + "\n").encode() if texts else None

    def _models(self, task: str, models: Any, *, second: bool = True) -> tuple[ModelEntry, ModelEntry | None]:
        left, right = st.columns(2)
        with left:
            first = choose_model(models, self.model_key, task, self.form.language, self.view.instead)
        other = None
        if second:
            with right:
                other = choose_second(first, (task, *self.view.instead, *self.view.also), self.second_key)
        in_use = [item for item in (first, other) if item is not None]
        reader = get_language()
        show_models_in_use([(item.name(reader), licence_text(item)) for item in in_use])
        return first, other

    def _try(self, task: str, models: Any) -> None:
        request = self.view.form(self.form)
        if not models.here:
            offer_downloads(models, self.prefix, st.session_state.get(self.model_key))
            return
        first, second = self._models(task, models)
        both = (first,) if second is None else (first, second)
        pressed = f"{self.prefix}_go_pressed"
        st.button(
            self.view.button(),
            type="primary",
            icon=":material/play_arrow:",
            key=f"{self.prefix}_go",
            # A flag and not the button's value, which the page's guard loses by starting the run again.
            on_click=lambda: st.session_state.update({pressed: True}),
            width="stretch",
        )
        if any(field.name == "text" for field in self.view.fields):
            hint_language(str(self.form["text"]), first)
        if self.view.custom is not None:
            self.view.custom(self.form, request, both, self.prefix, self.state)
            return
        if not self._guessed(request, first):
            return
        columns = st.columns(2, gap="medium") if len(both) > 1 else [st.container()]
        for column, item, name in zip(columns, both, "ab", strict=False):
            with column:
                self._answer(request, item, f"{self.prefix}_{name}", beside=len(both) > 1)

    def _guessed(self, request: Any, item: ModelEntry) -> bool:
        """Whether the answer may be shown: always, but while the page asks what the reader expects."""
        if self.view.guess is None:
            return True
        guess_switch()
        if not guessing():
            return True
        try:
            with st.spinner(_("Calculando…"), show_time=True):
                outcome = answer(self.view.task(), request, item.key)
        except TallerError:
            return True  # said in the answer's place
        return guess_first(self.view.guess(request, outcome.result, item))

    def _answer(self, request: Any, item: ModelEntry, key: str, *, beside: bool) -> None:
        with errors_shown():
            try:
                with st.spinner(_("Calculando…"), show_time=True):
                    outcome = answer(self.view.task(), request, item.key)
            except TallerError as error:
                st.warning(plain(str(error)), icon=":material/info:")
                return
            shown = Shown(request, outcome, item, key, self.form, beside)
            self.view.show(shown)
            show_answered_by(item, outcome)
            share_row(self.state, code=self.view.code(request, item), downloads=self.view.files(shown), key=key)
