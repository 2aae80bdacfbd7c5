"""Pronouns whose antecedent is known, to learn from and to measure: GAP, WinoBias, and novels.

Sources: Webster et al. 2018 (GAP), Zhao et al. 2018 (WinoBias); where a pronoun stands and what it may point to is
found by ``core.tasks.coreference``, with which models are measured, too.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from core.tasks.coreference import TASK, CoreferenceRequest, Language, Span, find_mentions, find_pronouns
from core.training import samples
from core.training.recipes import english_heads
from core.training.recipes.corpora import Corpus, Document, HeldOutIndex
from core.training.recipes.labelled import archive_text

if TYPE_CHECKING:
    from core.runtime.bundle import ModelBundle

Gender = Literal["m", "f"]
_BRACKETS: Final = re.compile(r"\[(.+?)\]")
_WORD: Final = re.compile(r"\w+")
_ARTICLES: Final = frozenset({"the", "a", "an", "el", "la", "los", "las", "un", "una"})


# --- GAP and WinoBias -------------------------------------------------------------------------------------


def gap(data: Path, part: Literal["development", "validation"]) -> list[CoreferenceRequest]:
    """A part of GAP (Webster et al. 2018): Wikipedia, two names of one gender; the right one comes first."""
    cases = []
    for line in archive_text(data, "coref", f"gap-en/gap-{part}.tsv").splitlines()[1:]:
        _id, text, pronoun, at, a, a_at, a_right, b, b_at, b_right, _url = line.split("\t")
        if a_right != b_right:
            place, *names = (
                (int(start), int(start) + len(word)) for word, start in ((pronoun, at), (a, a_at), (b, b_at))
            )
            mentions = names if a_right == "TRUE" else names[::-1]
            cases.append(CoreferenceRequest(text, place, tuple(mentions), "en"))
    return cases


def winobias(data: Path, kind: str, part: Literal["dev", "test"]) -> dict[str, list[CoreferenceRequest]]:
    """Sentences of WinoBias (Zhao et al. 2018): whether the pronoun fits an occupation's stereotype or not.

    Args:
        data: the folder with the data sets.
        kind: ``"type1"``, to be told by sense alone, or ``"type2"``, where syntax is enough.
        part: which half of them.

    Returns:
        The same sentences twice, under ``"pro"`` and ``"anti"``, with the right occupation as the first candidate;
        those where no other occupation is found are left out.
    """
    lines = {
        side: archive_text(data, "coref", f"winobias-en/{side}_stereotyped_{kind}.txt.{part}").splitlines()
        for side in ("pro", "anti")
    }
    # The occupation stands before its pronoun in all of them.
    occupations = {match[1].lower() for own in lines.values() for line in own if (match := _BRACKETS.search(line))}
    longest_first = sorted(occupations, key=len, reverse=True)
    found: dict[str, list[CoreferenceRequest]] = {}
    for side, own in lines.items():
        found[side] = []
        for line in own:
            text = line.partition(" ")[2].strip()
            marks = list(_BRACKETS.finditer(text))
            if len(marks) != 2:
                continue
            # Each bracket that is taken away moves what follows.
            right, pronoun = (
                (mark.start() - 2 * index, mark.end() - 2 * index - 2) for index, mark in enumerate(marks)
            )
            plain = text.replace("[", "").replace("]", "")
            others = (
                (at, at + len(name))
                for name in longest_first
                if (at := plain.lower().find(name)) >= 0 and (at + len(name) <= right[0] or at >= right[1])
            )
            wrong = next(others, None)
            if wrong is not None:
                found[side].append(CoreferenceRequest(plain, pronoun, (right, wrong), "en"))
    return found


def skeleton(case: CoreferenceRequest) -> str:
    """A sentence without its pronoun and the names of its candidates: two that only differ in these are one."""
    text = case.text
    for start, end in sorted((case.pronoun, *case.candidates), reverse=True):
        text = f"{text[:start]}_{text[end:]}"
    return " ".join(_WORD.findall(text.lower()))


def with_others(case: CoreferenceRequest) -> CoreferenceRequest:
    """The case with all else that the text names behind its candidates, but for what shares a word with the first."""
    right = set(_WORD.findall(case.text[slice(*case.candidates[0])].lower())) - _ARTICLES
    taken = (*case.candidates, case.pronoun)
    others = [
        (start, end)
        for start, end in find_mentions(case.text, case.language)
        if not any(start < high and low < end for low, high in taken)
        and not right & set(_WORD.findall(case.text[start:end].lower()))
    ]
    return CoreferenceRequest(case.text, case.pronoun, (*case.candidates, *others), case.language)


# --- novels: where gender and number leave one mention ------------------------------------------------------

_PRONOUNS: Final[dict[Language, dict[str, tuple[Gender, bool]]]] = {
    "es": {"él": ("m", False), "ella": ("f", False), "ellos": ("m", True), "ellas": ("f", True)},
    "en": {"he": ("m", False), "him": ("m", False), "his": ("m", False), "she": ("f", False), "her": ("f", False)},
}
_MASCULINE: Final = frozenset({"el", "un", "los", "unos", "este", "nuestro"})
_FEMININE: Final = frozenset({"la", "una", "las", "unas", "esta"})
_POSSESSIVE: Final = frozenset({"mi", "tu", "su"})
_MEN_WORDS: Final = (
    "man boy gentleman fellow lad king prince lord duke count baron emperor father son brother uncle nephew husband "
    "grandfather grandson priest monk"
)
_MEN: Final = frozenset(_MEN_WORDS.split())
_WOMEN_WORDS: Final = (
    "woman girl lady lass queen princess duchess countess baroness empress mother daughter sister aunt niece wife "
    "widow grandmother granddaughter nun maid"
)
_WOMEN: Final = frozenset(_WOMEN_WORDS.split())
# Where a capital letter makes no name.
_OPENS: Final = re.compile(r"(?:^|[.!?…¿¡:«»\"“”—–-])\s*$")
_TITLE: Final[dict[Language, re.Pattern[str]]] = {
    "es": re.compile(r"\b(?:([Dd]on|señor|tío|fray|San)|([Dd]oña|señora|señorita|tía|sor|Santa)) ([^\W\d_a-z]\w+)"),
    "en": re.compile(r"\b(?:(Sir|Uncle|Prince|King|Master)|(Miss|Lady|Aunt|Princess|Queen)) ([A-Z]\w+)"),
}
_SENTENCE: Final = re.compile(r"(?<=[.!?…])\s+")
_FEWEST_TITLES: Final = 5
_SHORTEST, _LONGEST = 40, 320
# Of one novel, so that no writer decides.
_OF_EACH: Final = 40


def name_genders(documents: Iterable[Document], language: Language) -> dict[str, Gender]:
    """The gender of names that stand behind "don", "Miss" and the like, nine times in ten behind one kind of them."""
    counts: dict[str, Counter[Gender]] = defaultdict(Counter)
    for document in documents:
        for paragraph in document.paragraphs:
            for he, _she, name in _TITLE[language].findall(paragraph):
                counts[name]["m" if he else "f"] += 1
    found: dict[str, Gender] = {}
    for name, own in counts.items():
        ((gender, most),) = own.most_common(1)
        if own.total() >= _FEWEST_TITLES and most >= 0.9 * own.total():
            found[name] = gender
    return found


def agreement(text: str, mention: Span, names: Mapping[str, Gender], language: Language) -> tuple[Gender | None, bool]:
    """Gender (``None`` where nothing shows it) and whether it is plural, by the article, the noun or the name."""
    words = text[slice(*mention)].split()
    head, noun = words[0].lower(), words[-1].lower()
    if language == "en":
        return "m" if noun in _MEN else "f" if noun in _WOMEN else names.get(words[0]), False
    if head in _MASCULINE or head in _FEMININE:
        return "m" if head in _MASCULINE else "f", head.endswith("s")
    if text[: mention[0]].rstrip().rpartition(" ")[2].lower() in {"al", "del"}:
        return "m", False
    endings: dict[str, Gender] = {"a": "f", "o": "m"}
    called = words[-1] if head in _POSSESSIVE else words[0]
    return names.get(called) or endings.get(called[-1]), False


def agreeing(documents: Sequence[Document], language: Language) -> Iterator[CoreferenceRequest]:
    """Pronouns before which one mention alone agrees with them, in their sentence or the one before.

    Mostly it is the antecedent, and where it isn't, no other mention there is: silver, to learn agreement from.
    English nouns that are neither man nor woman are no candidates.
    """
    names = name_genders(documents, language)
    for document in documents:
        own = [case for paragraph in document.paragraphs for case in _agreeing(paragraph, names, language)]
        random.Random(document.id).shuffle(own)
        yield from own[:_OF_EACH]


def _agreeing(paragraph: str, names: Mapping[str, Gender], language: Language) -> Iterator[CoreferenceRequest]:
    sentences = _SENTENCE.split(paragraph)
    for place, sentence in enumerate(sentences):
        text = " ".join(sentences[max(0, place - 1) : place + 1])
        if not _SHORTEST <= len(text) <= _LONGEST:
            continue
        mentions = find_mentions(text, language)
        for start, end in find_pronouns(text, language):
            wanted = _PRONOUNS[language].get(text[start:end].lower())
            if wanted is None or start < len(text) - len(sentence):
                continue
            seen = {mention: agreement(text, mention, names, language) for mention in mentions if mention[1] <= start}
            right = [mention for mention, own in seen.items() if own == wanted]
            wrong = [mention for mention, own in seen.items() if own != wanted and own[0]]
            unknown = [text[low:high] for (low, high), own in seen.items() if not own[0]]
            if language == "en":
                unknown = [words for words in unknown if words[0].isupper() and " " not in words]
            if len(right) != 1 or not wrong or unknown:
                continue
            words = text[slice(*right[0])].split()
            if len(words) > 1 or words[0].islower() or words[0] in names or not _OPENS.search(text[: right[0][0]]):
                yield CoreferenceRequest(text, (start, end), (*right, *wrong), language)


# --- what is learnt from, and what is measured ----------------------------------------------------------------


def written() -> dict[str, list[CoreferenceRequest]]:
    """The sentences by hand, by language and what tells the right one: ``"es, agreement"``, ``"es, sense"``…"""
    found: dict[str, list[CoreferenceRequest]] = {}
    languages: tuple[Language, ...] = ("es", "en")
    for language in languages:
        for kind, right, wrong, marked in samples.pronouns(language):
            (mark,) = _BRACKETS.finditer(marked)
            text = marked.replace("[", "").replace("]", "")
            candidates = tuple((at := text.index(words), at + len(words)) for words in (right, wrong))
            case = CoreferenceRequest(text, (mark.start(), mark.end() - 2), candidates, language)
            found.setdefault(f"{language}, {kind}", []).append(case)
    return found


def tests(data: Path) -> dict[str, list[CoreferenceRequest]]:
    """The cases of each set, by its name on a card; of WinoBias both sides."""
    return {
        "GAP": gap(data, "validation"),
        "WinoBias, by sense": [case for side in winobias(data, "type1", "test").values() for case in side],
        "WinoBias, by syntax": [case for side in winobias(data, "type2", "test").values() for case in side],
    }


def training(data: Path, spanish: int, english: int, seed: int = 1) -> list[CoreferenceRequest]:
    """What a model may learn from: the other parts of both sets, without what nearly repeats a test, and novels.

    Args:
        data: the folder with the data sets.
        spanish: how many pronouns of Spanish novels.
        english: how many of English ones.
        seed: of their draw.
    """
    held = [case for own in (*tests(data).values(), *written().values()) for case in own]
    index = HeldOutIndex(case.text for case in held)
    known = set(map(skeleton, held))
    labelled = [
        *gap(data, "development"),
        *(case for kind in ("type1", "type2") for own in winobias(data, kind, "dev").values() for case in own),
    ]
    found = list(map(with_others, labelled))
    novels: dict[Language, tuple[int, Iterable[Document]]] = {
        "es": (spanish, Corpus(data).iter_documents("es-novels", "train")),
        "en": (english, english_heads.novels(data, "train")),
    }
    for language, (most, documents) in novels.items():
        silver = list(agreeing(list(documents), language))
        found += random.Random(seed).sample(silver, min(most, len(silver)))
    return [case for case in found if not index.repeats(case.text) and skeleton(case) not in known]


def accuracy(bundle: "ModelBundle", cases: Sequence[CoreferenceRequest]) -> float:
    """The share of pronouns that the model gives to the first of their candidates; half of them by chance.

    Args:
        bundle: a model of the task.
        cases: at least one.
    """
    import torch

    right = 0
    with torch.inference_mode():
        for case in cases:
            (found,) = TASK.run(bundle, [case])
            right += found.mentions[0].start == case.candidates[0][0]
    return right / len(cases)
