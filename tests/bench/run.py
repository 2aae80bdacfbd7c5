"""Runs every ``bench_*.py`` of this folder, prints its rows and writes them to ``RESULTS.md``.

A bench module has one function, ``run() -> list[dict]``. A row compares ours with what a user would otherwise
write, measured side by side in the same process or alternating runs, so that the ratio means something on any
machine: ``name`` (str), ``ours_ms`` (float), ``baseline`` (str, what it is compared with; "" for none),
``baseline_ms`` (float or None), ``ratio`` (float or None) and ``target`` (str, such as "≤ 1.3"). With a ``unit``
(``"MiB"``, ``"a second"``) the two figures are in that instead of milliseconds.

``python -m tests.bench.run start`` runs one alone: it prints its rows and leaves ``RESULTS.md`` as it is.
"""

import argparse
import datetime
import importlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "RESULTS.md"
PACKAGES = ("streamlit", "torch", "transformers", "tokenizers", "plotly", "playwright")


def _first(path: str, key: str) -> str:
    """The value of the first ``key : value`` line of a file under /proc, or "" where there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def machine() -> list[str]:
    """One Markdown bullet a fact about the machine; nothing that names the host or its user."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = _first("/proc/meminfo", "MemTotal").removesuffix(" kB")
    cpu = _first("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    return [
        f"- Date: {datetime.date.today():%Y-%m-%d}",
        f"- CPU: {cpu}, {cores} cores",
        f"- Memory: {int(memory) / 2**20:.1f} GiB" if memory.isdigit() else "- Memory: unknown",
        f"- System: {platform.system()} {platform.release()}, Python {platform.python_version()}",
        "- Packages: " + ", ".join(f"{package} {_version(package)}" for package in PACKAGES),
    ]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return (f"{value:.1f}" if value < 100 else f"{value:,.0f}") + f" {unit}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| What | Ours | Against | It | Ratio | Target |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        ratio = row["ratio"]
        cells = (
            row["name"],
            _number(row["ours_ms"], row.get("unit", "ms")),
            row["baseline"] or "–",
            _number(row["baseline_ms"], row.get("unit", "ms")),
            "–" if ratio is None else f"{ratio:.2f}",
            row["target"],
        )
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the chosen benches; the exit status is 1 when one of them failed or none matched."""
    available = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run")
    parser.add_argument("benches", nargs="*", metavar="bench", help=f"some of: {', '.join(available)}")
    chosen = parser.parse_args(arguments).benches
    if unknown := sorted(set(chosen) - set(available)):
        parser.error(f"no such bench: {', '.join(unknown)} (there are: {', '.join(available)})")
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in chosen or available:
        print(f"bench_{name} …", file=sys.stderr, flush=True)
        try:
            rows += importlib.import_module(f"tests.bench.bench_{name}").run()
        except Exception as error:  # one broken bench must not hide the figures of the others
            failed.append(name)
            print(f"bench_{name} failed: {type(error).__name__}: {error}", file=sys.stderr)
    print(table(rows))
    if not chosen and not failed:
        RESULTS.write_text(
            "\n".join(
                [
                    "# Benchmarks",
                    "",
                    "Made by `make bench` (`python -m tests.bench.run`). A ratio compares both sides in",
                    "one run on one machine, so it travels better than the times do.",
                    "",
                    table(rows),
                    "",
                    "## The machine",
                    "",
                    *machine(),
                    "",
                ]
            ),
            encoding="utf-8",
        )
    elif failed:
        print(f"{RESULTS.name} was left as it is: {', '.join(failed)} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
