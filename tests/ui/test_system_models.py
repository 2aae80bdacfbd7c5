"""Models in memory: a budget for each device, and a true sentence whatever became of the model."""

from dataclasses import replace
from typing import Any

import pytest

from core.runtime.device import CPU, Device
from core.runtime.pool import MIB
from core.ui.system import models, operator
from tests.pages.conftest import OpenApp, open_app, texts, unplugged
from tests.pages.test_system import FakePool, all_gauges, at_the_machine, put_pool

__all__ = ["at_the_machine", "open_app", "unplugged"]


class CardPool(FakePool):
    """A card with one model, and another that did not fit on it."""

    def __init__(self) -> None:
        super().__init__()
        self.device: Any = Device("cuda", 0)
        self.known_device = self.device
        self.held = [replace(self.held[0], device="cuda:0"), replace(self.held[0], key="beto-cased")]
        self.used = {self.device: 87 * MIB, CPU: 420 * MIB}

    def used_bytes(self, device: Any = None) -> int:
        return sum(size for place, size in self.used.items() if device in (None, place))

    def budget_bytes(self, device: Any = None) -> int:
        return (2000 if device == CPU else 8700) * MIB


def budgets(app: Any) -> list[tuple[str, str]]:
    cards = max(all_gauges(app), key=lambda cards: cards[0]["title"].startswith("Memoria de los"))
    return [(card["title"], card["value"]) for card in cards]


def test_what_fell_to_the_cpu_has_its_own_budget(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = CardPool()
    put_pool(monkeypatch, pool)
    assert budgets(open_app("system", lang="es", view="models")) == [
        ("Memoria de los modelos · cuda:0", "87 de 8700 MiB en cuda:0"),
        ("Memoria de los modelos · cpu", "420 de 2000 MiB en cpu"),
    ]
    pool.used[CPU] = 0
    pool.held = pool.held[:1]
    assert budgets(open_app("system", lang="es", view="models")) == [
        ("Memoria de los modelos", "87 de 8700 MiB en cuda:0")
    ]


class EvictingPool(FakePool):
    """Its model goes between the page and the press of the button."""

    def unload(self, key: str) -> bool:
        self.held = []
        return False

    def state(self, key: str) -> str:
        return "ready" if self.held else "absent"


@pytest.mark.usefixtures("at_the_machine")
@pytest.mark.parametrize(("lang", "words"), [("es", "ya no está en memoria"), ("en", "is no longer in memory.")])
def test_a_model_that_went_by_itself_is_not_called_busy(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, lang: str, words: str
) -> None:
    put_pool(monkeypatch, EvictingPool())
    app = open_app("system", lang=lang, view="models")
    app.button(key="unload_cpu_minilm").click().run()
    said = [str(info.value).replace("\\", "") for info in app.info]
    assert any(words in text for text in said), said


@pytest.mark.parametrize(
    ("address", "headers", "allowed"),
    [
        ("::ffff:127.0.0.1", {}, True),
        ("::ffff:203.0.113.9", {}, False),
        ("2001:db8::1", {}, False),
        ("::ffff:127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False),
    ],
)
def test_this_machine_seen_by_a_server_on_all_addresses(
    address: str, headers: dict[str, str], allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = type("Context", (), {"ip_address": address, "headers": headers})()
    monkeypatch.setattr(operator.st, "context", context)
    assert operator.is_operator() is allowed


def test_a_remote_visitor_can_not_unload(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.ui.system.operator._on_this_machine", lambda: False)
    pool = FakePool()
    put_pool(monkeypatch, pool)
    app = open_app("system", lang="en", view="models")
    assert not [button for button in app.button if str(button.key).startswith("unload_")]
    assert "TALLER_OPERATOR_TOKEN" in texts(app).replace("\\", "")
    models._unload("minilm")  # as a forged event of the page would
    assert pool.asked == []
