"""Files to take home are made later, and still in the language of whoever asked for them."""

import threading

from core.i18n import get_language, gettext, set_language
from core.ui.share import in_this_language


def test_a_file_made_on_another_thread_keeps_its_language() -> None:
    set_language("en")
    make = in_this_language(lambda: gettext("Inicio").encode())
    seen: list[bytes | str] = []
    thread = threading.Thread(target=lambda: seen.extend([make(), get_language()]))
    thread.start()
    thread.join()
    assert seen == [b"Home", "es"], "and the thread's own language stays"
