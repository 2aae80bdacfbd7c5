"""The log: nothing of what a visitor wrote, in either form."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from core.runtime.logs import fields, places, set_up

SECRET = "mi ñandú secreto"


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is written to the log; what ``set_up`` changes is put back."""
    written = io.StringIO()
    own, factory = logging.getLogger("core"), logging.getLogRecordFactory()
    monkeypatch.setattr(own, "handlers", [logging.StreamHandler(written)])
    monkeypatch.setattr(own, "propagate", False)
    level = own.level
    yield written
    logging.setLogRecordFactory(factory)
    own.setLevel(level)


def fail() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(f"can't read {SECRET}") from error


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_exception_is_written_without_its_message(out: io.StringIO, log_format: str) -> None:
    set_up(log_format)  # type: ignore[arg-type]
    set_up(log_format)  # type: ignore[arg-type]
    try:
        fail()
    except ValueError:
        logging.getLogger("core.ui.messages").exception("error %s on a page", "1a2b")
    written = out.getvalue()
    assert SECRET not in written
    assert "error 1a2b on a page" in written
    assert "builtins.ValueError" in written and "builtins.KeyError" in written and "test_logs.py" in written


def test_json_lines_carry_the_fields(out: io.StringIO) -> None:
    set_up("json")
    logging.getLogger("core.runtime.engine").info("answered", extra=fields(task="sentiment", queue_ms=1.5))
    line = json.loads(out.getvalue())
    assert (line["message"], line["task"], line["queue_ms"], line["level"]) == ("answered", "sentiment", 1.5, "info")
    assert line["time"].endswith("Z") and len(line["time"]) == 24


def test_text_lines_carry_them_too(out: io.StringIO) -> None:
    set_up("text")
    logging.getLogger("core.runtime.engine").info("answered", extra=fields(task="sentiment"))
    assert out.getvalue().rstrip().endswith("INFO core.runtime.engine: answered task=sentiment")


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert places(first) == ["builtins.ValueError", "builtins.KeyError"]
