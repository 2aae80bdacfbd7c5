"""Links from the course to the page where one tries a thing, written as data: ``"page?name=value"``."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl

import streamlit as st

from core.i18n import gettext as _
from core.ui.navigation import PAGES
from core.ui.tasks.registry import BY_SLUG

_BY_NAME: Final = {spec.name: spec for spec in PAGES}


def parse(reference: str) -> tuple[str, dict[str, str]]:
    """The page's name and the parameters of its link.

    Args:
        reference: ``"tasks?task=fill-mask"`` or just ``"tasks"``.
    """
    page, _mark, query = reference.partition("?")
    return page, dict(parse_qsl(query))


def page_file(page: str) -> str:
    """The file of the page of this name."""
    return _BY_NAME[page].file


def existing(references: Iterable[str]) -> list[str]:
    """Those that lead to a page of this app; the course may name pages that don't exist yet."""
    return [reference for reference in references if parse(reference)[0] in _BY_NAME]


def name_of(reference: str) -> str:
    """What a person reads: the page's title and, for a task, its name."""
    page, query = parse(reference)
    title = _(_BY_NAME[page].title)
    task = BY_SLUG.get(query.get("task", ""))
    return f"{title}: {_(task.title)}" if task else title


def show_links(references: Iterable[str], *, label: str = "", icon: str = ":material/play_arrow:") -> None:
    """One link for each page that exists, side by side.

    Args:
        references: where to.
        label: what each says, with ``{page}`` for the page's name; "Try it in …" by default.
        icon: a Material icon.
    """
    found = existing(references)
    if not found:
        return
    with st.container(horizontal=True):
        for reference in found:
            page, query = parse(reference)
            st.page_link(
                _BY_NAME[page].file,
                label=(label or _("Pruébalo en {page}")).format(page=name_of(reference)),
                icon=icon,
                query_params=query or None,
            )
