"""Glossary marks: small buttons with a "?" that open a term's two sentences and its source."""

import streamlit as st

from core.course.glossary import concept
from core.i18n import get_language
from core.i18n import gettext as _


def glossary_marks(*ids: str, key: str) -> None:
    """A row of terms, each with a "?" that opens its explanation.

    Args:
        ids: ids of concepts in ``core/course/glossary.toml``.
        key: prefix for the widgets' keys, unique on the page.
    """
    language = get_language()
    with st.container(horizontal=True, gap="xsmall"):
        for name in ids:
            term = concept(name)
            with st.popover(term.term(language), icon=":material/help:", type="tertiary", key=f"{key}_{name}"):
                st.markdown(f"**{term.term(language)}**")
                st.markdown(term.text(language))
                if term.formula:
                    st.latex(term.formula)
                st.markdown(_("Fuente: [{title}]({url})").format(title=term.source, url=term.url))
