"""Ajuste fino: train a real model from a form, watch it learn, try it, take it home."""

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import require_app

require_app()

from core.ui.classroom import show_classroom  # noqa: E402
from core.ui.glossary import glossary_marks  # noqa: E402
from core.ui.messages import errors_shown  # noqa: E402
from core.ui.owner import keep_owner  # noqa: E402
from core.ui.tuning import form  # noqa: E402
from core.ui.tuning import state as keys  # noqa: E402
from core.ui.tuning.data_section import show_data  # noqa: E402
from core.ui.views import view_switch  # noqa: E402

keys.arrive()

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

        # Before anything slow, so that whoever reloads just after pressing Entrenar still comes back here.
        keys.state().publish()
        show_runs()
    else:
        form.choose_task()
        if view == "train":
            from core.ui.tuning.launch import show_launch

            st.header(_("1. Datos"))
            data = show_data(keys.task())
            if data is not None:
                st.header(_("2. Modelo y método"))
                base = form.choose_base(data.language)
                if base is not None:
                    form.choose_method(base)
                    form.choose_numbers()
                    st.header(_("3. Tus frases, y a entrenar"))
                    form.choose_sentences(data.language)
                    show_launch(form.request(data, base), data)
            glossary_marks("fine-tuning", "transfer-learning", "body-and-head", "loss-optimizer-batches", key="tn_g")
        else:
            from core.ui.tuning.compare import show_compare

            with st.expander(_("Con qué datos y qué modelo"), icon=":material/dataset:"):
                data = show_data(keys.task())
                base = form.choose_base(data.language) if data is not None else None
            if data is not None and base is not None:
                form.settle(base, data.language)
                show_compare(data, form.request(data, base))

show_classroom(keys.state())
# Last: it shows nothing, and would push the title down.
keep_owner()
keys.state().publish()
