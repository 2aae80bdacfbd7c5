"""Which of the two languages a text is in, by its commonest words: enough for a hint, nothing more."""

import re
from typing import Final, Literal

_WORD: Final = re.compile(r"[^\W\d_]+")
# Words of one language that the other doesn't have; "a", "me", "no", "he", "son" and the like are in both.
_SPANISH: Final = (
    "de la que el en y los del las un por con una su para es al lo como más pero sus le ya o este sí porque esta "
    "entre cuando muy sin sobre también hasta hay donde quien desde todo nos durante todos uno les ni contra otros "
    "ese eso ante ellos esto mí antes algunos qué unos yo otro otras otra él tanto esa estos mucho quienes nada "
    "muchos cual poco ella estar estas algunas algo nosotros mi mis tú te ti tu tus ellas fue era ser está están "
    "tiene había dijo hace puede así casa día años bien gracias hola quiero"
)
_ENGLISH: Final = (
    "the of and to in is that it was for on are as with his they at be this from have or by one had but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so "
    "these would other into has more her two like him see could been its who now my made did down only way find "
    "use may long very after words called just where most know it's don't i'm you"
)
_COMMON: Final = {"es": frozenset(_SPANISH.split()), "en": frozenset(_ENGLISH.split())}
# Fewer words than this say too little.
_LEAST: Final = 4


def likely_language(text: str) -> Literal["es", "en"] | None:
    """``"es"`` or ``"en"`` if the text is clearly in one of them, else ``None``.

    Args:
        text: its first 2,000 characters decide.
    """
    words = [word.lower() for word in _WORD.findall(text[:2000])]
    if len(words) < _LEAST:
        return None
    hits = {language: sum(word in common for word in words) for language, common in _COMMON.items()}
    spanish, english = hits["es"], hits["en"]
    if re.search(r"[ñ¿¡]", text[:2000]):
        spanish += 2
    if spanish >= 2 and spanish > 2 * english:
        return "es"
    if english >= 2 and english > 2 * spanish:
        return "en"
    return None
