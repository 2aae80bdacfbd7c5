"""Ajuste fino: train a real model from a form, watch it learn, try it, take it home."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.glossary import glossary_marks  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402
from core.ui.owner import keep_owner  # noqa: E402
from core.ui.tuning import form  # noqa: E402
from core.ui.tuning import state as keys  # noqa: E402
from core.ui.views import view_switch  # noqa: E402

keys.arrive()
keep_owner()

st.title(_("Ajuste fino"))
st.markdown(
    _(
        "Un modelo que ya leyó mucho aprende **tu** tarea con unos cientos de ejemplos. Elige datos y receta, pulsa "
        "**Entrenar** y mira cómo empieza a acertar."
    )
)
view = view_switch(_("Vista"), keys.VIEWS, keys.VIEW)

with errors_shown():
    if view == "runs":
        from core.ui.tuning.runs import show_runs

        show_runs()
    else:
        form.choose_task()
        data = form.choose_data()
        base = form.choose_base(data.language) if data is not None else None
        if data is not None and base is not None:
            if view == "train":
                from core.ui.tuning.launch import show_launch

                form.choose_method(base)
                form.choose_numbers()
                form.choose_sentences(data.language)
                show_launch(form.request(data, base), data)
            else:
                from core.ui.tuning.compare import show_compare

                show_compare(data, form.request(data, base))
        glossary_marks("fine-tuning", "transfer-learning", "body-and-head", "loss-optimizer-batches", key="tn_g")

keys.STATE.publish()
