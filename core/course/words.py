"""Words for searching: accents and case don't matter, so that "markov" finds "Márkov"."""

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=2048)  # a search reads the same hundreds of texts for each letter that is typed
def bare(text: str) -> str:
    """``text`` in lower case and without accents."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def holds(text: str, wanted: str) -> bool:
    """Whether every word of ``wanted`` occurs somewhere in ``text``."""
    inside = bare(text)
    return all(word in inside for word in bare(wanted).split())
