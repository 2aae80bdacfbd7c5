"""First uses of the transformers library, one thread at a time.

The library imports its parts when they are first asked for. When two threads do that at once, Python may hand
one of them a module that is not whole yet, and the load fails with "cannot import name". What was used once is
imported, and needs no turn any more.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()
_used: set[str] = set()


@contextmanager
def first_use(name: str) -> Iterator[None]:
    """Holds other first uses back while its body runs for the first time under ``name``.

    Args:
        name: what the body makes the library import, such as a class and a kind of model.
    """
    if name in _used:
        yield
        return
    with _lock:
        yield
        _used.add(name)
