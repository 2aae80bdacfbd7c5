"""The Tokenización page's question: how will this word be cut?"""

from core.i18n import gettext as _
from core.lens.tokenization import Comparison, Row, Segment
from core.ui.guess import Question, question_key

# Shorter words are rarely cut.
_SHORTEST = 4
_LONGEST = 16
_BETWEEN = "|"


def _cut(text: str, row: Row, word: Segment) -> str | None:
    """A word with a bar between its pieces; ``None`` where pieces aren't whole letters of this word alone."""
    pieces = [token for token in row.tokens if token.start < token.end and token.unit == word.unit]
    if any(token.kind != "piece" or token.last_unit != word.unit for token in pieces):
        return None
    places = [(max(token.start, word.start), token.end) for token in pieces]
    joined = "".join(text[start:end] for start, end in places)
    return _BETWEEN.join(text[start:end] for start, end in places) if joined == word.text else None


def _tidy(guess: str) -> str:
    parts = (part.strip().removeprefix("##") for part in guess.replace("-", _BETWEEN).split(_BETWEEN))
    return _BETWEEN.join(part for part in parts if part)


def _fair(cut: str) -> bool:
    """Whether somebody may guess it: a few pieces, of a word that isn't a string of syllables."""
    return 1 <= cut.count(_BETWEEN) <= 3 and len(cut) <= _LONGEST


def cut_question(comparison: Comparison, chosen: int) -> Question | None:
    """Asks for the first tokenizer's cut of the chosen word, or else of the longest one that it cuts in a few pieces.

    Args:
        comparison: the answers.
        chosen: the unit that the reader has clicked, or -1.
    """
    row = comparison.rows[0]
    words = [part for part in comparison.segments if part.kind == "word" and len(part.text) >= _SHORTEST]
    cuts = [(word, cut) for word in words if (cut := _cut(comparison.text, row, word)) is not None]
    if not cuts:
        return None
    word, cut = min(cuts, key=lambda found: (found[0].unit != chosen, not _fair(found[1]), -len(found[0].text)))
    return Question(
        key=question_key("tokenization", row.key, word.text),
        ask=_(
            "¿Cómo cortará {name} la palabra «{word}»? Escríbela con una barra (|) entre las piezas, o entera si crees "
            "que no la corta."
        ).format(name=row.name, word=word.text),
        answers=(cut,),
        hint=_("Por ejemplo: pala|bra"),
        tidy=_tidy,
    )
