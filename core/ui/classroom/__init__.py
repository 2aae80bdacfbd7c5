"""For the classroom: a plan of 5 or 15 minutes, questions, common mistakes, and a QR code of this very view.

Every page that has a lesson in ``core/course/classroom.toml`` calls ``show_classroom`` at its end.
"""

from urllib.parse import urlsplit

import streamlit as st

from core.course.classroom import PLANS, Lesson, Question, lessons
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.classroom.links import usable, works
from core.ui.classroom.qr import qr_svg
from core.ui.language import fragment
from core.ui.links import parse
from core.ui.messages import errors_shown, plain
from core.ui.navigation import N_, PAGES
from core.ui.state import PageState
from core.ui.views import view_switch

_FILES = {spec.name: spec.file for spec in PAGES}
_VIEWS = {
    "5": (N_("Guion de 5 minutos"), ":material/timer:"),
    "15": (N_("Guion de 15 minutos"), ":material/hourglass_top:"),
    "questions": (N_("Tres preguntas"), ":material/quiz:"),
    "mistakes": (N_("Errores comunes"), ":material/rule:"),
    "qr": (N_("Código QR"), ":material/qr_code_2:"),
}
_LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


@fragment()
def show_classroom(state: PageState, topic: str = "") -> None:
    """The block, folded; what is in it is made when somebody opens it.

    Args:
        state: the page's; its link is what the QR code opens.
        topic: which of the page's lessons, where it has several.
    """
    lesson = lessons()[f"{state.page}/{topic}" if topic else state.page]
    label, icon = _("Para el aula"), ":material/school:"
    block = st.expander(label, icon=icon, key=f"class_open_{state.page}", on_change="rerun")
    if not block.open:
        return
    with block, errors_shown():
        key = f"class_{state.page}"
        st.session_state.setdefault(key, next(iter(_VIEWS)))
        view = view_switch(_("Para el aula"), _VIEWS, key)
        if view == "qr":
            _show_qr(state)
        elif view == "mistakes":
            _show_mistakes(lesson)
        elif view == "questions":
            for number, question in enumerate(lesson.questions, 1):
                _show_question(number, question, f"class_{lesson.key}_answer_{number}")
        else:
            _show_plan(lesson, int(view))


def _link(reference: str, label: str, icon: str) -> None:
    page, query = parse(reference)
    st.page_link(_FILES[page], label=label, icon=icon, query_params=query or None)


def _show_plan(lesson: Lesson, minutes: int) -> None:
    assert minutes in PLANS
    reader, begins = get_language(), 0
    st.markdown(_("**Objetivo:** {goal}").format(goal=plain(lesson.goal(reader))))
    # A step on another page works on any machine.
    own = [step.open for step in lesson.plan(minutes) if parse(step.open[0])[0] == lesson.page]
    if own and not any(map(works, own)):
        st.warning(
            _(
                "Ningún modelo de este equipo hace esta tarea todavía: descarga antes de la clase uno de los que "
                "ofrece la página más arriba."
            ),
            icon=":material/download:",
        )
    if own:
        st.caption(_("En este orden; cada paso se abre con un clic y esta lista vuelve a estar al final de la página."))
    else:
        st.caption(_("En este orden, una página por paso. Para volver a esta lista, pulsa Inicio en el menú."))
    for number, step in enumerate(lesson.plan(minutes), 1):
        when = _("minuto {a} a {b}").format(a=begins, b=begins + step.minutes)
        begins += step.minutes
        text, button = st.columns([5, 1], vertical_alignment="center")
        text.markdown(f"**{number}.** {plain(step.text(reader))}  \n:small[{plain(when)}]")
        with button:
            _link(usable(step.open), _("Abrir"), ":material/play_arrow:")


def _show_question(number: int, question: Question, key: str) -> None:
    reader = get_language()
    st.markdown(f"**{number}. {plain(question.ask(reader))}**")
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover(_("La respuesta"), icon=":material/lightbulb:", key=key):
            st.markdown(plain(question.answer(reader)))
        _link(usable(question.open), _("Compruébalo"), ":material/play_arrow:")


def _show_mistakes(lesson: Lesson) -> None:
    reader = get_language()
    for mistake in lesson.mistakes:
        with st.container(border=True, gap="xsmall"):
            st.markdown(_(":material/close: **Se suele decir:** {said}").format(said=plain(mistake.said(reader))))
            st.markdown(_(":material/check: **En realidad:** {fact}").format(fact=plain(mistake.really(reader))))


def _show_qr(state: PageState) -> None:
    link = state.link()
    svg = qr_svg(link) if link else None
    if link is None or svg is None:
        st.info(
            _("El enlace a esta vista es demasiado largo para un código QR. Acorta el texto."),
            icon=":material/qr_code_2:",
        )
        return
    left, right = st.columns([1, 1], gap="medium", vertical_alignment="center")
    with left:
        st.image(svg, width="stretch", alt=_("Código QR con el enlace a esta vista"))
    with right:
        st.markdown(_("Quien lo escanee abre **esta misma vista**, con tu texto y lo que has elegido:"))
        st.code(link, language=None, wrap_lines=True)
        if (urlsplit(link).hostname or "") in _LOCAL:
            st.warning(
                _(
                    "Esta dirección solo funciona en este equipo. Para que la abra la clase, entra aquí con la "
                    "dirección del equipo en la red, o pon la pública en TALLER_PUBLIC_URL."
                ),
                icon=":material/lan:",
            )
