"""Runs every ``bench_*.py`` of this folder, prints its rows and writes them to ``RESULTS.md``.

A bench module has one function, ``run() -> list[dict]``. A row compares ours with what a user would otherwise
write, measured side by side in the same process or alternating runs, so that the ratio means something on any
machine: ``name`` (str), ``ours_ms`` (float), ``baseline`` (str, what it is compared with; "" for none),
``baseline_ms`` (float or None), ``ratio`` (float or None) and ``target`` (str, such as "≤ 1.3"). With a ``unit``
(``"MiB"``, ``"a second"``) the two figures are in that instead of milliseconds.

``python -m tests.bench.run start`` runs one alone: it prints its rows and leaves ``RESULTS.md`` as it is. With
``--write`` they take the place of its rows there; those of the other benches stay, each with its date.
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


_HEAD = """# Benchmarks

Made by `make bench` (`python -m tests.bench.run`; `python -m tests.bench.run NAME --write` for some of them). A ratio
compares both sides in one run on one machine, so it travels better than the times do. The date is that of a
bench's own run.

"""


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
    """A heading and one Markdown bullet a fact about the machine; nothing that names the host or its user."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = _first("/proc/meminfo", "MemTotal").removesuffix(" kB")
    cpu = _first("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    return [
        "## The machine of the last run",
        "",
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


def sections(text: str) -> dict[str, str]:
    """The benches of a ``RESULTS.md``: name → heading and table."""
    parts = text.partition("\n## The machine")[0].split("\n## ")[1:]
    return {part.partition(" · ")[0]: "## " + part.strip() for part in parts}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the chosen benches; the exit status is 1 when one of them failed or none matched."""
    available = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run")
    parser.add_argument("benches", nargs="*", metavar="bench", help=f"some of: {', '.join(available)}")
    parser.add_argument("--write", action="store_true", help="write the rows of these into RESULTS.md")
    options = parser.parse_args(arguments)
    chosen = options.benches
    if unknown := sorted(set(chosen) - set(available)):
        parser.error(f"no such bench: {', '.join(unknown)} (there are: {', '.join(available)})")
    found: dict[str, str] = {}
    failed: list[str] = []
    for name in chosen or available:
        print(f"bench_{name} …", file=sys.stderr, flush=True)
        try:
            rows = table(importlib.import_module(f"tests.bench.bench_{name}").run())
        except Exception as error:  # one broken bench must not hide the figures of the others
            failed.append(name)
            print(f"bench_{name} failed: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        found[name] = f"## {name} · {datetime.date.today():%Y-%m-%d}\n\n{rows}"
        print(found[name], "", sep="\n", flush=True)
    if found and (options.write or not chosen):
        before = sections(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
        every = {name: text for name, text in sorted((before | found).items()) if name in available}
        RESULTS.write_text(_HEAD + "\n\n".join(every.values()) + "\n\n" + "\n".join(machine()) + "\n", encoding="utf-8")
    if failed:
        print(f"left as they were: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
