"""The two files that every task offers: a table for spreadsheets, and everything for programs."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.i18n import gettext as _
from core.ui.downloads import csv_bytes, json_bytes
from core.ui.share import Download


def table_and_json(
    name: str, header: Sequence[str], rows: Callable[[], Iterable[Sequence[Any]]], whole: Callable[[], Any]
) -> tuple[Download, ...]:
    """``name.csv`` and ``name.json``; both are made when their button is pressed."""
    return (
        Download(_("Tabla (CSV)"), f"{name}.csv", "text/csv", lambda: csv_bytes(header, rows())),
        Download(_("Todo (JSON)"), f"{name}.json", "application/json", lambda: json_bytes(whole())),
    )
