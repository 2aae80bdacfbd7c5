"""Words for searching: accents and case don't matter, so that "markov" finds "Márkov"."""

import unicodedata


def bare(text: str) -> str:
    """``text`` in lower case and without accents."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def holds(text: str, wanted: str) -> bool:
    """Whether every word of ``wanted`` occurs somewhere in ``text``."""
    inside = bare(text)
    return all(word in inside for word in bare(wanted).split())
