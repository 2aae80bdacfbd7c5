"""«Predice antes»: the page asks for a guess before it shows the answer, keeps the tally, and shares it with a room.

A page calls ``guess_switch`` once, and ``guess_first`` with its question before it draws an answer.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from core.errors import TallerError
from core.i18n import format_number, ngettext
from core.i18n import gettext as _
from core.runtime.rooms import CODE_LENGTH, Rooms, tidy_code
from core.settings import get_settings
from core.ui import charts
from core.ui.language import fragment
from core.ui.messages import plain, show_error
from core.ui.state import CARRIED

GUESS, ROOM = CARRIED
_SWITCH: Final = "guess_switch"
_CODE: Final = "guess_code"
_GIVEN: Final = "_guess_given"
_WHO: Final = "_guess_who"
_SEEN: Final = "_guess_in_link"
_PROBLEM: Final = "_guess_problem"
_EVERY_S: Final = 2.0
_BARS: Final = 10
# More choices than this go into a list that opens.
_MOST_BUTTONS: Final = 6
_KEPT: Final = 200


@st.cache_resource(show_spinner=False)
def rooms() -> Rooms:
    """The process's rooms, or those of all copies that share a folder."""
    return Rooms(get_settings().rooms_dir)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before an answer is shown.

    Attributes:
        key: the same for all who see the same question; ``question_key`` makes one.
        ask: the question, as a sentence.
        answers: what the model answers, the best first: a guess is judged by its place.
        options: what can be chosen, in the order shown; empty for a text field.
        names: an option's or answer's value → what the reader sees.
        hint: what to type, for a text field.
        tidy: brings a typed guess into the form of the answers.
    """

    key: str
    ask: str
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    names: Callable[[str], str] = str
    hint: str = ""
    tidy: Callable[[str], str] = str.strip

    def place(self, guess: str) -> int | None:
        """The guess's place among the answers, from 1; ``None`` if it isn't there."""
        folded = [answer.casefold() for answer in self.answers]
        wanted = self.tidy(guess).casefold()
        return folded.index(wanted) + 1 if wanted in folded else None


def question_key(*parts: Any) -> str:
    """A short mark of what a question is about: the page, the model, what was typed."""
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:16]


# --- the sidebar ------------------------------------------------------------------------------------------


def guessing() -> bool:
    """Whether the mode is on."""
    return bool(st.session_state.get(GUESS))


def _room() -> str:
    return str(st.session_state.get(ROOM) or "")


def _arrive() -> None:
    """What a link says counts when it is opened, and not again."""
    said = (st.query_params.get(GUESS, ""), tidy_code(st.query_params.get(ROOM, ""))[:CODE_LENGTH])
    session = st.session_state
    session.setdefault(GUESS, False)
    session.setdefault(ROOM, "")
    if said != session.get(_SEEN):
        session[_SEEN] = said
        if said[1]:
            session[GUESS] = True
            _enter(said[1])
        elif said[0] in ("0", "1"):
            session[GUESS] = said[0] == "1"


def _tell_link() -> None:
    """The address carries the mode and the room, so that a link of this page opens both."""
    session = st.session_state
    for name, value in ((GUESS, "1" if session[GUESS] else ""), (ROOM, session[ROOM] if session[GUESS] else "")):
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]
    session[_SEEN] = (st.query_params.get(GUESS, ""), st.query_params.get(ROOM, ""))


def _enter(code: str) -> None:
    session = st.session_state
    try:
        there = code in rooms()
    except TallerError as error:
        session[_PROBLEM] = str(error)
        return
    if there:
        session[ROOM], session[_PROBLEM] = code, ""
    else:
        session[_PROBLEM] = _("No hay ninguna sala {code}. Míralo otra vez, o pide que la abran de nuevo.").format(
            code=code
        )


def _join() -> None:
    code = tidy_code(str(st.session_state.get(_CODE) or ""))[:CODE_LENGTH]
    if code:
        _enter(code)
        _tell_link()


def _open_room() -> None:
    try:
        st.session_state[ROOM], st.session_state[_PROBLEM] = rooms().open(), ""
    except TallerError as error:
        st.session_state[_PROBLEM] = str(error)
    _tell_link()


def _leave() -> None:
    st.session_state[ROOM] = ""
    _tell_link()


def _switched() -> None:
    st.session_state[GUESS] = bool(st.session_state[_SWITCH])
    _tell_link()


def guess_switch() -> None:
    """The switch in the sidebar, and the room's code."""
    _arrive()
    session = st.session_state
    session[_SWITCH] = session[GUESS]
    with st.sidebar:
        st.toggle(
            _("Predice antes"),
            key=_SWITCH,
            on_change=_switched,
            help=_("La página pregunta qué crees que saldrá antes de mostrarlo, y lleva la cuenta de tus aciertos."),
        )
        if not session[GUESS]:
            return
        right, asked = _score()
        if asked:
            st.caption(_("Aciertos: {right} de {asked}").format(right=format_number(right), asked=format_number(asked)))
        if session.get(_PROBLEM):
            st.warning(plain(session[_PROBLEM]), icon=":material/info:")
        if _room():
            st.markdown(_("Sala **{code}**").format(code=plain(_room())))
            st.caption(_("El enlace de esta página lleva el código: quien lo abra entra en la sala."))
            st.button(_("Salir de la sala"), key="guess_leave", icon=":material/logout:", on_click=_leave)
            return
        with st.popover(_("Con la clase"), icon=":material/groups:", width="stretch"):
            st.markdown(
                _(
                    "Las respuestas de una sala se juntan en un gráfico. Se guardan solo en la memoria, sin nombres, y "
                    "se borran solas."
                )
            )
            st.button(_("Abrir una sala"), key="guess_open", icon=":material/add:", on_click=_open_room)
            st.text_input(_("O entra con un código"), key=_CODE, max_chars=8, on_change=_join, placeholder="AB2C")
            st.button(_("Entrar"), key="guess_join", icon=":material/login:", on_click=_join)


def _given() -> dict[str, tuple[str, bool]]:
    """Question → the guess ("" where none was made) and whether it was right."""
    found: dict[str, tuple[str, bool]] = st.session_state.setdefault(_GIVEN, {})
    return found


def _score() -> tuple[int, int]:
    made = [right for guess, right in _given().values() if guess]
    return sum(made), len(made)


# --- on the page ------------------------------------------------------------------------------------------


def guess_first(question: Question | None) -> bool:
    """Asks, where the mode is on; says whether the answer may be shown now.

    Args:
        question: what to ask; ``None`` where there is nothing to guess.
    """
    if question is None or not guessing():
        return True
    given = _given().get(question.key)
    if given is None:
        _ask(question)
        return False
    _judge(question, given[0])
    return True


def _answered(question: Question, field: str) -> None:
    guess = question.tidy(str(st.session_state.get(field) or ""))
    if not guess:
        st.session_state[f"{field}_empty"] = True
        return
    _keep(question, guess, question.place(guess) == 1)
    if _room():
        try:
            who = st.session_state.setdefault(_WHO, secrets.token_hex(8))
            rooms().guess(_room(), question.key, who, guess)
        except TallerError as error:
            st.session_state[_PROBLEM] = str(error)


def _keep(question: Question, guess: str, right: bool) -> None:
    given = _given()
    while len(given) >= _KEPT:
        del given[next(iter(given))]
    given[question.key] = (guess, right)


def _ask(question: Question) -> None:
    field = f"guess_field_{question.key}"
    with st.form(f"guess_form_{question.key}"):
        st.markdown("## " + _("¿Qué crees?"))
        st.markdown(plain(question.ask))
        if not question.options:
            st.text_input(_("Tu respuesta"), key=field, max_chars=40, placeholder=question.hint)
        elif len(question.options) <= _MOST_BUTTONS:
            st.radio(
                _("Tu respuesta"), question.options, index=None, format_func=question.names, key=field, horizontal=True
            )
        else:
            st.selectbox(_("Tu respuesta"), question.options, index=None, format_func=question.names, key=field)
        with st.container(horizontal=True):
            st.form_submit_button(
                _("Comprobar"), type="primary", icon=":material/check:", on_click=_answered, args=(question, field)
            )
            st.form_submit_button(
                _("Ver sin adivinar"), icon=":material/visibility:", on_click=_keep, args=(question, "", False)
            )
        if st.session_state.pop(f"{field}_empty", False):
            st.warning(_("Elige o escribe una respuesta primero."), icon=":material/info:")
    if _room():
        _waiting(_room(), question.key)


@fragment(run_every=_EVERY_S)
def _waiting(code: str, key: str) -> None:
    """How many have guessed; what they guessed would give it away."""
    try:
        people = rooms().tally(code, key).people
    except TallerError as error:
        show_error(error)
        return
    st.markdown(
        ":material/groups: "
        + plain(
            ngettext("Sala {code}: {n} respuesta", "Sala {code}: {n} respuestas", people).format(
                code=code, n=format_number(people)
            )
        )
    )


def _judge(question: Question, guess: str) -> None:
    best = question.names(question.answers[0])
    if guess:
        place = question.place(guess)
        said = {"guess": question.names(guess), "best": best, "place": place}
        if place == 1:
            st.success(plain(_("Acertaste: «{best}».").format(**said)), icon=":material/check_circle:")
        elif place:
            st.info(
                plain(_("Dijiste «{guess}», que va en el puesto {place}. El modelo: «{best}».").format(**said)),
                icon=":material/lightbulb:",
            )
        else:
            st.info(plain(_("Dijiste «{guess}». El modelo: «{best}».").format(**said)), icon=":material/lightbulb:")
    if _room():
        _class_bars(_room(), question)


@fragment(run_every=_EVERY_S)
def _class_bars(code: str, question: Question) -> None:
    try:
        tally = rooms().tally(code, question.key)
    except TallerError as error:
        show_error(error)
        return
    st.markdown(
        "## "
        + plain(
            ngettext("La clase: {n} respuesta", "La clase: {n} respuestas", tally.people).format(
                n=format_number(tally.people)
            )
        )
    )
    if not tally.people:
        st.caption(_("Todavía no ha respondido nadie de la sala {code}.").format(code=plain(code)))
        return
    shown = tally.counts[:_BARS]
    names = [question.names(guess) + (" ✓" if question.place(guess) == 1 else "") for guess, _count in shown]
    figure, alt = charts.counts(names, [count for _guess, count in shown], _("respuestas"))
    st.plotly_chart(figure, key=f"guess_bars_{question.key}", alt=alt, config={"displayModeBar": False})
    if len(tally.counts) > _BARS:
        st.caption(_("Y {n} respuestas distintas más.").format(n=format_number(len(tally.counts) - _BARS)))
