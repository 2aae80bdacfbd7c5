"""The line on every page that says which engine computes, where there is a cluster."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.i18n import format_duration
from core.i18n import gettext as _
from core.runtime.cluster_line import Trouble
from core.runtime.ray_engine import ClusterState, RayEngine
from core.settings import get_settings
from core.ui.messages import plain
from core.ui.resources import engine


@contextmanager
def cluster_shown() -> Iterator[None]:
    """Around a page: says above it that the cluster is lost, or under it that it computes."""
    if get_settings().ray_address is None:
        yield
        return
    above = st.empty()
    yield
    # Only now it is known who answered on this page.
    found = engine()
    assert isinstance(found, RayEngine)
    state = found.state()
    if state.trouble is None:
        st.caption(":material/hub: " + plain(_("Calcula un clúster Ray.")))
    else:
        above.warning(plain(lost_text(state, state.trouble)), icon=":material/cloud_off:")


def trouble_text(trouble: str) -> str:
    """What is the matter with the cluster: the beginning of a sentence.

    Args:
        trouble: a ``Trouble``, perhaps from a file.
    """
    return {
        "away": _("El clúster Ray no está"),
        "silent": _("El clúster Ray no contesta"),
        "broken": _("El clúster Ray se corta"),
        "other_code": _("El clúster Ray tiene otra versión de la aplicación"),
        "other_secret": _("El clúster Ray no comparte el secreto de esta aplicación"),
    }.get(trouble, _("El clúster Ray no está"))


def lost_text(state: ClusterState, trouble: Trouble) -> str:
    """What is said while the cluster is lost."""
    return _("{why} (desde hace {time}): mientras tanto calcula este equipo. Se vuelve a probar solo.").format(
        why=trouble_text(trouble), time=format_duration(max(0.0, time.time() - state.since))
    )
