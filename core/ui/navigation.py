"""The pages of the app, in one place, and the guard that makes deep links work.

A ``pages/`` folder beside ``app.py`` makes Streamlit run the requested page alone, without ``app.py``,
until ``st.navigation`` has been called once in the process. ``require_app`` on the first line of every
page calls it and starts the run again.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.i18n import gettext as _
from core.runtime import garbage
from core.ui.messages import errors_shown


def N_(message: str) -> str:
    """Marks a message for translation where it is written; ``_`` translates it where it is shown."""
    return message


@dataclass(frozen=True, slots=True)
class PageSpec:
    """One page: its file name is its address, the rest is what a person reads in the menu."""

    name: str
    title: str
    help: str
    section: str = ""

    @property
    def file(self) -> str:
        """The script, from the folder of ``app.py``."""
        return f"pages/{self.name}.py"


PAGES: Final = (
    PageSpec(
        "home",
        N_("Inicio"),
        N_("Qué es este taller y qué probar primero."),
    ),
    PageSpec(
        "timeline",
        N_("Línea de tiempo"),
        N_("De Márkov (1906) a hoy: qué pasó, quién lo hizo, por qué importó y qué se suele contar mal."),
        N_("El curso"),
    ),
    PageSpec(
        "concepts",
        N_("Glosario y conceptos"),
        N_("Cada idea en dos frases, con fórmula, fuente y dónde verla; y cómo elegir un modelo."),
        N_("El curso"),
    ),
    PageSpec(
        "tokenization",
        N_("Tokenización"),
        N_("Cómo corta cada modelo tu texto en tokens, lado a lado y paso a paso."),
        N_("Mirar por dentro"),
    ),
    PageSpec(
        "embeddings",
        N_("Embeddings"),
        N_("Los vectores de un modelo: de qué se suman, a cuáles se parecen y cómo cambian con la frase."),
        N_("Mirar por dentro"),
    ),
    PageSpec(
        "inside",
        N_("Por dentro"),
        N_("Un pase por el modelo paso a paso, con tu frase y sus números; sus parámetros, y por qué va en paralelo."),
        N_("Mirar por dentro"),
    ),
    PageSpec(
        "attention",
        N_("Atención"),
        N_("A qué mira cada cabeza de cada capa cuando un modelo lee tu frase, y qué prueba eso."),
        N_("Mirar por dentro"),
    ),
    PageSpec(
        "tasks",
        N_("Tareas"),
        N_("Sentimiento, entidades, preguntas, resúmenes…: tu texto, la respuesta del modelo y su porqué."),
        N_("Usar un modelo"),
    ),
    PageSpec(
        "finetuning",
        N_("Ajuste fino"),
        N_("Entrena un modelo de verdad con tus datos, mira cómo aprende, pruébalo y llévatelo."),
        N_("Usar un modelo"),
    ),
    PageSpec(
        "system",
        N_("Sistema"),
        N_("Qué hace este equipo, qué modelos tiene, y si todo está listo para el taller."),
        N_("El taller"),
    ),
)

_inside_app: ContextVar[bool] = ContextVar("inside_app", default=False)


def build() -> StreamlitPage:
    """Declares the pages to Streamlit, in the reader's language, and returns the current one."""
    menu: dict[str, list[StreamlitPage]] = {}
    for index, spec in enumerate(PAGES):
        # No icon: Streamlit makes it the browser tab's, too, and fetches it from another host.
        page = st.Page(spec.file, title=_(spec.title), help=_(spec.help), default=index == 0)
        menu.setdefault(_(spec.section) if spec.section else "", []).append(page)
    return st.navigation(menu)


def run_page(page: StreamlitPage) -> None:
    """Runs the current page inside the app's frame."""
    token = _inside_app.set(True)
    try:
        with errors_shown():
            page.run()
    finally:
        _inside_app.reset(token)
        garbage.keep_imports()


def require_app() -> None:
    """First line of every page: if Streamlit runs it without ``app.py``, start again with it."""
    if not _inside_app.get():
        build()
        st.rerun()
