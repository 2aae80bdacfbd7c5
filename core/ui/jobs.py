"""A computation in a thread of its own, so that the page can show how it comes along."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from core.i18n import get_language, set_language
from core.runtime.caller import calling, current_caller

Res = TypeVar("Res")


class Job(Generic[Res]):
    """Runs ``work`` at once, in the language and the name of whoever began it.

    Args:
        work: what to do.
    """

    def __init__(self, work: Callable[[], Res]) -> None:
        self._work = work
        self._language = get_language()
        self._caller = current_caller()
        self._result: Res | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        set_language(self._language)
        try:
            with calling(self._caller):
                self._result = self._work()
        except BaseException as error:  # raised again where the result is asked for
            self._error = error

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for its end; false if it goes on still."""
        self._thread.join(timeout)
        return not self.running

    def result(self) -> Res:
        """What came of it; waits if need be.

        Raises:
            BaseException: what the work raised.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # the work returned it
