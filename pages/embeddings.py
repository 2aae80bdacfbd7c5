"""Embeddings: from tokens to vectors: the three that are added, their neighbours, contexts, sentences, batches."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.embeddings import models  # noqa: E402
from core.ui.embeddings.form import choose_part, show_form  # noqa: E402
from core.ui.embeddings.state import STATE, arrive  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402

here = models.here()
arrive(models.languages_here(here))

st.title(_("Embeddings"))
st.markdown(
    _(
        "Un modelo no calcula con palabras, sino con **vectores**: listas de números. Elige una parte y mira de dónde "
        "salen, a cuáles se parecen y cómo cambian con la frase."
    )
)
part = choose_part()

with errors_shown():
    model = show_form(here, part)
    if model is None:
        from core.ui.embeddings.by_hand import show_cosine

        show_cosine()
    elif part == "positions":
        from core.ui.embeddings.positions import show_positions

        show_positions(model)
    elif part == "neighbours":
        from core.ui.embeddings.neighbours import show_neighbours

        show_neighbours(model)
    elif part == "contexts":
        from core.ui.embeddings.contexts import show_contexts

        show_contexts(model)
    elif part == "sentences":
        from core.ui.embeddings.sentences import show_sentences

        show_sentences(model)
    elif part == "batch":
        from core.ui.embeddings.batch import show_batch

        show_batch(model)
    else:
        from core.ui.embeddings.added import show_sum

        show_sum(model)

show_classroom(STATE)
STATE.publish()
