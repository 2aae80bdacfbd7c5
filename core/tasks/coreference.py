"""Coreference: which mention a pronoun points to, in two ways that teach different things.

- A masked language model that no one taught the task: each candidate takes the pronoun's place, and its pieces are
  masked one after the other; the mean log-probability of the pieces says how well it fits there (pseudo-log-
  likelihood, Salazar et al. 2020; substitution as in Kocijan et al. 2019). It shows what a model learned from
  filling gaps alone, and its biases.
- A model that learnt to point: the words around the pronoun are the question, the whole text is where the answer
  stands, and a candidate's score is that of its first token as the answer's start plus that of its last as its end
  (Chada 2019). It reads the pronoun, and with it gender and number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text

if TYPE_CHECKING:
    from transformers import BatchEncoding

Language = Literal["es", "en"]
Way = Literal["substitution", "pointing"]
MAX_CANDIDATES: Final = 12
_AT_ONCE: Final = 32
# The words of a question about a pronoun reach about so many characters to each side.
_AROUND: Final = 40
_WORD: Final = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
PRONOUNS: Final[dict[Language, frozenset[str]]] = {
    "es": frozenset({"él", "ella", "ellos", "ellas", "lo", "le", "les", "los"}),
    "en": frozenset({"he", "she", "it", "they", "him", "her", "them", "his", "its", "their"}),
}
# English possessives become "X's"; "her" is one only where a noun follows.
_POSSESSIVE: Final = frozenset({"his", "its", "their", "her"})
_DETERMINERS: Final[dict[Language, frozenset[str]]] = {
    "es": frozenset(
        {"el", "la", "los", "las", "un", "una", "unos", "unas", "mi", "tu", "su", "este", "esta", "nuestro"}
    ),
    "en": frozenset({"the", "a", "an", "my", "your", "this", "that", "our", "his", "her", "their"}),
}
# Words that end a noun phrase, and that begin sentences with a capital without being names.
_SMALL_ES: Final = (
    "a al ante con contra de del desde en entre hasta para por sin sobre y e o u ni que porque pero cuando donde "
    "como si no se me te nos es era fue son eran está estaba ha había muy más menos ya también el la los las un "
    "una unos unas mi tu su este esta él ella ellos ellas lo le les yo tú usted aunque mientras después antes así"
)
_SMALL_EN: Final = (
    "a an the and or but because when where while as if not no so that which who is was were are be been has had "
    "have to of in on at by for from with without into over under after before he she it they him her them his "
    "its their my your our i you we this very more less too also then would could will can may did does do"
)
_SMALL: Final[dict[Language, frozenset[str]]] = {"es": frozenset(_SMALL_ES.split()), "en": frozenset(_SMALL_EN.split())}
_LONGEST_PHRASE: Final = 2
# Spanish prepositions that have swallowed the article "el".
_CONTRACTED: Final = ("al", "del")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CoreferenceRequest:
    """A text, a pronoun in it, and what it may point to; all places in code points.

    Attributes:
        text: the text.
        pronoun: where the pronoun stands.
        candidates: where the mentions stand.
        language: of the text.
    """

    text: str
    pronoun: Span
    candidates: tuple[Span, ...]
    language: Language


@dataclass(frozen=True, slots=True)
class Mention:
    """A candidate: its text and place, its score, and its share of all.

    By substitution the score is the mean log-probability of its pieces in nats, by pointing a sum of two logits.
    """

    text: str
    start: int
    end: int
    score: float
    share: float


@dataclass(frozen=True, slots=True)
class CoreferenceResult:
    """The candidates, the best first, how they were judged, and the time."""

    mentions: tuple[Mention, ...]
    way: Way
    timing: Timing


def find_pronouns(text: str, language: Language) -> list[Span]:
    """Where the pronouns that this module knows stand.

    Spanish "lo", "los" and "le" count before a verb only in so far as no noun with its article stands there: "los
    niños" is an article.
    """
    found = []
    words = list(_WORD.finditer(text))
    for index, word in enumerate(words):
        if word[0].lower() not in PRONOUNS[language]:
            continue
        after = words[index + 1][0] if index + 1 < len(words) else ""
        if language == "es" and word[0].lower() in {"lo", "los"} and (not after or after.endswith("s")):
            continue
        found.append(word.span())
    return found


def find_mentions(text: str, language: Language) -> list[Span]:
    """Candidates by a plain rule: a determiner and the word or two after it, or words with capitals in a row."""
    words = list(_WORD.finditer(text))
    small, determiners = _SMALL[language], _DETERMINERS[language]
    found: list[Span] = []
    index = 0
    while index < len(words):
        word = words[index]
        low = word[0].lower()
        stop = index + 1
        contracted = language == "es" and low in _CONTRACTED
        if low in determiners or contracted:
            while (
                stop < len(words)
                and stop - index <= _LONGEST_PHRASE
                and words[stop][0].lower() not in small
                and text[words[stop - 1].end() : words[stop].start()].isspace()
            ):
                stop += 1
            # A verb after the noun looks like a second noun: only what is written with a capital is kept on.
            keep = index + 2
            while keep < stop and words[keep][0][0].isupper():
                keep += 1
            stop = min(stop, keep)
            if stop > index + 1:
                # "al modelo": the mention is the noun, whose article ``substituted`` puts back.
                begin = words[index + 1].start() if contracted else word.start()
                found.append((begin, words[stop - 1].end()))
        elif word[0][0].isupper() and low not in small and low not in PRONOUNS[language]:
            while stop < len(words) and words[stop][0][0].isupper() and text[words[stop - 1].end()] == " ":
                stop += 1
            found.append((word.start(), words[stop - 1].end()))
        index = max(stop, index + 1)
    return found


def substituted(request: CoreferenceRequest, candidate: Span) -> tuple[str, Span]:
    """The text with the candidate in the pronoun's place, and where it stands there."""
    start, end = request.pronoun
    words = request.text[candidate[0] : candidate[1]]
    if request.language == "es" and re.search(rf"\b(?:{'|'.join(_CONTRACTED)})\s+$", request.text[: candidate[0]]):
        words = f"el {words}"
    head, _space, rest = words.partition(" ")
    # At the beginning of a sentence a candidate gets its capital, elsewhere its article loses it.
    before = request.text[:start].rstrip()
    begins = not before or before[-1] in ".!?\n"
    if head.lower() in _DETERMINERS[request.language]:
        head = head.capitalize() if begins else head.lower()
    words = f"{head} {rest}" if rest else head
    pronoun = request.text[start:end].lower()
    noun_follows = bool(re.match(r"\s+[^\W\d_]", request.text[end:])) and pronoun in _POSSESSIVE
    follows = re.match(r"\s+([^\W\d_]+)", request.text[end:])
    if noun_follows and follows is not None and follows[1].lower() in _SMALL["en"]:
        noun_follows = False
    tail = "'s" if request.language == "en" and noun_follows else ""
    return request.text[:start] + words + tail + request.text[end:], (start, start + len(words))


def question(request: CoreferenceRequest) -> str:
    """The words around the pronoun, which stands between « and »: what a model that points is asked."""
    start, end = request.pronoun
    low, high = max(0, start - _AROUND), min(len(request.text), end + _AROUND)
    while low > 0 and not request.text[low - 1].isspace():
        low -= 1
    while high < len(request.text) and not request.text[high].isspace():
        high += 1
    return f"{request.text[low:start]}«{request.text[start:end]}»{request.text[end:high]}"


def _tokens_of(encoded: "BatchEncoding", spans: Sequence[Span], part: int, row: int = 0) -> list[list[int]]:
    """The tokens that write each of ``spans`` in the first (0) or the second (1) text of a row with its offsets."""
    parts = encoded.sequence_ids(row)
    own = [
        (place, int(low), int(high))
        for place, (low, high) in enumerate(encoded["offset_mapping"][row])
        if parts[place] == part and high > low
    ]
    return [[place for place, low, high in own if low < end and high > start] for start, end in spans]


def candidate_tokens(encoded: "BatchEncoding", candidates: Sequence[Span], row: int = 0) -> list[Span]:
    """The first and the last token of each candidate, where question and text are encoded as one row.

    Args:
        encoded: with ``offset_mapping``.
        candidates: their places in the text.
        row: of the batch.
    """
    return [(tokens[0], tokens[-1]) for tokens in _tokens_of(encoded, candidates, 1, row)]


class Coreference:
    """The task."""

    name = "coreference"
    attention = False
    max_batch = 4

    def run(self, bundle: ModelBundle, requests: Sequence[CoreferenceRequest]) -> list[CoreferenceResult]:
        """Judges the candidates of each request.

        Raises:
            InputInvalid: an empty text, no pronoun, or fewer than two candidates.
            InputTooLong: more than twelve candidates, or a text longer than the model's window.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: CoreferenceRequest) -> CoreferenceResult:
        import torch

        clock = Clock()
        require_text(request.text)
        if request.pronoun[1] <= request.pronoun[0]:
            raise InputInvalid(_("No hay ningún pronombre en el texto: escribe uno, como «él», «ella» o «lo»."))
        if len(request.candidates) < 2:
            raise InputInvalid(_("Hacen falta al menos dos candidatos: nombra en el texto a dos personas o cosas."))
        if len(request.candidates) > MAX_CANDIDATES:
            raise InputTooLong(
                _("Hay {n} candidatos y aquí caben {limit}. Quita algunos.").format(
                    n=format_number(len(request.candidates)), limit=format_number(MAX_CANDIDATES)
                )
            )
        points = bundle.entry.weights is not None and bundle.entry.weights.head == "QuestionAnswering"
        scores = (
            self._pointed(bundle, request, clock)
            if points
            else [self._score(bundle, *substituted(request, candidate), clock) for candidate in request.candidates]
        )
        shares = torch.tensor(scores).softmax(0).tolist()
        mentions = [
            Mention(request.text[start:end], start, end, score, share)
            for (start, end), score, share in zip(request.candidates, scores, shares, strict=True)
        ]
        best_first = tuple(sorted(mentions, key=lambda mention: -mention.share))
        return CoreferenceResult(best_first, "pointing" if points else "substitution", clock.timing())

    def _pointed(self, bundle: ModelBundle, request: CoreferenceRequest, clock: Clock) -> list[float]:
        """For each candidate, the logit of its first token as the answer's start plus that of its last as its end."""
        with clock.part("tokenize"):
            encoded = bundle.encode([question(request)], [request.text], return_offsets_mapping=True)
            tokens = candidate_tokens(encoded, request.candidates)
            del encoded["offset_mapping"]
        with clock.part("model"):
            output: Any = bundle.model(**encoded.to(bundle.device.name))
            first, last = output.start_logits[0].float().tolist(), output.end_logits[0].float().tolist()
        return [first[start] + last[end] for start, end in tokens]

    def _score(self, bundle: ModelBundle, text: str, span: Span, clock: Clock) -> float:
        """Mean log-probability of the pieces that stand in ``span``, each masked in turn."""
        import torch

        with clock.part("tokenize"):
            encoded = bundle.encode([text], return_offsets_mapping=True)
            (places,) = _tokens_of(encoded, [span], 0)
        ids = encoded["input_ids"][0]
        rows = ids.repeat(len(places), 1)
        rows[range(len(places)), places] = int(bundle.tokenizer.mask_token_id or 0)
        found: list[torch.Tensor] = []
        with clock.part("model"):
            for at in range(0, len(rows), _AT_ONCE):
                part = rows[at : at + _AT_ONCE].to(bundle.device.name)
                output: Any = bundle.model(input_ids=part)
                logits = output.logits if hasattr(output, "logits") else output.prediction_logits
                own = places[at : at + _AT_ONCE]
                logs = logits[range(len(own)), own].float().cpu().log_softmax(-1)
                found.append(logs[range(len(own)), ids[own]])
        return float(torch.cat(found).mean())


TASK: Final = Coreference()
