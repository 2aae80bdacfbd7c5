"""Part "¿Qué prueba esto?": cards on what is and what is not evidence, and the box that is always on screen."""

from typing import Final

import streamlit as st

from core.course.attention import EvidenceCard, evidence_cards
from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.attention_page.state import STATE
from core.ui.glossary import glossary_marks
from core.ui.messages import plain
from core.ui.navigation import N_

_KINDS: Final = {
    "is": (N_("Sí es evidencia"), ":material/check_circle:"),
    "with-care": (N_("Con cuidado"), ":material/warning:"),
    "not": (N_("No es evidencia"), ":material/cancel:"),
}


def show_not_an_explanation() -> None:
    """Both sides, in two sentences, wherever lines are drawn."""
    with st.container(border=True):
        st.markdown("**" + _("La atención no es una explicación") + "**")
        st.markdown(
            _(
                "Dice de dónde se mezcla información, no por qué se decidió algo: otras atenciones muy distintas "
                "pueden dar la misma respuesta ([Jain y Wallace 2019](https://arxiv.org/abs/1902.10186)). "
                "Tampoco es ruido: depende de qué se llame explicar y de cómo se compruebe "
                "([Wiegreffe y Pinter 2019](https://arxiv.org/abs/1908.04626)). Por eso al lado hay una prueba."
            )
        )


def _card(card: EvidenceCard) -> None:
    reader = get_language()
    name, icon = _KINDS[card.kind]
    with st.container(border=True):
        st.markdown(f"{icon} :small[{_(name)}]  \n**{plain(card.title(reader))}**")
        st.markdown(plain(card.text(reader)))
        st.markdown(":small[" + _("Fuente: [{title}]({url})").format(title=plain(card.source), url=card.url) + "]")


def show_evidence() -> None:
    """The whole part."""
    st.markdown("## " + _("¿Qué prueba una línea de atención?"))
    show_not_an_explanation()
    cards = evidence_cards()
    for column, half in zip(st.columns(2, gap="medium"), (cards[::2], cards[1::2]), strict=True):
        with column:
            for card in half:
                _card(card)
    glossary_marks("attention", "attention-visualization", "special-tokens", key="g_evidence")
    STATE.publish()
