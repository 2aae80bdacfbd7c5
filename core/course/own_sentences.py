"""Sentences of one's own with which the Ajuste fino page begins, by task and by the language of the data."""

from typing import Final

_SENTENCES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("classification", "es"): (
        "pon algo de jazz mientras cocino",
        "¿va a llover mañana en Sevilla?",
        "mesa para dos el viernes por la noche",
        "le doy cinco estrellas a esa novela",
    ),
    ("classification", "en"): (
        "play some jazz while I cook",
        "is it going to rain in Boston tomorrow?",
        "a table for two on Friday night",
        "I give that novel five stars",
    ),
    ("entities", "es"): (
        "pon una canción de Rosalía en la lista de los viernes",
        "reserva una mesa para cuatro en Montevideo",
    ),
    ("entities", "en"): (
        "play a song by Nina Simone from my Friday playlist",
        "book a table for four in Chicago",
    ),
    ("questions", "es"): ("¿Cuántas alas tiene una abeja?", "¿Dónde viven las abejas?"),
    ("questions", "en"): ("How many wings does a bee have?", "Where do bees live?"),
}
_CONTEXTS: Final[dict[str, str]] = {
    "es": (
        "Las abejas son insectos de cuatro alas. Viven en colmenas, donde una reina pone los huevos y las obreras "
        "buscan néctar y polen."
    ),
    "en": (
        "Bees are insects with four wings. They live in hives, where a queen lays the eggs and the workers look "
        "for nectar and pollen."
    ),
}


def own_sentences(task: str, language: str) -> tuple[str, ...]:
    """The sentences for a task; English ones where the language has none."""
    return _SENTENCES.get((task, language)) or _SENTENCES[task, "en"]


def own_context(language: str) -> str:
    """The text on which the sentences of the questions task are asked."""
    return _CONTEXTS.get(language, _CONTEXTS["en"])
