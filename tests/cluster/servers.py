"""Starts what answers at an address: a replica in a process of its own, or a socket that misbehaves on purpose."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

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


class Cluster:
    """A Ray cluster in processes of its own, of one replica unless there shall be more."""

    def __init__(self, port: int, replicas: int = 1, **environment: str) -> None:
        self.port = port
        self._replicas = replicas
        self._environment = environment
        self.restart()

    def restart(self) -> None:
        """Starts it, for the first time or once it was killed."""
        for _attempt in range(3):
            if self._starts():
                return
        raise AssertionError("the cluster did not start")

    def _starts(self) -> bool:
        """Starts it. Ray gives its own parts no more than half a minute, which a busy machine may need twice."""
        environment = os.environ | {"TALLER_RAY_SECRET": SECRET, "OMP_NUM_THREADS": "1"} | self._environment
        copies = str(self._replicas)
        command = [sys.executable, "-m", "core.cluster", "--least", copies, "--replicas", copies]
        command += ["--cluster-port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if any(line.startswith("The cluster answers") for line in self.process.stdout):
            return True
        self.process.wait()
        return False

    def parts(self) -> list[psutil.Process]:
        """All its processes."""
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def replica(self) -> psutil.Process:
        """The process that computes."""
        (found,) = (part for part in self.parts() if "ServeReplica" in " ".join(part.cmdline()))
        return found

    def kill(self) -> None:
        """All of it at once, whatever it is doing."""
        parts = self.parts() if self.process.poll() is None else []
        for part in parts:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.kill()
        psutil.wait_procs(parts, timeout=20)
        self.process.wait()


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
