"""This application's own processes: the server and the workers that it started."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """One process: its number, the module or program it runs, memory in MiB and time used in seconds."""

    pid: int
    name: str
    memory_mib: float
    cpu_s: float


def _name(process: psutil.Process) -> str:
    """What it runs; never its whole command line, which may hold folders and tokens."""
    command = process.cmdline()
    if "-m" in command[:-1]:
        return str(command[command.index("-m") + 1])
    return str(process.name())


def own_processes() -> list[OwnProcess]:
    """This process and those that it started, the largest first."""
    server = psutil.Process()
    found = []
    for process in (server, *server.children(recursive=True)):
        with suppress(psutil.Error):  # it ended meanwhile
            times = process.cpu_times()
            found.append(
                OwnProcess(process.pid, _name(process), process.memory_info().rss / MIB, times.user + times.system)
            )
    return sorted(found, key=lambda one: -one.memory_mib)
