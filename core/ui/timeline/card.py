"""The card of an event, and the field that opens it without the plot."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from core.course.timeline import Event, event
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.ui.glossary import glossary_marks
from core.ui.links import show_links
from core.ui.messages import plain
from core.ui.navigation import N_
from core.ui.state import PageState
from core.ui.timeline.form import CATEGORY_NAMES, EVENT, STATE

#: The card's CSS class, which the plot scrolls into sight.
CARD_KEY: Final = "tl_card"
_MONTHS: Final = (
    N_("enero"),
    N_("febrero"),
    N_("marzo"),
    N_("abril"),
    N_("mayo"),
    N_("junio"),
    N_("julio"),
    N_("agosto"),
    N_("septiembre"),
    N_("octubre"),
    N_("noviembre"),
    N_("diciembre"),
)
_ROUND: Final = {1e6: N_("un millón"), 1e9: N_("mil millones"), 1e12: N_("un billón (10¹²)")}
# A link to one event says nothing of the filters of whoever made it.
_ONE: Final = PageState("timeline", tuple(param for param in STATE.params if param.key == EVENT))


def date_text(text: str) -> str:
    """``"2017-06-12"`` as a person writes it: «12 de junio de 2017» or "12 June 2017"."""
    year, *rest = text.split("-")
    if not rest:
        return year
    month = _(_MONTHS[int(rest[0]) - 1])
    if len(rest) == 1:
        return _("{month} de {year}").format(month=month, year=year)
    return _("{day} de {month} de {year}").format(day=int(rest[1]), month=month, year=year)


def amount(value: float) -> str:
    """A large number in words: 340e6 → «340 millones» or "340 million"."""
    if value in _ROUND:
        return _(_ROUND[value])
    if value >= 1e12:
        return _("{n} billones (10¹²)").format(n=_short(value / 1e12))
    if value >= 1e9:
        return _("{n} mil millones").format(n=_short(value / 1e9))
    if value >= 1e6:
        return _("{n} millones").format(n=_short(value / 1e6))
    return format_number(value)


def _short(value: float) -> str:
    """At most three significant figures, no idle zeros."""
    digits = f"{value:.3g}".partition(".")[2]
    return format_number(value, 0 if value >= 100 else len(digits))


def who(item: Event) -> str:
    """People and institution in one line; empty for nobody named."""
    names = ", ".join(item.people)
    if item.more and names:
        names = _("{names} y otros").format(names=names)
    org = item.orgs[get_language()]
    return f"{names} ({org})" if names and org else names or org


def show_card(item: Event) -> None:
    """All that is known of one event."""
    language = get_language()
    with st.container(border=True, key=CARD_KEY, gap="small"):
        st.caption(f"{date_text(item.date)} · {_(CATEGORY_NAMES[item.category])}")
        st.markdown(f"## {plain(item.titles[language])}")
        st.markdown(plain(item.what[language]))
        st.markdown(_("**Por qué importó.** {why}").format(why=plain(item.why[language])))
        facts = [(_("Quién"), who(item)), (_("Datos"), item.data[language])]
        if item.sizes:
            sizes = " · ".join(f"{size.name}: {amount(size.parameters)}" for size in item.sizes)
            facts.append((_("Parámetros"), sizes))
        st.markdown("  \n".join(f"**{label}:** {plain(text)}" for label, text in facts if text))
        if item.said and item.fact:
            with st.container(border=True, gap="xsmall"):
                st.markdown(_(":material/close: **Se suele decir:** {said}").format(said=plain(item.said[language])))
                st.markdown(_(":material/check: **En realidad:** {fact}").format(fact=plain(item.fact[language])))
        st.markdown(_("Fuente: [{title}]({url})").format(title=plain(item.source), url=item.url))
        if item.concepts:
            glossary_marks(*item.concepts, key=f"tl_{item.id}")
        show_links(item.see)
        with st.popover(_("Enlace a este hecho"), icon=":material/link:", type="tertiary", key=f"tl_link_{item.id}"):
            st.code(_ONE.link(), language=None, wrap_lines=True)


def _step(ids: Sequence[str], by: int) -> None:
    # From where it is, not to an event: a second click may come before the page has been drawn again.
    now = st.session_state[EVENT]
    place = ids.index(now) if now in ids else -1
    st.session_state[EVENT] = ids[min(len(ids) - 1, max(0, place + by))]


def choose_event(found: Sequence[Event]) -> Event | None:
    """The field that opens an event, with a step back and forth; returns the one that is open.

    Args:
        found: the events on offer, oldest first.
    """
    language = get_language()
    ids = [item.id for item in found]
    if st.session_state[EVENT] not in ids:
        st.session_state[EVENT] = None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            _("Hecho"),
            ids,
            index=None,
            format_func=lambda id: f"{event(id).year} · {event(id).titles[language]}",
            key=EVENT,
            persist_state="session",
            placeholder=_("Elige un hecho, aquí o en la línea"),
        )
        place = ids.index(chosen) if chosen else -1
        # Together, also where a phone has no room for them beside the field.
        with st.container(horizontal=True, width="content"):
            st.button(
                _("Anterior"),
                icon=":material/arrow_back:",
                key="tl_previous",
                disabled=place <= 0,
                on_click=_step,
                args=(ids, -1),
            )
            st.button(
                _("Siguiente"),
                icon=":material/arrow_forward:",
                icon_position="right",
                key="tl_next",
                disabled=place == len(ids) - 1,
                on_click=_step,
                args=(ids, 1),
            )
    return event(chosen) if chosen else None
