"""What stays for good is out of the collector's sight, and what nobody refers to is freed all the same."""

import gc
import sys
import types
import weakref
from collections.abc import Iterator

import pytest

from core.runtime import garbage


class Ring:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(garbage, "_modules", 0)
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_was_imported_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert garbage.keep_imports()
    assert gc.get_freeze_count() > 10_000
    assert not garbage.keep_imports(), "nothing was imported since"
    monkeypatch.setitem(sys.modules, "a_module_that_is_new", types.ModuleType("a_module_that_is_new"))
    assert garbage.keep_imports()
    looked_at = gc.get_objects()
    assert not any(thing is garbage for thing in looked_at) and len(looked_at) < 10_000


def test_a_cycle_that_was_there_when_modules_came_is_freed_by_the_next_collection() -> None:
    ring = Ring()
    seen = weakref.ref(ring)
    assert garbage.keep_imports()
    del ring
    gc.collect()
    assert seen() is not None
    garbage.collect()
    assert seen() is None
    assert gc.get_freeze_count() > 10_000, "the rest goes back out of sight"


def test_garbage_is_not_kept() -> None:
    seen = weakref.ref(Ring())
    assert garbage.keep_imports()
    assert seen() is None


def test_nothing_is_moved_where_nothing_was() -> None:
    garbage.collect()
    assert gc.get_freeze_count() == 0
