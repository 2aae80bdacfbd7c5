"""The log: for people or as JSON, one line an event, without what visitors wrote.

An exception's message may quote a visitor's text, so a traceback is written as the places it went through and the
type of the error. That holds for the log of Streamlit and of the web server, too: it is done where records are made.
"""

import json
import logging
import time
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Literal

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# The loggers whose lines are ours to write: the app's, Streamlit's, and those of the web server under it.
_FAMILIES: Final = ("core", "pages", "streamlit", "uvicorn", "websockets")

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def places(error: BaseException) -> list[str]:
    """Where an exception came through, innermost last, and what kind each was; never its message."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = traceback.extract_tb(current.__traceback__)
        lines.append(f"{type(current).__module__}.{type(current).__qualname__}")
        lines += [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


def fields(**values: str | float | int | bool) -> dict[str, dict[str, Any]]:
    """``extra=fields(task=…)`` adds values to a log record; the JSON log has them as members of their own."""
    return {"fields": values}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        more: Mapping[str, Any] = getattr(record, "fields", {})
        return text + "".join(f" {name}={value}" for name, value in more.items())


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_text:
            line["trace"] = record.exc_text.splitlines()
        return json.dumps(line, ensure_ascii=False)


def _hide_messages() -> None:
    """From now on, every record's traceback is what ``places`` gives."""
    make = logging.getLogRecordFactory()
    if getattr(make, "hides_messages", False):
        return

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        info: _ExcInfo | None = record.exc_info if isinstance(record.exc_info, tuple) else None
        if info is not None and info[1] is not None:
            # Whoever formats the record takes this text rather than making one with the message.
            record.exc_text = "\n".join(places(info[1]))
        return record

    made.hides_messages = True  # type: ignore[attr-defined]  # so that a second call does not wrap it again
    logging.setLogRecordFactory(made)


def set_up(log_format: Literal["text", "json"]) -> None:
    """Sets the log up; called once the server's own loggers are there. Safe to call again.

    Args:
        log_format: ``"json"`` also rewrites the lines of Streamlit and of the web server.
    """
    _hide_messages()
    own = logging.getLogger("core")
    own.setLevel(logging.INFO)
    if not own.handlers:
        own.addHandler(logging.StreamHandler())
    for handler in own.handlers:
        handler.setFormatter(_Text(_FORMAT) if log_format == "text" else _Json())
    if log_format == "json":
        for name in list(logging.root.manager.loggerDict):
            if name.split(".")[0] in _FAMILIES:
                for handler in logging.getLogger(name).handlers:
                    handler.setFormatter(_Json())
