"""Thirty people at once, and a hundred, as a workshop mixes them, against the same clicks on a bare Streamlit page.

Each is a real session over the WebSocket. Both servers get the same visitors in the same minute, one after the other.
"""

import statistics
import tempfile
from dataclasses import replace
from typing import Any

from tests.browser.conftest import serve_app
from tests.conftest import ROOT
from tests.load.mixed import ROOMS, WORKSHOP, Found, Mix, load, p95, server_of, warm


def _row(who: str, name: str, ours: float, baseline: float | None, target: str, unit: str = "ms") -> dict[str, Any]:
    return {
        "name": f"{who}: {name}",
        "ours_ms": ours,
        "baseline": "" if baseline is None else "bare Streamlit page, as many who read",
        "baseline_ms": baseline,
        "ratio": None if baseline is None else ours / baseline,
        "target": target,
        "unit": unit,
    }


def _ours(mix: Mix) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        where = {"TALLER_TRAINING_DIR": folder, "TALLER_OFFLINE": "1", "TALLER_MODELS_DIR": "", "TALLER_WARM_UP": "0"}
        with serve_app(**where) as address:
            warm(address)
            return load(address, mix, server_of(address))


def _bare(mix: Mix) -> Found:
    mix = replace(mix, browse=mix.people, press=0, train=0, pages=("",))
    with serve_app(ROOT / "tests" / "load" / "bare.py") as address:
        load(address, replace(mix, browse=1, arrive_s=0.1, clicks=1, pause_s=0.1), server_of(address))
        return load(address, mix, server_of(address))


def rows(mix: Mix) -> list[dict[str, Any]]:
    """The rows of one crowd."""
    who = f"{mix.people} at once ({mix.browse} read, {mix.press} ask, {mix.train} train)"
    ours, bare = _ours(mix), _bare(mix)
    failed = f" ({len(ours.failed)} failed)"
    return [
        _row(who, "first element of a page, median", *(statistics.median(f.first) * 1000 for f in (ours, bare)), ""),
        _row(who, "first element of a page, p95", *(p95(f.first) * 1000 for f in (ours, bare)), ""),
        _row(who, "rerun without a model, p95" + failed, *(p95(f.rerun) * 1000 for f in (ours, bare)), "< 2,000 ms"),
        _row(who, "a sentence to its judgement, p95", p95(ours.result) * 1000, None, ""),
        _row(who, "memory of the server, a visitor", ours.session_mib, bare.session_mib, "", "MiB"),
        _row(who, "memory left when they are gone", ours.left_mib, bare.left_mib, "", "MiB"),
    ]


def run() -> list[dict[str, Any]]:
    """All rows."""
    return [row for mix in (WORKSHOP, ROOMS) for row in rows(mix)]


if __name__ == "__main__":
    for row in run():
        print(row)
