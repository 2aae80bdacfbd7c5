"""What is shown of the weights: which attention, in which form, with which tokens."""

from dataclasses import dataclass

import streamlit as st

from core.i18n import gettext as _
from core.lens.attention import Kind
from core.ui.attention import VIEWS, View
from core.ui.attention_page.state import FORM, FORMS, KIND, KINDS, SPECIAL, SPECIALS, WORDS, forget_tokens


@dataclass(frozen=True, slots=True)
class Options:
    """The choices; the fields are described at ``readings.shown_map``."""

    form: str
    special: str
    words: bool

    @property
    def single(self) -> bool:
        """Whether each row is one token of the model and each head its own: as the model computes them."""
        return self.form == "weights" and self.special == "keep" and not self.words

    @property
    def views(self) -> tuple[View, ...]:
        """The views that make sense: vectors belong to tokens and heads as the model has them."""
        return VIEWS if self.single else tuple(view for view in VIEWS if view != "neuron")


def choose_options(kinds: tuple[Kind, ...]) -> Options:
    """Draws the fields.

    Args:
        kinds: the attentions that the model has.
    """
    session = st.session_state
    if session[KIND] not in ("", *kinds):
        session[KIND] = ""
    if (session[KIND] or kinds[0]) == "cross" and session[FORM] == "rollout":
        session[FORM] = "weights"
    columns = st.columns([2, 2, 1.2] if len(kinds) == 1 else [2, 2, 2, 1.2], vertical_alignment="bottom")
    if len(kinds) > 1:
        if not session[KIND]:
            session[KIND] = kinds[0]
        columns[0].selectbox(
            _("Qué atención"),
            list(kinds),
            format_func=lambda kind: _(KINDS[kind]),
            key=KIND,
            persist_state="session",
            on_change=forget_tokens,
        )
    forms = [form for form in FORMS if form != "rollout" or (session[KIND] or kinds[0]) != "cross"]
    form = columns[-3].selectbox(
        _("Qué se dibuja"),
        forms,
        format_func=lambda key: _(FORMS[key]),
        key=FORM,
        persist_state="session",
        help=_(
            "‖α·f(x)‖ multiplica cada peso por el tamaño del vector que trae (Kobayashi et al. 2020), con cada fila "
            "reescalada a 1. El despliegue multiplica las capas, con media de cabezas y medio camino residual (Abnar y "
            "Zuidema 2020)."
        ),
    )
    special = columns[-2].selectbox(
        _("Tokens especiales"),
        list(SPECIALS),
        format_func=lambda key: _(SPECIALS[key]),
        key=SPECIAL,
        persist_state="session",
        on_change=forget_tokens,
        help=_("Al ocultarlos sin reescalar, cada fila suma menos de 1: lo que falta fue a los tokens ocultos."),
    )
    words = columns[-1].toggle(
        _("Unir piezas"),
        key=WORDS,
        persist_state="session",
        on_change=forget_tokens,
        help=_(
            "Las piezas de una palabra se muestran como una: lo que recibe se suma y lo que da se promedia (Clark et "
            "al. 2019), así que cada fila sigue sumando 1."
        ),
    )
    return Options(form or "weights", special or "keep", bool(words))
