"""Sentences with names and their tags, for entities-es and entities-en: WikiANN is titles, not sentences.

Two ways to get whole sentences whose licence allows training: templates written for this project, filled with
WikiANN's names and lists of its own; and everyday sentences of Tatoeba in which every capitalized word belongs to a
known name (distant labels, Mintz et al. 2009), the names exchanged for others of their kind in half of them.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from core.training.data import Tagged, span_tags, spans

_FOLDER: Final = Path(__file__).parent / "text"
_SLOTS: Final = {
    "PER": "PER",
    "FIRST": "PER",
    "LOC": "LOC",
    "ORG": "ORG",
    **dict.fromkeys(("MISC", "PEOPLE", "WORK", "WAR", "TREATY", "EVENT", "AWARD", "HOLIDAY", "THING"), "MISC"),
}
_FIGURES: Final = {"YEAR": (1500, 2024), "NUMBER": (2, 90)}
# Lists that stand in for WikiANN's names of a kind, and how often: of what it calls organizations, much isn't.
_INSTEAD: Final = {"LOC": ("PLACE", 0.25), "ORG": ("BODY", 0.6)}
# Initials and abbreviations keep their dot, and an English possessive is a word of its own, as in Wikigold.
_WORD: Final = re.compile(
    r"(?:\b[A-Z]\.)+|\b(?:Mrs?|Ms|Dr|St|Jr|Sr|Inc|Co|Corp|Ltd)\.|\w+(?=['’]s\b)|['’]s\b|\w+(?:[-'’]\w+)*|[^\w\s]"
)
_NAME: Final = re.compile(r"[A-ZÁÉÍÓÚÑÜ][\w'’.-]*$")
# Small words inside names: "Ciudad de México", "Ortega y Gasset", "Isle of Man".
_INNER: Final = {
    "es": frozenset({"de", "del", "la", "las", "los", "el", "y", "e"}),
    "en": frozenset({"of", "the", "and", "de", "la", "van", "von"}),
}
# Capitalized in English, and no names.
PLAIN: Final = frozenset(
    {
        *("I", "I'm", "I'd", "I'll", "I've", "Mr", "Mrs", "Ms", "Miss", "Dr", "Sir", "Lady", "Madam", "OK", "TV"),
        *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March"),
        *("April", "May", "June", "July", "August", "September", "October", "November", "December"),
    }
)
_OPENS: Final = frozenset('.?!:;¿¡«»"—–-…')
_LONGEST: Final = 6

Name = tuple[str, ...]
Names = Mapping[str, Sequence[Name]]


@cache
def templates(language: str = "es") -> tuple[tuple[Name, ...], dict[str, tuple[Name, ...]]]:
    """The sentences with room for names, and the lists of names that go with them by slot, each in words."""
    text = (_FOLDER / f"names-{language}.txt").read_text(encoding="utf-8")
    sentences, *lists = re.split(r"^= (\w+)\n", text, flags=re.MULTILINE)
    rows = tuple(tuple(line.split()) for line in sentences.splitlines() if line and not line.startswith("#"))
    named = zip(lists[::2], lists[1::2], strict=True)
    return rows, {slot: tuple(tuple(line.split()) for line in part.splitlines() if line) for slot, part in named}


def gazetteer(tagged: Iterable[Tagged], language: str = "es") -> dict[str, list[Name]]:
    """Names that are nine times in ten of one kind, by kind; ``"FIRST"``: first names that three people bear.

    Args:
        tagged: sentences whose names are taken.
        language: whose own lists are put beside them.
    """
    inner = _INNER[language]
    kinds: dict[Name, Counter[str]] = defaultdict(Counter)
    for sentence in tagged:
        for kind, start, end in spans(sentence.tags):
            name = sentence.words[start:end]
            whole = all(_NAME.match(word) or word in inner for word in name)
            if whole and len(name) <= _LONGEST and name[0] not in inner and not any(c.isdigit() for c in "".join(name)):
                kinds[name][kind] += 1
    found: dict[str, list[Name]] = {kind: [] for kind in ("PER", "LOC", "ORG")}
    for name, counts in sorted(kinds.items()):
        (kind, most), *_rest = counts.most_common(1)
        if kind in found and most >= 0.9 * counts.total():
            found[kind].append(name)
    first = Counter(name[0] for name in found["PER"] if len(name) > 1 and len(name[0]) > 2)
    found["FIRST"] = sorted((word,) for word, bearers in first.items() if bearers >= 3 and word.isalpha())
    found |= {slot: list(own) for slot, own in templates(language)[1].items()}
    # A person's whole name: single words are too often a city or a company as well.
    found["PER"] = [name for name in found["PER"] if len(name) > 1]
    return found


def _drawn(names: Names, slot: str, chance: random.Random) -> Name:
    """A name for a slot; what it has room for itself is drawn, too, but never from the lists that stand in."""
    if slot in _INSTEAD:
        other, share = _INSTEAD[slot]
        if other in names and chance.random() < share:
            slot = other
    words: list[str] = []
    for word in chance.choice(names[slot]):
        if word in _FIGURES:
            words.append(str(chance.randint(*_FIGURES[word])))
        elif word.isupper() and word in names:
            words += chance.choice(names[word])
        else:
            words.append(word)
    return tuple(words)


def _put(words: list[str], tags: list[str], name: Sequence[str], kind: str) -> None:
    words += name
    tags += span_tags(kind, len(name))


def from_templates(names: Names, count: int, seed: int = 1, language: str = "es") -> list[Tagged]:
    """``count`` sentences: the templates in turn, filled with names drawn by chance."""
    chance = random.Random(seed)
    rows = templates(language)[0]
    found = []
    for number in range(count):
        words: list[str] = []
        tags: list[str] = []
        for word in rows[number % len(rows)]:
            if word in _SLOTS:
                _put(words, tags, _drawn(names, word, chance), _SLOTS[word])
            else:
                words.append(str(chance.randint(*_FIGURES[word])) if word in _FIGURES else word)
                tags.append("O")
        found.append(Tagged(tuple(words), tuple(tags)))
    return found


def split_words(sentence: str) -> tuple[str, ...]:
    """Words and marks of a sentence, each by itself, as WikiANN and its like have them."""
    return tuple(_WORD.findall(sentence))


def labelled(
    sentence: str, known: Mapping[Name, str], common: Container[str], plain: Container[str] = ()
) -> Tagged | None:
    """A sentence with tags, or ``None`` where a capitalized word belongs to no known name.

    Args:
        sentence: plain text.
        known: kind of each name.
        common: words that are also written small: at the beginning of a sentence they are no name.
        plain: words that have a capital everywhere and are no names, such as ``PLAIN``.
    """
    words = split_words(sentence)
    tags = ["O"] * len(words)
    at = 0
    while at < len(words):
        opening = at == 0 or words[at - 1] in _OPENS
        if not _NAME.match(words[at]) or words[at] in plain:
            at += 1
            continue
        usual = opening and words[at].lower() in common
        least = 2 if usual else 1
        end = next((e for e in range(min(len(words), at + _LONGEST), at + least - 1, -1) if words[at:e] in known), None)
        if end is not None:
            tags[at:end] = span_tags(known[words[at:end]], end - at)
            at = end
        elif usual:
            at += 1
        else:
            return None
    return Tagged(words, tuple(tags))


def in_sentences(
    sentences: Iterable[str], names: Names, seed: int = 1, bare_share: float = 0.25, plain: Container[str] = ()
) -> list[Tagged]:
    """Sentences whose names are all known, in half of them exchanged for others of their kind.

    Args:
        sentences: plain text.
        names: by kind, as from ``gazetteer``.
        seed: of the exchange and of the draw.
        bare_share: sentences without any name that are kept, for each one with names.
        plain: as in ``labelled``.
    """
    chance = random.Random(seed)
    known = {name: kind for kind in ("ORG", "LOC", "PER") for name in names[kind]}
    known |= {name: "PER" for name in names["FIRST"] if known.get(name) != "LOC"}
    known |= dict.fromkeys(names.get("PEOPLE", ()), "MISC")
    sentences = list(sentences)
    seen = Counter(word for sentence in sentences for word in _WORD.findall(sentence))
    # A slip such as "tom" is no word.
    common = {word for word, count in seen.items() if word[:1].islower() and count > 0.1 * seen[word.capitalize()]}
    kept: list[Tagged] = []
    bare: list[Tagged] = []
    for sentence in sentences:
        own = labelled(sentence, known, common, plain)
        if own is None or not 4 <= len(own.words) <= 60:
            continue
        if any(tag != "O" for tag in own.tags):
            kept.append(_exchanged(own, names, chance) if chance.random() < 0.5 else own)
        else:
            bare.append(own)
    chance.shuffle(bare)
    found = kept + bare[: round(bare_share * len(kept))]
    chance.shuffle(found)
    return found


def _exchanged(sentence: Tagged, names: Names, chance: random.Random) -> Tagged:
    words: list[str] = []
    tags: list[str] = []
    last = 0
    for kind, start, end in spans(sentence.tags):
        words += sentence.words[last:start]
        tags += sentence.tags[last:start]
        short = kind == "PER" and end - start == 1
        slot = "FIRST" if short else "PEOPLE" if kind == "MISC" else kind
        _put(words, tags, chance.choice(names[slot]), kind)
        last = end
    return Tagged((*words, *sentence.words[last:]), (*tags, *sentence.tags[last:]))
