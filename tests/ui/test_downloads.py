"""Files that visitors take home are no weapon."""

import csv
import io

import pytest

from core.ui.downloads import csv_bytes, json_bytes, safe_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_become_text(text: str) -> None:
    assert safe_cell(text) == "'" + text


def test_numbers_and_words_stay() -> None:
    assert [safe_cell(v) for v in (-1, 2.5, "ñandú", None)] == [-1, 2.5, "ñandú", None]


def test_csv_round_trip() -> None:
    data = csv_bytes(["pieza", "n"], [['a,b\n"c"', 1], ["=x", -2]])
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    assert rows == [["pieza", "n"], ['a,b\n"c"', "1"], ["'=x", "-2"]]


def test_json_keeps_accents_readable() -> None:
    assert "ñ" in json_bytes({"a": "ñ"}).decode()
