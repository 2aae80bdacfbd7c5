"""How people are told that something did not work: our message, never a traceback."""

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
import streamlit.elements.exception

from core.errors import TallerError
from core.i18n import gettext as _

_log = logging.getLogger(__name__)
_BREAKS = re.compile(r"[\r\n\t\v\f\x1c-\x1e\x85\u2028\u2029]+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&^=])")
# What Streamlit's page makes a link of even so, after it has undone the escapes: an address, of the web or of post.
_ADDRESS = re.compile(r"(?<=https:)(?=//)|(?<=http:)(?=//)|(?<=www)(?=\.)|(?<=\w)(?=@\w)", re.IGNORECASE)
_JOINER = "\u2060"
_LAST_WORDS = (
    "El servidor no pudo mostrar esta página. Vuelve a intentarlo en un momento. · The server could not show this "
    "page. Try again in a moment."
)


def plain(text: str) -> str:
    """``text`` for a Markdown element, so that it is shown letter for letter whatever it holds.

    A mark that nobody sees (U+2060) stands in addresses, so that a stranger's text never becomes a link.
    """
    # A line break would begin a new block; thin spaces in numbers must stay.
    return _MARKDOWN.sub(r"\\\1", _ADDRESS.sub(_JOINER, _BREAKS.sub(" ", text)))


def show_error(error: TallerError) -> None:
    """Shows what happened and what to do."""
    st.warning(plain(str(error)), icon=":material/info:")


def show_failure(error: Exception) -> bool:
    """Says that something failed: what to do about it, or, where nobody foresaw it, the code under which it is logged.

    What was typed stays in its form either way. It is also what Streamlit calls when a script ends in an error.

    Returns:
        True: Streamlit needn't say anything itself.
    """
    if isinstance(error, TallerError):
        show_error(error)
    elif isinstance(error, MemoryError) or "can't start new thread" in str(error):
        show_error(TallerError(_("No hay memoria libre para mostrar esto. Vuelve a intentarlo en un momento.")))
    else:
        code = uuid.uuid4().hex[:8]
        _log.error("error %s on a page", code, exc_info=error)
        st.error(
            _(
                "Algo falló de nuestro lado y no pudimos mostrar esta parte. Lo que escribiste sigue en el "
                "formulario: cambia algo y vuelve a intentarlo. Código para quien administra la aplicación: {code}"
            ).format(code=code),
            icon=":material/error:",
        )
    return True


def speak_for_streamlit() -> None:
    """Puts our words in the place of those that Streamlit has for an error before or after a page's script.

    So it is where no thread could be begun for it: nobody's language is known then, and nothing of ours runs. There is
    no setting for the text, which otherwise is an English one for developers.
    """
    # setattr: it is a constant there.
    setattr(streamlit.elements.exception, "_GENERIC_UNCAUGHT_EXCEPTION_TEXT", _LAST_WORDS)  # noqa: B010


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turns the errors of its body into messages on the page (``show_failure``)."""
    try:
        yield
    except Exception as error:  # the page boundary: nothing may reach the visitor as a traceback
        show_failure(error)
