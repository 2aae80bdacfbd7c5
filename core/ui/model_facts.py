"""What is said of a model in a few words, alike on every page: its size, its licence, how good it is."""

from collections.abc import Sequence
from typing import Final

from core.catalog import ModelEntry, Score
from core.i18n import format_number, format_percent
from core.i18n import gettext as _
from core.ui.navigation import N_

# Test sets that have no name of their own; the others are called as their makers call them.
TESTS: Final = {
    "es-novels": N_("novelas nunca vistas"),
    "en-novels": N_("novelas nunca vistas"),
    "documentation-en": N_("documentación de programas"),
    "masked pieces": N_("piezas tapadas de textos nunca vistos"),
    "documentation": N_("documentación de programas"),
    "documentation en→es": N_("documentación de programas"),
    "documentation es→en": N_("documentación de programas"),
    "Tatoeba en→es": N_("frases de la vida diaria"),
    "Tatoeba es→en": N_("frases de la vida diaria"),
    "es, up to 128 tokens": N_("parejas de trozos en español"),
    "es, single sentences": N_("parejas de frases en español"),
    "en, up to 128 tokens": N_("parejas de trozos en inglés"),
    "en, single sentences": N_("parejas de frases en inglés"),
    "answers, es": N_("preguntas sobre artículos nunca vistos"),
    "answers, en": N_("preguntas sobre artículos nunca vistos"),
    "summaries, en": N_("resúmenes de artículos científicos"),
    "summaries, en: the first sentence": N_("esos resúmenes, si se copia la primera frase"),
    "next sentence": N_("frase siguiente"),
    "SQuAD, a tenth of the articles": N_("SQuAD, una décima parte de los artículos"),
    "SQuAD-es, a tenth of the articles": N_("SQuAD-es, una décima parte de los artículos"),
    "Wikigold, a third": N_("Wikigold, la tercera parte"),
    "WinoBias, by sense": N_("WinoBias, por el sentido"),
    "WinoBias, by syntax": N_("WinoBias, por la sintaxis"),
    "es, by hand": N_("pronombres escritos a mano, español"),
    "en, by hand": N_("pronombres escritos a mano, inglés"),
    "es, agreement": N_("pronombres que concuerdan con uno solo, español"),
    "es, sense": N_("pronombres que aclara el sentido, español"),
    "en, agreement": N_("pronombres que concuerdan con uno solo, inglés"),
    "en, sense": N_("pronombres que aclara el sentido, inglés"),
    "pronouns by hand, agreement": N_("pronombres que concuerdan con uno solo"),
    "pronouns by hand, sense": N_("pronombres que aclara el sentido"),
    "es-manuales": N_("manuales de Debian"),
    "en-es-parallel": N_("mensajes de programas"),
    "es-python-docs": N_("documentación de Python"),
    "es-leyes-uy": N_("leyes de Uruguay"),
    "wikiann-es": "WikiANN es",
}


def parameters_text(item: ModelEntry) -> str:
    """How many parameters its weights have; ``item`` must have weights."""
    assert item.weights is not None
    millions = item.weights.parameters / 1e6
    return _("{n} millones de parámetros").format(n=format_number(millions, 0 if millions >= 10 else 1))


def licence_text(item: ModelEntry) -> str:
    """Its licence, in words where its page states none."""
    return _("licencia sin declarar") if item.licence == "unstated" else item.licence


def score_text(score: Score) -> str:
    """One score of a model's card: measure, value, test set and what it rests on."""
    name, value = {
        "accuracy": (_("aciertos"), format_percent(score.value)),
        "f1": ("F1", format_percent(score.value)),
        "top1": (_("aciertos a la primera"), format_percent(score.value)),
        "chrf": ("chrF", format_number(score.value, 1)),
        "bits_per_character": (_("bits por carácter"), format_number(score.value, 2)),
    }[score.metric]
    test = _(TESTS[score.test]) if score.test in TESTS else score.test
    return _("{metric} {value} en {test} (n = {n})").format(
        metric=name, value=value, test=test, n=format_number(score.n)
    )


def main_scores(scores: Sequence[Score]) -> list[Score]:
    """The first score of a card; where it measures each language apart, the first of each."""
    apart: dict[str, Score] = {}
    for score in scores:
        language, comma, _rest = score.test.partition(", ")
        apart.setdefault(language if comma and language in ("es", "en") else "", score)
    return list(apart.values())
