"""Every value that a link can carry, read from hostile strings: it is refused, or what comes out is harmless."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from core.ui.state import MAX_TEXT, Param, pack_text, unpack_text
from tests.hostile.strings import ANY_TEXT, BY_HAND, mixed

MIXED = 10_000


@cache
def params() -> dict[str, Param]:
    """All parameters of all pages, by page and name; those of the tasks' forms for every task."""
    from core.ui.attention_page.state import STATE as ATTENTION
    from core.ui.concepts.form import STATE as CONCEPTS
    from core.ui.embeddings.state import STATE as EMBEDDINGS
    from core.ui.inside.state import STATE as INSIDE
    from core.ui.system.form import STATE as SYSTEM
    from core.ui.tasks.registry import CARDS
    from core.ui.tasks.view import Form
    from core.ui.timeline.form import STATE as TIMELINE
    from core.ui.tokenization.form import STATE as TOKENIZATION
    from core.ui.tuned import known_model
    from core.ui.tuning.state import state

    states = (ATTENTION, CONCEPTS, EMBEDDINGS, INSIDE, SYSTEM, TIMELINE, TOKENIZATION, state())
    found = {f"{one.page}/{param.name}": param for one in states for param in one.params}
    for card in CARDS:
        for param in Form(card.slug, "en", card.view().fields).params():
            found[f"tasks/{card.slug}/{param.name}"] = param
    found["tasks/model"] = Param("model", "", "", decode=known_model)
    return found


def decoders() -> dict[Callable[[str], Any], str]:
    return {param.decode: name for name, param in params().items()}


def harmless(name: str, text: str) -> bool:
    """Whether the value was refused; fails if it was taken and is none that the page may meet."""
    param = params()[name]
    try:
        value = param.decode(text)
    except ValueError:
        return True
    if isinstance(value, float):
        assert math.isfinite(value), (name, text)
    if isinstance(value, str):
        assert len(value) <= max(MAX_TEXT, len(text)), (name, text)
    # What is taken can be written back into the address.
    assert isinstance(param.encode(value), str), (name, text)
    return False


@pytest.mark.parametrize("name", sorted(params()))
def test_what_is_written_by_hand(name: str) -> None:
    refused = sum(harmless(name, text) for text in BY_HAND)
    assert refused or params()[name].decode in (str, unpack_text)


def test_ten_thousand_mixtures() -> None:
    known = decoders()
    names = sorted(known.values())
    valid = ("1", "0", "12", "mini-beto", "beto-cased,mini-beto", "sentiment", "es", "0.5", pack_text("hola " * 200))
    refused = 0
    for seed in range(MIXED):
        text = mixed(seed, valid)
        # Each mixture meets some of the decoders, and each decoder some thousand mixtures.
        refused += sum(harmless(names[(seed + step) % len(names)], text) for step in range(0, len(names), 7))
    assert refused > MIXED


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(ANY_TEXT)
def test_whatever_is_generated(text: str) -> None:
    for name in decoders().values():
        harmless(name, text)
