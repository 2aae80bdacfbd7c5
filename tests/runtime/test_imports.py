"""First uses of the library from several threads at once, in a fresh interpreter."""

import subprocess
import sys
import threading
import time

import pytest

from core.runtime.imports import first_use
from tests.conftest import ROOT

PROGRAM = """
import threading
from core.catalog import entry
from core.runtime.device import CPU
from core.runtime.hub import locate
from core.runtime.loading import load_bundle
from core.runtime.tokenizer import load_tokenizer
from core.settings import Settings

settings = Settings(offline=True)
start = threading.Barrier(3)
failed = []

def tokenizer():
    start.wait()
    place = locate(entry("wordpiece-es"), settings)
    load_tokenizer(place.folder, entry("wordpiece-es"), place.source)

def model(key):
    start.wait()
    load_bundle(entry(key), settings, CPU)

def guarded(work, *args):
    try:
        work(*args)
    except BaseException as error:
        failed.append(repr(error))

threads = [
    threading.Thread(target=guarded, args=(tokenizer,)),
    threading.Thread(target=guarded, args=(model, "minilm")),
    threading.Thread(target=guarded, args=(model, "entities-en")),
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failed)
"""


def test_three_threads_that_load_at_once_all_succeed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_first_use_waits_for_another_and_a_second_one_does_not() -> None:
    order: list[str] = []
    inside = threading.Event()

    def slow() -> None:
        with first_use("test slow"):
            inside.set()
            time.sleep(0.05)
            order.append("slow")

    thread = threading.Thread(target=slow)
    thread.start()
    inside.wait()
    with first_use("test other"):
        order.append("other")
    thread.join()
    assert order == ["slow", "other"]
    with first_use("test slow"):  # would wait for ever if it asked for its turn while another thread had it
        pass


def test_a_first_use_that_fails_is_a_first_use_again() -> None:
    with pytest.raises(ValueError, match="x"), first_use("test failing"):
        raise ValueError("x")
    with first_use("test failing"):
        pass
