"""View "Conceptos": search, and a card for each concept."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from core.course.glossary import Concept, concept, concepts, find_concepts
from core.course.timeline import events
from core.i18n import get_language, ngettext
from core.i18n import gettext as _
from core.ui.concepts.form import CONCEPT, SEARCH, STATE
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.links import show_links
from core.ui.messages import plain
from core.ui.share import Download, share_row

_FIRST: Final = 8
_EVERY: Final = "_con_every"
# On a card there is room for the first events that speak of the concept.
_EVENTS: Final = 2
# Half a page, or a phone, is narrower than some formulas: they are smaller there and break between terms.
_FORMULA_CSS: Final = """
<style>
[data-testid="stMain"] .katex-display { font-size: 0.88em; padding: 0.2em 0; overflow: visible; }
[data-testid="stMain"] .katex-display > .katex { white-space: normal; }
[data-testid="stMain"] .katex-display .base { margin: 0.2em 0; }
@media (max-width: 40rem) { [data-testid="stMain"] .katex-display { font-size: 0.72em; } }
</style>
"""


def code() -> str:
    """A program that prints the concepts on the page."""
    language = get_language()
    return (
        "from core.course.glossary import find_concepts\n\n"
        f"for concept in find_concepts({st.session_state[SEARCH]!a}, {language!r}):\n"
        f"    print(concept.term({language!r}), concept.text({language!r}), concept.url, sep=' · ')\n"
    )


def table(found: Sequence[Concept]) -> bytes:
    """The concepts as CSV, in the reader's language."""
    language = get_language()
    rows = ((c.id, c.term(language), c.text(language), c.formula or "", c.source, c.url) for c in found)
    return csv_bytes(["id", "term", "text", "formula", "source", "url"], rows)


def whole(found: Sequence[Concept]) -> bytes:
    """The concepts as JSON, in both languages."""
    return json_bytes(
        [
            {
                "id": c.id,
                "term": {"es": c.term_es, "en": c.term_en},
                "text": {"es": c.text_es, "en": c.text_en},
                "formula": c.formula,
                "sources": [{"title": source.title, "url": source.url} for source in c.sources],
            }
            for c in found
        ]
    )


def show_concept(item: Concept) -> None:
    """One concept's card."""
    language = get_language()
    with st.container(border=True, key=f"concept_{item.id}", height="stretch", gap="small"):
        st.markdown(f"## {plain(item.term(language))}")
        st.markdown(plain(item.text(language)))
        if item.formula:
            st.latex(item.formula)
        sources = "; ".join(f"[{plain(source.title)}]({source.url})" for source in item.sources)
        st.markdown(ngettext("Fuente: {list}", "Fuentes: {list}", len(item.sources)).format(list=sources))
        st.space("stretch")
        if item.see and not item.see.startswith("timeline"):
            show_links([item.see], label=_("Verlo en vivo en {page}"))
        telling = [event for event in events() if item.id in event.concepts][:_EVENTS]
        for event in telling:
            title = f"{event.year} · {event.titles[language]}".replace("{", "{{").replace("}", "}}")
            show_links([f"timeline?event={event.id}"], label=title, icon=":material/timeline:")
        if not telling and item.see:
            show_links([item.see] if item.see.startswith("timeline") else [], icon=":material/timeline:")


def _show_every() -> None:
    st.session_state[_EVERY] = True


def _again() -> None:
    st.session_state[CONCEPT] = None


def show_glossary() -> None:
    """The whole view."""
    st.html(_FORMULA_CSS)
    language = get_language()
    field, jump = st.columns(2, vertical_alignment="bottom")
    text = field.text_input(
        _("Buscar"),
        key=SEARCH,
        persist_state="session",
        placeholder=_("Por ejemplo: atención, softmax, BERT…"),
        on_change=_again,
    )
    jump.selectbox(
        _("Ir a un concepto"),
        sorted((item.id for item in concepts()), key=lambda id: concept(id).term(language).casefold()),
        index=None,
        format_func=lambda id: concept(id).term(language),
        key=CONCEPT,
        persist_state="session",
        placeholder=_("Los {n}, por orden alfabético").format(n=len(concepts())),
    )
    chosen = st.session_state[CONCEPT]
    found = [concept(chosen)] if chosen else find_concepts(text or "", language)
    if not found:
        st.info(_("Ningún concepto dice eso. Prueba con otra palabra, también en inglés."), icon=":material/info:")
        return
    if not chosen:
        count = ngettext("**{n}** concepto", "**{n}** conceptos", len(found)).format(n=len(found))
        st.markdown(count)
    shown = found if st.session_state.get(_EVERY) else found[:_FIRST]
    width = 1 if len(shown) == 1 else 2
    for left in range(0, len(shown), width):
        for column, item in zip(st.columns(width), shown[left : left + width], strict=False):
            with column:
                show_concept(item)
    if len(shown) < len(found):
        label = ngettext("Ver {n} concepto más", "Ver {n} conceptos más", len(found) - len(shown))
        st.button(
            label.format(n=len(found) - len(shown)),
            icon=":material/expand_more:",
            key="con_every",
            on_click=_show_every,
        )
    share_row(
        STATE,
        code=code(),
        downloads=(
            Download(_("Tabla (CSV)"), "glossary.csv", "text/csv", lambda: table(found)),
            Download(_("Todo (JSON)"), "glossary.json", "application/json", lambda: whole(found)),
        ),
        key="con_glossary",
    )
