"""Programs run in an interpreter of their own that has imported torch and transformers already.

Importing both takes some seconds, and every program that the pages show would pay them. Here, a server process imports
them once, and nothing of ours; each program runs in a fork of it, with a ``__main__`` of its own. Its variables,
modules, threads and crashes end with it, so that no program helps or hurts another.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT

# What the libraries read while they are imported: another value needs another server.
READ_AT_IMPORT = ("HF_", "TRANSFORMERS_", "TORCH", "PYTORCH", "XDG_CACHE", "HOME")

# Runs as ``python -I -c``: neither the checkout nor the user's folders are on its path.
_SERVER = r"""
import json, os, signal, sys, traceback, types

import torch
import transformers
from transformers import AutoModel, AutoTokenizer, BertForPreTraining, BertModel, BertTokenizer, pipeline
from transformers.generation import utils

torch.set_num_threads(1)
taken = {"core", "pages", "streamlit", "tests"} & set(sys.modules)
assert not taken, f"not pristine: {taken}"
replies = os.fdopen(os.dup(1), "w")
requests = os.fdopen(os.dup(0), "r")


def child(request):
    signal.alarm(request["timeout"])
    for number, name in enumerate(("in", "out", "err")):
        file = os.open(request[name], os.O_RDWR if number else os.O_RDONLY)
        os.dup2(file, number)
        os.close(file)
    requests.close()
    replies.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.path.insert(0, "")
    sys.argv[:] = ["-c", *request["arguments"]]
    if request["alone"]:
        sys.modules.update(dict.fromkeys(("core", "pages", "streamlit", "tests")))  # importing one fails
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    code = 0
    try:
        exec(compile(request["program"], "<string>", "exec"), main.__dict__)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


print("ready", file=replies, flush=True)
for line in requests:
    process = os.fork()
    if process == 0:
        child(json.loads(line))
    _, status = os.waitpid(process, 0)
    print(os.waitstatus_to_exitcode(status), file=replies, flush=True)
"""


class _Server:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            text=True,
        )
        atexit.register(self.stop)
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the server of fresh interpreters ended: {self._process.wait(10)}")
        return line

    def run(self, request: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


_servers: dict[tuple[tuple[str, str], ...], _Server] = {}


def run_fresh(
    program: str, *arguments: str, alone: bool = True, cwd: Path = ROOT, timeout: int = 120, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Runs a program as ``python -c`` would, with torch and transformers warm.

    No model hub and no cache of one is in reach, unless the environment names them. With ``alone``, importing streamlit
    or anything of ours fails: the program is one that a reader can take home.
    A program that runs for longer than ``timeout`` seconds is killed, and its return code is negative.
    """
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/nonexistent", **environment}
    if not hasattr(os, "fork") or sys.platform == "darwin":  # macOS's own libraries do not survive a fork
        command = [sys.executable, "-X", "utf8", "-c", program, *arguments]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, encoding="utf-8", timeout=timeout)
    key = tuple(sorted(pair for pair in env.items() if pair[0].startswith(READ_AT_IMPORT)))
    if key not in _servers:
        _servers[key] = _Server(env)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        out.touch()
        err.touch()
        request = {"program": program, "arguments": arguments, "alone": alone, "timeout": timeout, "cwd": str(cwd)}
        code = _servers[key].run(request | {"env": env, "in": os.devnull, "out": str(out), "err": str(err)})
        return subprocess.CompletedProcess(
            ["python", "-c", program], code, out.read_text("utf-8"), err.read_text("utf-8", "replace")
        )
