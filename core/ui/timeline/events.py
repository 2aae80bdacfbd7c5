"""View "Hechos": guided paths, search and filters, the axis, and the card of the event that is open."""

from collections.abc import Sequence

import streamlit as st

from core.course.timeline import Event, Tour, event, tours
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.chronology import Mark, chronology
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.links import existing, show_links
from core.ui.messages import plain
from core.ui.share import Download, share_row
from core.ui.timeline.card import CARD_KEY, choose_event, date_text, show_card, who
from core.ui.timeline.form import (
    ABOUT,
    CATEGORY,
    CATEGORY_NAMES,
    EVEN,
    EVENT,
    PERSON,
    SEARCH,
    STATE,
    STOP,
    TOUR,
    choose_filters,
)


def code() -> str:
    """A program that prints the events on the page."""
    return (
        "from core.course.timeline import find\n\n"
        f"for event in find({st.session_state[SEARCH]!a}, language={get_language()!r}, "
        f"categories={st.session_state[CATEGORY]!r},\n"
        f"                  about={st.session_state[ABOUT]!r}, person={st.session_state[PERSON]!r}):\n"
        f"    print(event.date, event.titles[{get_language()!r}], event.url, sep=' · ')\n"
    )


def table(found: Sequence[Event]) -> bytes:
    """The events as CSV, in the reader's language."""
    language = get_language()
    header = ["id", "date", "category", "title", "what", "why", "who", "data", "said", "fact", "source", "url"]
    rows = (
        (
            item.id,
            item.date,
            _(CATEGORY_NAMES[item.category]),
            item.titles[language],
            item.what[language],
            item.why[language],
            who(item),
            item.data[language],
            item.said[language] if item.said else "",
            item.fact[language] if item.fact else "",
            item.source,
            item.url,
        )
        for item in found
    )
    return csv_bytes(header, rows)


def whole(found: Sequence[Event]) -> bytes:
    """The events as JSON, in both languages."""
    return json_bytes(
        [
            {
                "id": item.id,
                "date": item.date,
                "category": item.category,
                "languages": item.languages,
                "title": item.titles,
                "what": item.what,
                "why": item.why,
                "people": item.people,
                "organization": item.orgs,
                "data": item.data,
                "said": item.said,
                "fact": item.fact,
                "models": [{"name": size.name, "parameters": size.parameters} for size in item.sizes],
                "source": item.source,
                "url": item.url,
            }
            for item in found
        ]
    )


def marks(found: Sequence[Event]) -> list[Mark]:
    """What the axis draws."""
    language = get_language()
    titled = [(item, item.titles[language]) for item in found]
    return [Mark(item.id, item.day, item.category, title, f"{date_text(item.date)}: {title}") for item, title in titled]


def _begin() -> None:
    st.session_state[STOP] = 1


def _step(by: int) -> None:
    # From where it is, not to a number: a second click may come before the page has been drawn again.
    tour = tours()[st.session_state[TOUR]]
    st.session_state[STOP] = min(len(tour.stops), max(1, st.session_state[STOP] + by))


def _open(event_id: str) -> None:
    st.session_state[EVENT] = event_id


def _leave() -> None:
    st.session_state[TOUR] = None
    _begin()


def _choose_tour() -> Tour | None:
    chosen = st.pills(
        _("Recorridos: de hecho en hecho, con siguiente y anterior"),
        list(tours()),
        format_func=lambda id: f":material/route: {tours()[id].titles[get_language()]}",
        key=TOUR,
        persist_state="session",
        on_change=_begin,
        wrap=True,
    )
    return tours()[chosen] if chosen else None


def _show_tour(tour: Tour) -> Event:
    """The path's present stop with its card; returns its event."""
    language = get_language()
    last = len(tour.stops)
    number = min(max(1, st.session_state[STOP]), last)
    stop = tour.stops[number - 1]
    item = event(stop.event)
    with st.container(border=True, key="tl_tour_stop", gap="small"):
        st.caption(plain(tour.intro[language]))
        st.progress(number / last, text=_("Parada {n} de {total}").format(n=number, total=last))
        st.markdown(f"**{plain(stop.texts[language])}**")
        with st.container(horizontal=True):
            st.button(
                _("Anterior"),
                icon=":material/arrow_back:",
                key="tl_tour_previous",
                disabled=number == 1,
                on_click=_step,
                args=(-1,),
            )
            st.button(
                _("Siguiente"),
                icon=":material/arrow_forward:",
                icon_position="right",
                type="primary",
                key="tl_tour_next",
                disabled=number == last,
                on_click=_step,
                args=(1,),
            )
            st.button(_("Salir del recorrido"), icon=":material/close:", key="tl_tour_leave", on_click=_leave)
        if number == last:
            st.success(plain(tour.ending[language]), icon=":material/flag:")
            show_links(existing(tour.see)[:1])
    show_card(item)
    return item


def show_events() -> None:
    """The whole view."""
    tour = _choose_tour()
    lanes = {key: _(name) for key, name in CATEGORY_NAMES.items()}
    if tour:
        found = [event(stop.event) for stop in tour.stops]
        current = _show_tour(tour)
        order = [item.id for item in found]

        # Of the path that was on the page when it was clicked: it may have been left in the same moment.
        def go_to(event_id: str) -> None:
            st.session_state[STOP] = order.index(event_id) + 1

        chronology(
            marks(found),
            lanes,
            selected=current.id,
            stops=order,
            follow=f"st-key-{CARD_KEY}",
            key="tl_axis",
            on_choose=go_to,
        )
    else:
        found = choose_filters()
        if not found:
            st.info(
                _("Ningún hecho cumple todo eso. Prueba con otra palabra o quita los filtros."), icon=":material/info:"
            )
            return
        chronology(
            marks(found),
            lanes,
            selected=st.session_state[EVENT],
            even=st.session_state[EVEN],
            follow=f"st-key-{CARD_KEY}",
            key="tl_axis",
            on_choose=_open,
        )
        opened = choose_event(found)
        if opened:
            show_card(opened)
    share_row(
        STATE,
        code=None if tour else code(),
        downloads=(
            Download(_("Tabla (CSV)"), "timeline.csv", "text/csv", lambda: table(found)),
            Download(_("Todo (JSON)"), "timeline.json", "application/json", lambda: whole(found)),
        ),
        key="tl_events",
    )
