"""Files that visitors take home: CSV that a spreadsheet can't be attacked with, and JSON."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

# A cell that begins with one of these is a formula to Excel, LibreOffice and Google Sheets.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(value: Any) -> Any:
    """``value`` for a CSV cell; text that would be run as a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file in UTF-8 with a byte order mark, so that Excel reads the accents."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([safe_cell(cell) for cell in header])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode("utf-8-sig")


def json_bytes(data: Any) -> bytes:
    """A readable JSON file in UTF-8."""
    return json.dumps(data, ensure_ascii=False, indent=1).encode()
