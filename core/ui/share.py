"""The row under every result: a link to this view, the code behind it, and files to take home."""

from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass

import streamlit as st

from core.i18n import get_language, set_language
from core.i18n import gettext as _
from core.ui.state import PageState


@dataclass(frozen=True, slots=True)
class Download:
    """A file: what the button says, the file's name and type, and a function that makes its bytes."""

    label: str
    file_name: str
    mime: str
    content: Callable[[], bytes]


def in_this_language(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """``make`` for later: Streamlit calls it when the button is pressed, in a thread that knows no language."""
    language = get_language()

    def made() -> bytes:
        set_language(language)
        return make()

    # In a context of its own, so that nothing else on that thread changes language.
    return lambda: copy_context().run(made)


def show_code(code: str, key: str) -> None:
    """Shows the button behind which a Python program stands that prints the same result.

    Args:
        code: the program.
        key: prefix for the widget's key, unique on the page.
    """
    with st.popover(_("El código"), icon=":material/code:", key=f"{key}_code"):
        st.markdown(
            _("Pégalo en un Python con `transformers`, abierto en la carpeta del proyecto, e imprime lo mismo:")
        )
        st.code(code, language="python")


def share_row(state: PageState, *, code: str | None, downloads: tuple[Download, ...], key: str) -> None:
    """Shows the three buttons.

    Args:
        state: the page's parameters, for the link.
        code: a Python program that prints the same result; ``None`` if the view has none.
        downloads: the files on offer; each is made only when its button is pressed.
        key: prefix for the widgets' keys, unique on the page.
    """
    with st.container(horizontal=True):
        with st.popover(_("Enlace a esta vista"), icon=":material/link:", key=f"{key}_link"):
            link = state.link()
            if link is None:
                st.markdown(_("El texto es demasiado largo para un enlace. Acórtalo o comparte el archivo."))
            else:
                st.markdown(_("Quien abra este enlace verá lo mismo que tú:"))
                st.code(link, language=None, wrap_lines=True)
        if code is not None:
            show_code(code, key)
        if downloads:
            with st.popover(_("Descargar"), icon=":material/download:", key=f"{key}_download"):
                for index, file in enumerate(downloads):
                    st.download_button(
                        file.label,
                        data=in_this_language(file.content),
                        file_name=file.file_name,
                        mime=file.mime,
                        on_click="ignore",
                        key=f"{key}_download_{index}",
                    )
