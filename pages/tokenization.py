"""Tokenización: how English BERT, BETO and others cut any text into tokens."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.lens.tokenization import clean_text  # noqa: E402
from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402
from core.ui.tokenization import form  # noqa: E402

form.arrive()

st.title(_("Tokenización"))
st.markdown(
    _(
        "Un modelo no lee palabras: lee **tokens**, las piezas de un vocabulario fijo. "
        "Escribe algo y compara cómo lo corta cada uno."
    )
)

text, keys = form.show_form()
view = form.choose_view()

with errors_shown():
    if not keys:
        st.info(_("Elige al menos un tokenizador."), icon=":material/info:")
        st.stop()
    bundles = form.get_bundles(keys)
    if view == "compare":
        from core.ui.tokenization.compare import show_compare

        show_compare(text, bundles)
    elif view == "steps":
        from core.ui.tokenization.steps import show_steps

        show_steps(clean_text(text)[0], bundles)
    elif view == "letters":
        from core.ui.tokenization.letters import show_letters

        show_letters(clean_text(text)[0], bundles)
    elif view == "vocabulary":
        from core.ui.tokenization.vocabulary import show_vocabulary

        show_vocabulary(bundles)
    else:
        from core.ui.tokenization.corpus import show_corpus

        show_corpus(text, bundles)

show_classroom(form.STATE)
form.STATE.publish()
