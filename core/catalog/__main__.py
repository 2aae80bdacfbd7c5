"""The catalogue on the command line, for the night before a workshop.

    python -m core.catalog list  [--task T] [--language es|en] [--tier workshop|reference]
    python -m core.catalog check [KEY ...] [--json]
    python -m core.catalog fetch [KEY ...] [--task T] [--language L] [--tier T] [--all] [--dry-run]

``check`` compares each reference entry with the hub: whether it is there, its licence, its files and their
size, its parameters. ``fetch`` downloads what is missing; a download that was cut goes on where it stopped.
"""

import argparse
import json
import locale
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from core.catalog import TASKS, ModelEntry, entries, entries_for
from core.errors import DownloadFailed
from core.i18n import LANGUAGES, format_duration, format_number, match_language, ngettext, set_language
from core.i18n import gettext as _
from core.runtime.downloads import MIB, DownloadManager, DownloadState
from core.runtime.loading import locate_model
from core.settings import Settings, get_settings

# The hub and the catalogue round differently, and repositories gain small files.
SIZE_TOLERANCE: Final = 0.05
_LICENCES: Final = {"apache-2.0": "Apache-2.0", "mit": "MIT", "cc-by-4.0": "CC BY 4.0"}


def _choose(arguments: argparse.Namespace) -> list[ModelEntry]:
    """The entries that the keys and filters of a command name."""
    known = entries()
    if unknown := [key for key in arguments.keys if key not in known]:
        raise SystemExit(
            _("No está en el catálogo: {keys}. «python -m core.catalog list» muestra las claves.").format(
                keys=", ".join(unknown)
            )
        )
    if arguments.keys:
        return [known[key] for key in arguments.keys]
    return entries_for(arguments.task, arguments.language, arguments.tier)


def _size(entry: ModelEntry) -> str:
    if entry.weights is None:
        return "–"
    return format_number(entry.weights.download_mib, 0 if entry.weights.download_mib >= 10 else 1)


def show_list(chosen: Sequence[ModelEntry], settings: Settings, write: Callable[[str], None]) -> int:
    """Prints one line a model."""
    header = (_("clave"), _("modelo"), _("parámetros"), "MiB", _("licencia"), _("aquí"), _("tareas"))
    rows = [header]
    for entry in chosen:
        millions = entry.weights.parameters / 1e6 if entry.weights else 0
        place = locate_model(entry, settings)
        rows.append(
            (
                entry.key,
                entry.id,
                f"{format_number(millions, 1)} M" if millions else "–",
                _size(entry),
                entry.licence,
                _("sí") if place else "–",
                ", ".join(entry.tasks),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(header) - 1)]
    for row in rows:
        write("  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]))
    return 0


# --- check ------------------------------------------------------------------------------------------------


def differences(entry: ModelEntry, info: Any, total_bytes: int) -> list[str]:
    """What the hub says otherwise than the catalogue.

    Args:
        entry: the catalogue's.
        info: the hub's ``ModelInfo``.
        total_bytes: the size of the files that would be fetched.
    """
    assert entry.weights is not None
    found = []
    card = getattr(info, "card_data", None)
    stated = card.get("license") if card else None
    licence = _LICENCES.get(str(stated).lower(), str(stated)) if stated else "unstated"
    if licence != entry.licence:
        found.append(f"licence: {entry.licence} → {licence}")
    mib = total_bytes / MIB
    if abs(mib - entry.weights.download_mib) > SIZE_TOLERANCE * mib + 0.1:
        found.append(f"download_mib: {entry.weights.download_mib:g} → {mib:.1f}")
    tensors = getattr(info, "safetensors", None)
    if tensors is not None and abs(tensors.total - entry.weights.parameters) > 0.01 * tensors.total:
        found.append(f"parameters: {entry.weights.parameters} → {tensors.total}")
    names = {sibling.rfilename for sibling in info.siblings or ()}
    if entry.weights.format == "bin" and "model.safetensors" in names:
        found.append("format: bin → safetensors")
    return found


def check(chosen: Sequence[ModelEntry], manager: DownloadManager, as_json: bool, write: Callable[[str], None]) -> int:
    """Compares with the hub; 0 without a difference, 1 with some, 2 if the hub can't be asked."""
    report: dict[str, list[str]] = {}
    for entry in chosen:
        if entry.weights is None or not entry.weights.files:
            continue
        try:
            plan, info = manager.plan_and_info(entry)
        except DownloadFailed as error:
            if manager.unreachable(error):
                print(error, file=sys.stderr)
                return 2
            report[entry.key] = [str(error)]
        else:
            report[entry.key] = differences(entry, info, plan.total_bytes)
        if not as_json:
            write(f"{entry.key}: " + ("; ".join(report[entry.key]) or "ok"))
    if as_json:
        write(json.dumps(report, ensure_ascii=False, indent=2))
    return int(any(report.values()))


# --- fetch ------------------------------------------------------------------------------------------------


def _progress_line(state: DownloadState) -> str:
    line = state.message
    if state.seconds_left is not None:
        line += " · " + _("{speed} MiB/s, faltan {left}").format(
            speed=format_number(state.bytes_per_second / MIB, 1), left=format_duration(state.seconds_left)
        )
    return line


def fetch(
    chosen: Sequence[ModelEntry],
    settings: Settings,
    manager: DownloadManager,
    dry_run: bool,
    write: Callable[[str], None],
) -> int:
    """Downloads what is missing; 0 when all is here in the end."""
    wanted = [entry for entry in chosen if entry.weights is not None and entry.weights.files]
    missing = [entry for entry in wanted if locate_model(entry, settings) is None]
    write(
        ngettext("{n} modelo pedido", "{n} modelos pedidos", len(wanted)).format(n=len(wanted))
        + ", "
        + _("{n} ya en este equipo").format(n=len(wanted) - len(missing))
    )
    if dry_run:
        return _dry_run(missing, manager, write)
    failed = []
    for entry in missing:
        manager.start(entry)
        shown = 0.0
        while (state := manager.wait(entry, 0.5)).active:
            # A line a second on a terminal's own line; a log gets one in ten seconds.
            pause = 1.0 if sys.stdout.isatty() else 10.0
            if time.monotonic() - shown >= pause:
                shown = time.monotonic()
                write(_progress_line(state))
        write(state.message)
        if state.status != "done":
            failed.append(entry.key)
    if failed:
        write(_("Falta: {keys}. La misma orden sigue donde quedó.").format(keys=", ".join(failed)))
    return int(bool(failed))


def _dry_run(missing: Sequence[ModelEntry], manager: DownloadManager, write: Callable[[str], None]) -> int:
    total, status = 0, 0
    for entry in missing:
        try:
            plan = manager.plan(entry)
        except DownloadFailed as error:
            write(str(error))
            status = 1
            continue
        total += plan.missing_bytes
        line = _("{key}: {missing} MiB por bajar de {total}")
        write(
            line.format(
                key=entry.key,
                missing=format_number(plan.missing_bytes / MIB, 1),
                total=format_number(plan.total_bytes / MIB, 1),
            )
        )
    write(
        _("En total faltan {total} MiB; en el disco quedan {free} MiB libres.").format(
            total=format_number(total / MIB, 1), free=format_number(manager.free_disk_bytes() / MIB)
        )
    )
    return status


def main(arguments: Sequence[str] | None = None, manager: DownloadManager | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m core.catalog")
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {"list": "list the models", "check": "compare them with the hub", "fetch": "download what is missing"}
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("keys", nargs="*", metavar="KEY", help="models, by key")
        command.add_argument("--task", choices=TASKS)
        command.add_argument("--language", choices=sorted(LANGUAGES))
        command.add_argument("--tier", choices=("workshop", "reference"))
    commands.choices["check"].add_argument("--json", action="store_true")
    commands.choices["fetch"].add_argument("--all", action="store_true", help="the whole catalogue")
    commands.choices["fetch"].add_argument("--dry-run", action="store_true", help="say how much it would be")
    options = parser.parse_args(arguments)
    settings = get_settings()
    set_language(match_language(locale.getlocale()[0], settings.language))
    manager = manager or DownloadManager(settings)

    def write(line: str) -> None:
        print(line, flush=True)

    chosen = _choose(options)
    if options.command == "list":
        return show_list(chosen, settings, write)
    if options.command == "check":
        return check(chosen, manager, options.json, write)
    if not (options.all or options.keys or options.task or options.language or options.tier):
        parser.error(_("di qué bajar: claves, --task, --language, --tier o --all"))
    try:
        return fetch(chosen, settings, manager, options.dry_run, write)
    except KeyboardInterrupt:
        write(_("Detenido. Lo que ya llegó se conserva: la misma orden sigue donde quedó."))
        return 130


if __name__ == "__main__":
    sys.exit(main())
