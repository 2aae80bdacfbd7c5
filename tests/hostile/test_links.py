"""Links with hostile values in all their parameters at once, opened on every page of the real app.

Nothing may break, and nothing of what the link holds may get where a browser would take it for more than letters.
"""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from core.ui.navigation import PAGES
from tests.conftest import ROOT
from tests.hostile.strings import BY_HAND, MARK, MARKDOWN, SCRIPTS, mixed
from tests.hostile.test_decoders import params
from tests.pages.conftest import (
    go_to,
    unplugged,  # noqa: F401  # the app as on a machine without internet
)

NAMES = [page.name for page in PAGES]
# Pages whose texts go through a model take longer.
ROUNDS = {"embeddings": 3, "inside": 3, "attention": 3, "tasks": 4}
ALIKE = SCRIPTS[0] + MARKDOWN[0]
# Pages where a link's text or search lands in a field.
TYPED = {"tokenization", "embeddings", "inside", "attention", "tasks", "timeline", "concepts"}
# Fields of a message that Streamlit's page reads as Markdown; what stands in a form's field is text.
_MARKDOWN_FIELDS = {"body", "label", "help", "title", "caption", "header", "description", "text", "icon"}
_TEXT_ELEMENTS = {"text", "code"}
_LIVE = re.compile(
    rf"(?<!\\)\]\s*\((?:\s*http://{MARK}|\s*javascript:)|(?<!\\)<http://{MARK}|(?<!\\)\]:\s*http://{MARK}"
)


def names_of(page: str) -> list[str]:
    own = {name.rsplit("/", 1)[-1] for name in params() if name.startswith(f"{page}/")}
    common = {"lang", "present", "guess", "room", "example"}
    more = {"task", "tl", "mode", "versus", "a", "b"} if page == "tasks" else set()
    return sorted(own | common | more)


def links(page: str) -> Iterator[dict[str, str]]:
    """Some links of ``page``: one alike in all parameters, and mixtures; some parameters stay right, to get further."""
    chance = random.Random(page)
    names = names_of(page)
    yield dict.fromkeys(names, SCRIPTS[0] + MARKDOWN[0]) | {f"{MARK}<b>": MARKDOWN[0]}
    for round_ in range(ROUNDS.get(page, 8)):
        query = {name: chance.choice((*BY_HAND, mixed(round_ * 1000 + place))) for place, name in enumerate(names)}
        for name in ("view", "lang", "models", "mode", "task", "tl"):
            if chance.random() < 0.7:
                query.pop(name, None)
        # What is shown most often as it came.
        for name in ("text", "search", "own", "a"):
            if name in query:
                query[name] = chance.choice((*SCRIPTS, *MARKDOWN))
        yield query


def strings(message: Message) -> Iterator[tuple[str, str]]:
    """All strings in a message, with the name of the field that holds each."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else (value,):
            if isinstance(one, Message):
                yield from strings(one)
            elif isinstance(one, str):
                yield field.name, one


def elements(node: Any) -> Iterator[Any]:
    for child in getattr(node, "children", {}).values():
        yield child
        yield from elements(child)


def problems(app: AppTest) -> list[str]:
    found = [f"exception: {one.message}" for one in app.exception]
    found += [f"error: {one.value}" for one in app.error if "Código para" in one.value or "Code for" in one.value]
    for element in elements(app._tree):
        proto = getattr(element, "proto", None)
        if not isinstance(proto, Message) or element.type in _TEXT_ELEMENTS:
            continue
        for field, text in strings(proto):
            if element.type == "html" and MARK in text:
                found.append(f"in HTML: {text[:200]}")
            if field in _MARKDOWN_FIELDS and _LIVE.search(text):
                found.append(f"live in {element.type}.{field}: {text[:200]}")
    return found


@pytest.mark.parametrize("page", NAMES)
def test_hostile_links_do_no_harm(page: str) -> None:
    for query in links(page):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        app.run()
        go_to(app, page, **query)
        assert problems(app) == [], query
        assert app.title
        if page in TYPED and set(query.values()) == {ALIKE}:
            fields = (*app.text_area, *app.text_input)
            assert ALIKE in [field.value for field in fields], "the link's text has not arrived"


def test_the_check_sees_what_is_live() -> None:
    def script() -> None:
        import streamlit as st

        st.markdown("![zq7](http://zq7.example/x.png)")
        st.button("[zq7](javascript:window.zq7=1)")
        st.html("<b>zq7</b>")
        st.text("![zq7](http://zq7.example/x.png)")
        st.text_input("A field", value="![zq7](http://zq7.example/x.png)")

    assert [one.split(":")[0] for one in problems(AppTest.from_function(script).run())] == [
        "live in markdown.body",
        "live in button.label",
        "in HTML",
    ]
