"""``python -m core.cluster``: a Ray cluster on this machine and, with ``--port``, the app that asks it.

For trying it out and for one large machine; several machines are served with ``serve.yaml`` (see the README).
"""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_MIB: Final = 2**20
# Calls and answers of a classroom are small; Ray's own default is a third of the machine's memory.
_STORE_BYTES: Final = 128 * _MIB


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(replicas: int, trainings: int, cluster_port: int, gpus: int, least: int = 1) -> str:
    """Starts the cluster with the application on loopback; returns its address.

    Args:
        replicas: most copies; each takes a core.
        trainings: most fine-tuning runs at once; each takes a core.
        cluster_port: where it listens.
        gpus: cards to share among them.
        least: copies that are there from the start.
    """
    # Read when Ray is imported, here and in all that it starts.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))

    import ray
    from ray import serve

    from core.cluster.app import Options, build

    ray.init(
        num_cpus=replicas + trainings,
        num_gpus=gpus,
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": cluster_port})
    options = Options(
        min_replicas=least, max_replicas=replicas, gpus=gpus / replicas, memory_fraction=0.6 / replicas, target=4
    )
    serve.run(build(options), name="taller", route_prefix="/")
    return f"http://127.0.0.1:{cluster_port}"


def main() -> int:
    """Runs until it is told to end; the exit status is the app's."""
    parser = argparse.ArgumentParser(prog="python -m core.cluster", description=__doc__)
    parser.add_argument("--replicas", type=int, default=2, help="most copies, each with a core (2)")
    parser.add_argument("--least", type=int, default=1, help="copies that are there from the start (1)")
    parser.add_argument("--trainings", type=int, default=1, help="most fine-tuning runs at once, each with a core (1)")
    parser.add_argument("--gpus", type=int, default=0, help="cards that they share (0)")
    parser.add_argument("--cluster-port", type=int, default=0, help="where the cluster listens (any free port)")
    parser.add_argument("--port", type=int, default=0, help="serve the app there, too")
    chosen = parser.parse_args()
    os.environ.setdefault("TALLER_RAY_SECRET", secrets.token_hex(32))
    ended = threading.Event()
    try:
        address = start(
            max(1, chosen.replicas, chosen.least),
            max(0, chosen.trainings),
            chosen.cluster_port or _free_port(),
            chosen.gpus,
            max(1, chosen.least),
        )
    except ImportError as error:
        if (error.name or "").split(".")[0] != "ray":
            raise
        print("Ray is not installed: pip install -r requirements-ray.txt", file=sys.stderr)
        return 1
    # Now, for Ray brings handlers of its own that end the process at once.
    signal.signal(signal.SIGTERM, lambda *_signal: ended.set())
    print(f"The cluster answers at {address}", flush=True)
    app = None
    if chosen.port:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(chosen.port)]
        app = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TALLER_RAY_ADDRESS": address})
    status = 0
    try:
        while not ended.wait(0.5):
            if app is not None and app.poll() is not None:
                status = app.returncode
                break
    except KeyboardInterrupt:
        pass
    finally:
        if app is not None and app.poll() is None:
            app.terminate()
            app.wait(20)
        import ray
        from ray import serve

        serve.shutdown()
        ray.shutdown()
    return status


if __name__ == "__main__":
    sys.exit(main())
