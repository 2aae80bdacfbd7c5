"""The page's state and link: view, event, filters and guided path."""

from typing import Final

import streamlit as st

from core.course.timeline import CATEGORIES, LANGUAGES, Event, event, events, find, people, tours
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.navigation import N_
from core.ui.state import PageState, Param, flag, one_of, pack_text, unpack_text
from core.ui.views import view_switch

VIEWS: Final = {
    "events": (N_("Hechos"), ":material/timeline:"),
    "sizes": (N_("Parámetros"), ":material/scatter_plot:"),
    "compute": (N_("Cómputo"), ":material/memory:"),
}
CATEGORY_NAMES: Final = {
    "foundations": N_("Fundamentos"),
    "statistics": N_("Reglas y estadística"),
    "neural": N_("Redes neuronales"),
    "attention": N_("Atención y transformers"),
    "encoder": N_("Codificadores"),
    "decoder": N_("Decodificadores"),
    "encoder-decoder": N_("Codificador-decodificador"),
    "spanish": N_("En español y lenguas vecinas"),
    "multimodal": N_("Imagen, voz y difusión"),
    "industry": N_("Industria"),
    "tools": N_("Herramientas"),
}
LANGUAGE_NAMES: Final = {
    "es": N_("Español"),
    "en": N_("Inglés"),
    "eu": N_("Euskera"),
    "fr": N_("Francés"),
    "de": N_("Alemán"),
    "ru": N_("Ruso"),
    "multi": N_("Muchas lenguas"),
}
EVENT, SEARCH, CATEGORY, ABOUT, PERSON = "tl_event", "tl_search", "tl_category", "tl_about", "tl_person"
VIEW, TOUR, STOP, EVEN = "tl_view", "tl_tour", "tl_stop", "tl_even"


def _known_event(text: str) -> str:
    try:
        return event(text).id
    except KeyError as error:
        raise ValueError(text) from error


def _known_categories(text: str) -> list[str]:
    found = [name for name in dict.fromkeys(text.split(",")) if name in CATEGORIES]
    if not found:
        raise ValueError(text)
    return found


def _known_person(text: str) -> str:
    return one_of(*people())(text)


def _known_tour(text: str) -> str:
    return one_of(*tours())(text)


def _stop(text: str) -> int:
    number = int(text)
    if not 1 <= number <= max(len(tour.stops) for tour in tours().values()):
        raise ValueError(text)
    return number


def _onoff(value: object) -> str:
    return "1" if value else "0"


STATE: Final = PageState(
    "timeline",
    (
        Param("view", VIEW, "events", decode=one_of(*VIEWS)),
        Param("event", EVENT, None, decode=_known_event),
        Param("search", SEARCH, "", pack_text, unpack_text),
        Param("category", CATEGORY, [], ",".join, _known_categories),
        Param("about", ABOUT, None, decode=one_of(*LANGUAGES)),
        Param("person", PERSON, None, decode=_known_person),
        Param("tour", TOUR, None, decode=_known_tour),
        Param("stop", STOP, 1, decode=_stop),
        Param("even", EVEN, False, _onoff, flag),
    ),
)


def choose_view() -> str:
    """The switch between the three views."""
    return view_switch(_("Vista"), VIEWS, VIEW)


def clear_filters() -> None:
    """Back to all events."""
    st.session_state.update({SEARCH: "", CATEGORY: [], ABOUT: None, PERSON: None})


def choose_filters() -> list[Event]:
    """The search field and the filters; returns the events that fulfil them."""
    active = sum(bool(st.session_state[key]) for key in (CATEGORY, ABOUT, PERSON))
    field, more = st.columns([3, 1], vertical_alignment="bottom")
    text = field.text_input(
        _("Buscar"),
        key=SEARCH,
        persist_state="session",
        placeholder=_("Una palabra, un nombre, un año: «atención», «Bengio», «2018»…"),
    )
    label = _("Filtros ({n})").format(n=active) if active else _("Filtros")
    with more.popover(label, icon=":material/filter_list:", key="tl_filters", width="stretch"):
        st.multiselect(
            _("Categorías"),
            list(CATEGORIES),
            format_func=lambda name: _(CATEGORY_NAMES[name]),
            key=CATEGORY,
            persist_state="session",
            placeholder=_("Todas"),
            wrap=True,
        )
        st.selectbox(
            _("Lengua de la que trata"),
            list(LANGUAGES),
            format_func=lambda name: _(LANGUAGE_NAMES[name]),
            key=ABOUT,
            index=None,
            persist_state="session",
            placeholder=_("Cualquiera"),
        )
        st.selectbox(
            _("Persona"),
            people(),
            key=PERSON,
            index=None,
            persist_state="session",
            placeholder=_("Cualquiera"),
        )
        st.toggle(
            _("Tiempo a escala"),
            key=EVEN,
            persist_state="session",
            help=_("Cada año ocupa lo mismo. Sin marcar, los años con más hechos ocupan más."),
        )
    found = find(
        text or "",
        language=get_language(),
        categories=st.session_state[CATEGORY],
        about=st.session_state[ABOUT],
        person=st.session_state[PERSON],
    )
    if active or text:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_("**{n}** de {total} hechos").format(n=len(found), total=len(events())), width="content")
            st.button(_("Quitar filtros"), icon=":material/filter_list_off:", key="tl_clear", on_click=clear_filters)
    return found
