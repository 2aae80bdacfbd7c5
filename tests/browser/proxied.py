"""Copies of the app behind a real nginx, with the very file that hosts mount."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from tests.browser.conftest import serve_app
from tests.conftest import ROOT, free_port
from tests.load.mixed import metric, server_of

CONFIG = ROOT / "core/cluster/nginx.conf"
REPLICAS = ("172.30.85.11:8501", "172.30.85.12:8501")


def nginx_path() -> str:
    """The installed nginx; skips the test where there is none."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("no nginx is installed")
    return found


class Nginx:
    """An nginx on loopback.

    Args:
        folder: for its files; empty.
        replicas: what stands behind it, such as ``127.0.0.1:8501``, in the order of the file.
        changes: text of the file that is to be another; each must be in it.
    """

    def __init__(self, folder: Path, replicas: tuple[str, str], changes: Mapping[str, str] | None = None) -> None:
        self._program = nginx_path()
        self._folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        text = CONFIG.read_text(encoding="utf-8")
        moved = {"listen 8080;": f"listen 127.0.0.1:{self.port};", "/tmp/": f"{folder}/", **(changes or {})}
        for there, here in zip(REPLICAS, replicas, strict=True):
            moved |= {there: here, re.escape(there): re.escape(here)}
        for old, new in moved.items():
            assert old in text, old
            text = text.replace(old, new)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def log(self) -> str:
        """What it noted about requests so far."""
        return (self._folder / "access.log").read_text(encoding="utf-8")

    def noted(self, words: str, seconds: float = 20.0) -> bool:
        """Whether it notes ``words``: it does so when a request is over, which its visitor may know earlier."""
        end = time.monotonic() + seconds
        while words not in self.log and time.monotonic() < end:
            time.sleep(0.05)
        return words in self.log

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        # Its workers would be nobody, who may not write in a folder of root's.
        also = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        with (self._folder / "access.log").open("ab") as out, (self._folder / "error.log").open("ab") as errors:
            self._process = subprocess.Popen(
                [self._program, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf"), "-g", also],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
            )
        deadline = time.monotonic() + 30
        while ask(self.address, "/metrics").status != 403:
            assert self._process.poll() is None, (self._folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def reload(self) -> None:
        """Has it read its file again; open connections stay."""
        assert self._process is not None
        before = {child.pid for child in psutil.Process(self._process.pid).children()}
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while {child.pid for child in psutil.Process(self._process.pid).children()} <= before:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it at once, and all its connections."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 where nothing did.

    Attributes:
        status: of HTTP.
        headers: each with its name in lower case, in order.
        body: as it came.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for known, value in self.headers if known == name]


def ask(address: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """One request; a header's name is given with ``_`` for ``-``."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        found = connection.getresponse()
        pairs = tuple((name.lower(), value) for name, value in found.getheaders())
        return Answer(found.status, pairs, found.read())
    except OSError:
        return Answer(0)
    finally:
        connection.close()


class Copies:
    """Two copies of the app that share their folder of runs.

    Args:
        environment: their options.
    """

    def __init__(self, **environment: str) -> None:
        self._environment = environment
        self._ports = (free_port(), free_port())
        self._serving: dict[int, AbstractContextManager[str]] = {}
        self.addresses = tuple(f"http://127.0.0.1:{port}" for port in self._ports)
        with ThreadPoolExecutor(2) as both:
            list(both.map(self.start, (1, 2)))

    @property
    def places(self) -> tuple[str, str]:
        """Where nginx finds them."""
        return (f"127.0.0.1:{self._ports[0]}", f"127.0.0.1:{self._ports[1]}")

    def start(self, number: int) -> None:
        """Starts the first or the second one, where it was before."""
        serving = serve_app(port=self._ports[number - 1], **self._environment)
        serving.__enter__()
        self._serving[number] = serving

    def kill(self, number: int) -> None:
        """As if the power had gone."""
        server_of(self.addresses[number - 1]).kill()
        self._serving.pop(number).__exit__(None, None, None)

    def stop(self) -> None:
        """Ends both."""
        for serving in self._serving.values():
            serving.__exit__(None, None, None)

    def sessions(self, number: int) -> int:
        """Pages that are open at the first or the second one."""
        return int(metric(self.addresses[number - 1], "taller_sessions "))

    def expect_sessions(self, number: int, many: int) -> None:
        """Waits until so many pages are open there: one that was closed goes a moment later."""
        deadline = time.monotonic() + 60
        while (now := self.sessions(number)) != many:
            assert time.monotonic() < deadline, f"{now} pages are open and not {many}"
            time.sleep(0.1)
