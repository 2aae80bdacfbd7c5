"""Starts what answers at an address: a replica in a process of its own, or a socket that misbehaves on purpose."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.runtime.cluster_line import Trouble
from core.runtime.device import CPU
from core.runtime.pool import ModelPool
from core.runtime.ray_engine import RayEngine
from core.settings import Settings
from tests.conftest import ROOT

SECRET = "a secret of the tests"


def make(port: int, pool: ModelPool | None = None, *, timeout: float = 3.0, secret: str = SECRET) -> RayEngine:
    settings = Settings(ray_address=f"http://127.0.0.1:{port}", ray_secret=secret, ray_timeout=timeout)
    return RayEngine(pool or ModelPool(settings, CPU), settings, pause_s=0.2)


def wait_until(engine: RayEngine, trouble: Trouble | None, seconds: float = 60.0) -> float:
    """Waits until the engine's cluster stands so; returns how long that took, in seconds."""
    began = time.monotonic()
    while engine.state().trouble != trouble:
        assert time.monotonic() - began < seconds, engine.state()
        time.sleep(0.05)
    return time.monotonic() - began


class Served:
    """A replica behind a plain web server, in a process of its own."""

    def __init__(self, port: int, secret: str = SECRET) -> None:
        self.port = port
        environment = os.environ | {"TALLER_RAY_SECRET": secret, "TALLER_RAY_ADDRESS": ""}
        command = [sys.executable, "-m", "uvicorn", "tests.cluster.served:app", "--port", str(port)]
        options = ["--lifespan", "off", "--log-level", "error"]
        self.process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment)
        engine = make(port, secret=secret)
        began = time.monotonic()
        while engine.probe() is not None:
            assert self.process.poll() is None and time.monotonic() - began < 300, engine.probe()
            time.sleep(0.2)

    def kill(self) -> None:
        """At once, whatever it is doing."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Its connections stay open and nothing comes any more."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where every connection is handed to ``behave``."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                with connection:
                    behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
