"""Several hosts on one machine: network namespaces with their own addresses, joined by a bridge.

Each host has its own network, process ids, ``/tmp/ray`` and ``/dev/shm``, and shares the file system with the others
as over NFS. The bridge is in a namespace of its own: nothing of the machine's own network is touched, and a host is
cut off at the bridge, as by a cable that is pulled: neither side is told, packets just don't arrive any more.

Needs Linux, root, iproute2 and util-linux.
"""

import ctypes
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psutil

from core.runtime.cluster_line import Line
from core.settings import Settings
from tests.cluster.servers import SECRET
from tests.conftest import ROOT

PORT: Final = 8000
_GCS_PORT: Final = 6379
_NETWORK: Final = "10.77.0"
_CLONE_NEWNET: Final = 0x40000000
_SERVE_RUN: Final = "ray.serve.scripts run"
_STORE_BYTES: Final = 128 * 2**20
# The lines of the README with which Ray takes some ten seconds to give a lost host up.
_HEALTH: Final = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}
# As serve.yaml, but with one copy, so that it is known which host computes.
_SERVE: Final = f"""
proxy_location: HeadOnly
http_options: {{host: 0.0.0.0, port: {PORT}}}
applications:
  - name: taller
    route_prefix: /
    import_path: core.cluster.app:build
    args: {{min_replicas: 1, max_replicas: 1, memory_fraction: 0.3}}
"""


def why_not() -> str:
    """Why there can be no hosts here; empty where there can."""
    if find_spec("ray") is None:
        return "Ray is not installed: pip install -r requirements-ray.txt"
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    missing = [tool for tool in ("ip", "unshare", "nsenter", "setpriv", "mount") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (iproute2, util-linux)"
    name = f"taller-{os.getpid()}-probe"
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if probe.returncode:
        return f"no network namespaces here: {probe.stderr.strip()}"
    _ip("netns", "delete", name)
    return ""


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def _sweep() -> None:
    """Takes away what test processes left that were killed themselves."""
    for line in _ip("netns", "list").splitlines():
        name = line.split()[0]
        parts = name.split("-")
        if len(parts) == 3 and parts[0] == "taller" and parts[1].isdigit() and not psutil.pid_exists(int(parts[1])):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", name)


class Host:
    """A host, with what runs on it.

    Args:
        network: what it is plugged into.
        name: of at most eight letters.
        number: the last part of its address.
        script: what it runs, in the shell's language; nothing where it is empty.
    """

    def __init__(self, network: "Network", name: str, number: int, script: str) -> None:
        self.name = name
        self.namespace = f"taller-{os.getpid()}-{name}"
        self.address = f"{_NETWORK}.{number}"
        self._network = network
        self._script = script
        self._folder = network.folder / name
        self._process: subprocess.Popen[bytes] | None = None
        self._hidden: Path | None = None
        _ip("netns", "add", self.namespace)
        _ip("-n", network.switch, "link", "add", name, "type", "veth", "peer", "eth0", "netns", self.namespace)
        _ip("-n", network.switch, "link", "set", name, "master", "bridge", "up")
        _ip("-n", self.namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", self.namespace, "link", "set", device, "up")

    def start(self) -> None:
        """Switches it on."""
        # Its first process is the first of its own process ids: with it all others end.
        self._folder.mkdir(parents=True, exist_ok=True)
        boot = f"mount -t tmpfs shm /dev/shm && mount --bind {self._folder} /tmp/ray && {{ {self._script}\n}}"
        alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", boot]
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.namespace, *alone],
                cwd=ROOT,
                env=self._network.environment | {"RAY_NODE_IP": self.address},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Ends all that runs on it, at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            psutil.wait_procs(self.processes(), timeout=30)

    def cut(self, storage: Path | None = None) -> None:
        """Pulls its cable.

        Args:
            storage: a shared folder that is out of its reach, too, as it would be over NFS.
        """
        _ip("-n", self._network.switch, "link", "set", self.name, "down")
        if storage is not None:
            self._inside("mount", "-t", "tmpfs", "-o", "ro", "lost", str(storage))
            self._hidden = storage

    def mend(self) -> None:
        """Plugs it in again."""
        if self._hidden is not None:
            self._inside("umount", "--lazy", str(self._hidden))
            self._hidden = None
        _ip("-n", self._network.switch, "link", "set", self.name, "up")

    def _inside(self, *command: str) -> None:
        """Runs a command that sees the host's mounts."""
        assert self._process is not None
        (first,) = psutil.Process(self._process.pid).children()
        # With its process ids, too: the tools look into /proc, which knows those alone.
        enter = ["nsenter", f"--target={first.pid}", "--mount", "--pid"]
        subprocess.run([*enter, *command], check=True, capture_output=True)

    def processes(self, words: str = "") -> list[psutil.Process]:
        """Those that run on it and have ``words`` in their command line."""
        found = []
        for pid in _ip("netns", "pids", self.namespace).split():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(pid))
                line = process.cmdline()
                # Its first processes have the whole script in theirs.
                if words in " ".join(line) and not (words and line[:1] in (["unshare"], ["sh"])):
                    found.append(process)
        return found

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Lets this thread, and the threads and processes that it starts, have this host's network."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(place: int) -> None:
            if libc.setns(place, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY)
        try:
            enter(there)
            yield
        finally:
            enter(own)
            os.close(own)
            os.close(there)


class Network:
    """Ray on three hosts, and a fourth for the app: the head hands out work, two others compute.

    Args:
        folder: for logs; empty.
    """

    def __init__(self, folder: Path) -> None:
        ray = find_spec("ray")
        assert ray is not None and ray.origin is not None
        self.folder = folder
        paths = [str(ROOT), str(Path(ray.origin).parents[1]), os.environ.get("PYTHONPATH", "")]
        token = secrets.token_hex(32)
        self.environment = (
            os.environ
            | _HEALTH
            | {
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "OMP_NUM_THREADS": "1",
                # Ray steps back before others, who are the tests themselves here.
                "RAY_worker_niceness": "0",
                # Of Serve's proxy, which it kills when it isn't ready in five seconds.
                "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
                "TALLER_RAY_SECRET": SECRET,
                "TALLER_RAY_ADDRESS": "",
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": token,
                "RAY_ADDRESS": "",
            }
        )
        _sweep()
        folder.mkdir(parents=True, exist_ok=True)
        Path("/tmp/ray").mkdir(exist_ok=True)
        (folder / "serve.yaml").write_text(_SERVE, encoding="utf-8")
        self.switch = f"taller-{os.getpid()}-switch"
        _ip("netns", "add", self.switch)
        _ip("-n", self.switch, "link", "add", "bridge", "type", "bridge", "forward_delay", "0")
        _ip("-n", self.switch, "link", "set", "bridge", "up")
        gcs = f"{_NETWORK}.1:{_GCS_PORT}"
        ray_start = f"{sys.executable} -m ray.scripts.scripts start --node-ip-address=$RAY_NODE_IP"
        ray_start += f" --object-store-memory={_STORE_BYTES}"
        # As supervisors do (in compose.yaml: `restart`): Ray gives its own parts no more than half a minute to start,
        # which a busy machine may need twice, and on a host that was given up it ends itself.
        head = f"while sleep 1; do {ray_start} --head --port={_GCS_PORT} --include-dashboard=false --num-cpus=0 &&"
        head += f" RAY_ADDRESS={gcs} {sys.executable} -m {_SERVE_RUN} {folder}/serve.yaml; kill -9 -1; done"
        worker = f"while sleep 1; do {ray_start} --address={gcs} --num-cpus=2 --block; kill -9 -1; done"
        self.head = Host(self, "head", 1, head)
        self.workers = (Host(self, "worker-a", 2, worker), Host(self, "worker-b", 3, worker))
        self.app = Host(self, "app", 4, "")
        self.address = f"http://{self.head.address}:{PORT}"

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All of them."""
        return (self.head, *self.workers, self.app)

    def begin(self, seconds: float = 600.0) -> None:
        """Starts the cluster, and waits until it answers the app's host."""
        self.head.start()
        wait_for(lambda: self.head.processes(_SERVE_RUN), seconds, self.logs)
        for host in self.workers:
            host.start()
        line = Line(Settings(ray_address=self.address, ray_secret=SECRET))
        with self.app.entered():
            wait_for(lambda: line.probe() is None, seconds, self.logs)

    def host_of(self, words: str, seconds: float = 120.0) -> Host:
        """The one where a process runs with ``words`` in its command line.

        A host that was cut off keeps its own until it is plugged in again and told that it was given up.
        """

        def found() -> Host | None:
            hosts = [host for host in self.workers if host.processes(words)]
            return hosts[0] if len(hosts) == 1 else None

        host: Host = wait_for(found, seconds, self.logs)
        return host

    def other(self, host: Host) -> Host:
        """The worker that ``host`` isn't."""
        return next(worker for worker in self.workers if worker is not host)

    def logs(self) -> str:
        """The end of what the hosts have printed."""
        files = sorted(self.folder.glob("*/log.txt"))
        return "\n".join(f"--- {file.parent.name}\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    def end(self) -> None:
        """Switches all off and takes the namespaces away, whatever state they are in."""
        for host in self.hosts:
            with suppress(subprocess.CalledProcessError, psutil.Error):
                host.kill()
        for namespace in (*(host.namespace for host in self.hosts), self.switch):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", namespace)


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A network whose cluster answers."""
    made = None
    try:
        made = Network(folder)
        made.begin()
        yield made
    finally:
        if made is not None:
            made.end()


def wait_for(condition: Callable[[], Any], seconds: float, said: Callable[[], Any] = str) -> Any:
    """What ``condition`` says as soon as it is true; an assertion with ``said()`` if it never is."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, said()
        time.sleep(0.1)
    return found
