"""One model's download on the page: a button with the size, a bar with speed and time left, a way to stop."""

import streamlit as st

from core.catalog import ModelEntry
from core.i18n import format_duration, format_number
from core.i18n import gettext as _
from core.runtime.downloads import MIB, DownloadState
from core.ui.messages import plain
from core.ui.resources import downloads
from core.ui.system.operator import may_download


def size_text(mib: float) -> str:
    """A size for a person: MiB, or GiB from a thousand on."""
    if mib >= 1000:
        return f"{format_number(mib / 1024, 1)} GiB"
    return f"{format_number(mib, 0 if mib >= 10 else 1)} MiB"


def progress_text(state: DownloadState) -> str:
    """How far a download is, how fast, and how long it will take."""
    parts = [state.message]
    if state.seconds_left is not None:
        parts.append(_("{speed} MiB/s").format(speed=format_number(state.bytes_per_second / MIB, 1)))
        parts.append(_("faltan {time}").format(time=format_duration(state.seconds_left)))
    return " · ".join(parts)


def _start(entry: ModelEntry) -> None:
    if may_download():
        downloads().start(entry)


def _stop(entry: ModelEntry) -> None:
    # Who may not start downloads must not be able to end those of whoever may.
    if may_download():
        downloads().cancel(entry)


def download_control(entry: ModelEntry, *, key: str) -> None:
    """The button, or how the download that is under way stands.

    Args:
        entry: a model that isn't on this machine.
        key: prefix for the widgets' keys.
    """
    state = downloads().state(entry)
    if state.active:
        share = state.done_bytes / state.total_bytes if state.total_bytes else 0.0
        st.progress(min(1.0, share), text=plain(progress_text(state)))
        if may_download():
            st.button(_("Detener"), icon=":material/stop:", key=f"{key}_stop", on_click=_stop, args=(entry,))
        return
    if state.status in {"failed", "cancelled"}:
        st.warning(plain(state.message), icon=":material/info:")
    if not may_download():
        st.caption(_("Solo quien administra la aplicación puede bajar modelos aquí."))
        return
    assert entry.weights is not None
    label = _("Seguir") if state.status == "cancelled" else _("Bajar")
    st.button(
        f"{label} ({size_text(entry.weights.download_mib)})",
        icon=":material/download:",
        key=f"{key}_start",
        on_click=_start,
        args=(entry,),
    )
