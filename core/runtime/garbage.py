"""Keeps the garbage collector away from what stays for good.

With torch and transformers imported, half a million objects of modules, classes and functions live as long as the
process does. A full collection looks at each of them, for a third of a second or more in which no other thread
runs; Streamlit asks for one after every run of a page (which ``.streamlit/config.toml`` turns off), and Python
for some of its own. ``gc.freeze`` moves what exists out of the collector's sight.
"""

import gc
import sys
import threading
from typing import Final

_lock: Final = threading.Lock()
_modules = 0


def keep_imports() -> bool:
    """Moves what exists out of the collector's sight, if modules came since the last time.

    What else is there at that moment goes with it: it is still freed when nobody refers to it, and if it is part of a
    cycle, by the next ``collect``.

    Returns:
        Whether there was something new.
    """
    global _modules
    if len(sys.modules) == _modules or not _lock.acquire(blocking=False):
        return False
    try:
        gc.collect()
        gc.freeze()
        _modules = len(sys.modules)
    finally:
        _lock.release()
    return True


def collect() -> None:
    """Frees all that nobody refers to any more, whatever was moved out of sight; what is left goes back there."""
    with _lock:
        frozen = gc.get_freeze_count() > 0
        gc.unfreeze()
        gc.collect()
        if frozen:
            gc.freeze()
