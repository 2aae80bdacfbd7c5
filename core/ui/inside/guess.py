"""What Por dentro asks before it shows an answer: the next token, the hidden word, the label, the largest part."""

from core.catalog import ModelEntry
from core.i18n import get_language, quoted
from core.i18n import gettext as _
from core.lens.forward_reading import Candidate, ForwardRequest
from core.lens.parameters import ParameterCount
from core.ui.guess import Question, guess_first, guess_switch, question_key
from core.ui.inside.charts import PARTS, part_sums
from core.ui.tasks.sentiment import label_name


def guessed(question: Question) -> bool:
    """Draws the switch and, where the mode is on, the question; says whether the answer may be shown."""
    guess_switch()
    return guess_first(question)


def _words(candidates: tuple[Candidate, ...]) -> tuple[str, ...]:
    """The candidates as words to guess; none where the likeliest is no text."""
    if not candidates or not candidates[0].text.strip():
        return ()
    return tuple(dict.fromkeys(item.text.strip() for item in candidates if item.text.strip()))


def next_question(item: ModelEntry, wanted: ForwardRequest, candidates: tuple[Candidate, ...]) -> Question | None:
    """Asks for the token that a model writes next; ``None`` where the likeliest is no text."""
    words = _words(candidates)
    if not words:
        return None
    return Question(
        key=question_key("inside-next", item.key, wanted),
        ask=_("¿Con qué token seguirá {name}?").format(name=item.name(get_language())),
        answers=words,
        hint=_("Una palabra o un signo"),
    )


def gap_question(
    item: ModelEntry, wanted: ForwardRequest, row: int, token: str, candidates: tuple[Candidate, ...]
) -> Question | None:
    """Asks for the word that an encoder would put in a token's place; ``None`` where the likeliest is no text."""
    words = _words(candidates)
    if not words:
        return None
    return Question(
        key=question_key("inside-gap", item.key, wanted, row),
        ask=_("¿Qué pondrá {name} en el lugar de {token}?").format(name=item.name(get_language()), token=quoted(token)),
        answers=words,
        hint=_("Una palabra"),
    )


def label_question(item: ModelEntry, wanted: ForwardRequest, candidates: tuple[Candidate, ...]) -> Question:
    """Asks for the label that the head chooses."""
    labels = tuple(candidate.text for candidate in candidates)
    return Question(
        key=question_key("inside-label", item.key, wanted),
        ask=_("¿Qué dirá {name} de este texto?").format(name=item.name(get_language())),
        answers=labels,
        options=tuple(sorted(labels)),
        names=label_name,
    )


def parts_question(item: ModelEntry, count: ParameterCount) -> Question:
    """Asks which kind of part holds most parameters."""
    sums = part_sums(count)
    return Question(
        key=question_key("inside-parts", item.key),
        ask=_("¿En qué parte tiene {name} más parámetros?").format(name=item.name(get_language())),
        answers=tuple(sums),
        options=tuple(part for part in PARTS if part in sums),
        names=lambda part: _(PARTS[part]),
    )
