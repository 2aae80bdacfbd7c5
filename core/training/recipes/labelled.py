"""Readers for the labelled sets that the shipped heads learn from and are measured on.

Sets whose licence allows training are in ``TRAIN``; those that may only measure, because their licence is
not stated, non-commercial or bound to terms, can't be reached from there. What is measured on is held apart
by ``HeldOutIndex``: no training sentence nearly repeats one of a test.
"""

import csv
import io
import json
import random
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from core.training.data import Labelled as Labelled
from core.training.data import Question as Question
from core.training.data import Tagged as Tagged
from core.training.recipes.corpora import HeldOutIndex, clean_paragraph, untokenize

NEGATIVE: Final = 0
NEUTRAL: Final = 1
POSITIVE: Final = 2


@cache
def _archive(path: Path) -> dict[str, bytes]:
    """The files of a ``.tar.xz``, read once: a later file can't be reached without unpacking those before."""
    with tarfile.open(path, "r:xz") as tar:
        return {m.name: handle.read() for m in tar if m.isfile() and (handle := tar.extractfile(m)) is not None}


def archive_text(data: Path, archive: str, name: str) -> str:
    """A file of one of the archives."""
    return _archive(data / f"{archive}.tar.xz")[f"{archive}/{name}"].decode("utf-8", errors="replace")


def _names(data: Path, archive: str, start: str) -> list[str]:
    prefix = f"{archive}/"
    return sorted(
        name.removeprefix(prefix)
        for name in _archive(data / f"{archive}.tar.xz")
        if name.startswith(prefix + start) and not name.endswith("SOURCE.txt")
    )


# --- sentiment --------------------------------------------------------------------------------------------

_GROUPS: Final = {"1": NEGATIVE, "2": NEUTRAL, "3": POSITIVE}


def goemotions(data: Path, split: str) -> Iterator[Labelled]:
    """Reddit comments with one of three feelings (Demszky et al. 2020); ambiguous and mixed ones left out."""
    for line in archive_text(data, "sentiment", f"goemotions-en/sentiment_group/{split}.tsv").splitlines():
        text, labels, _id = line.split("\t")
        if labels in _GROUPS:
            yield Labelled(clean_paragraph(text.replace("[NAME]", "Sam")), _GROUPS[labels])


def rt_polarity(data: Path) -> Iterator[Labelled]:
    """Sentences of film reviews (Pang & Lee 2005)."""
    for name in _names(data, "sentiment", "rt-polarity-en/sentence_polarity/rt-polarity"):
        label = POSITIVE if name.endswith("pos") else NEGATIVE
        for line in archive_text(data, "sentiment", name).splitlines():
            if line.strip():
                yield Labelled(clean_paragraph(line), label)


def pros_and_cons(data: Path) -> Iterator[Labelled]:
    """What buyers liked and did not like (Ganapathibhotla & Liu 2008)."""
    for name in _names(data, "sentiment", "product_reviews-en/pros_cons/"):
        for tag, text in re.findall(r"<(Pros|Cons)>(.*?)</\1>", archive_text(data, "sentiment", name)):
            cleaned = clean_paragraph(text)
            if len(cleaned) > 8:
                yield Labelled(cleaned, POSITIVE if tag == "Pros" else NEGATIVE)


def movie_reviews(data: Path) -> Iterator[Labelled]:
    """The last three sentences of each review, where its verdict stands (Pang & Lee 2004)."""
    for name in _names(data, "sentiment", "movie_reviews-en/movie_reviews/"):
        match = re.search(r"/(pos|neg)/", name)
        if match:
            lines = [line for line in archive_text(data, "sentiment", name).splitlines() if len(line) > 20]
            for line in lines[-3:]:
                yield Labelled(clean_paragraph(line), POSITIVE if match[1] == "pos" else NEGATIVE)


def sst2_test(data: Path) -> list[Labelled]:
    """The 872 sentences on which SST-2 is reported (Socher et al. 2013); licence not stated: measures only."""
    lines = archive_text(data, "sentiment", "sst2-en/test.tsv").splitlines()[1:]
    pairs = (line.rsplit("\t", 1) for line in lines)
    return [Labelled(clean_paragraph(text), POSITIVE if label == "1" else NEGATIVE) for text, label in pairs]


def opener(data: Path, language: str) -> list[Labelled]:
    """Hotel reviews with opinions of one sign only (Agerri 2013); licence not stated: measures only."""
    found = []
    for split in ("train", "dev", "test"):
        name = f"opener_hotels-{language}/{split}.json"
        if f"sentiment/{name}" not in _archive(data / "sentiment.tar.xz"):
            continue
        for row in json.loads(archive_text(data, "sentiment", name)):
            signs = {opinion["Polarity"] for opinion in row["opinions"]}
            text = clean_paragraph(untokenize(row["text"].split()))
            if signs == {"Positive"}:
                found.append(Labelled(text, POSITIVE))
            elif signs == {"Negative"}:
                found.append(Labelled(text, NEGATIVE))
    return found


# Words with which a plain statement stops being plain. A sentence with one of them is not taken for neutral.
_OPINION: Final = re.compile(
    r"n['’]t\b|\b(?:not|no|never|nothing|nobody|cannot|too|very|so|such|like|likes|liked|love\w*|hat(?:e|es|ed)|enjoy\w*|"
    r"good|better|best|bad|badly|worse|worst|nice|great|fine|happy|sad|sorry|glad|afraid|angry|wonderful|terrible|"
    r"horrible|awful|beautiful|ugly|perfect|well|wrong|right|problem\w*|trouble\w*|fail\w*|lost|lose\w*|win|won|dead|"
    r"die[ds]?|dying|kill\w*|death|accident\w*|sick|ill|hurt\w*|pain\w*|cry|cried|crying|fight\w*|war|steal\w*|stole|"
    r"broke\w*|break\w*|damage\w*|destroy\w*|poor|rich|unfortunately|only|even|just|must|should|please|want\w*|hope\w*|"
    r"wish\w*|beg|thank\w*|mistake\w*|late|alone|hungry|tired|expensive|cheap|dangerous|safe|easy|difficult|hard)\b|!",
    re.IGNORECASE,
)
# What plain statements about the world are full of: numbers, days, months, hours, measures.
_MEASURE: Final = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|fifty|hundred|thousand|million|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|june|july|august|september|october|"
    r"november|december|o'clock|hours?|minutes?|weeks?|months?|years?|miles?|kilometers?|meters?|degrees?|floor|"
    r"street|station|capital|river|located|consists|called|opens?|starts?|begins?|leaves|arrives?)\b",
    re.IGNORECASE,
)


def plain_statements(data: Path, each: int = 4000) -> Iterator[Labelled]:
    """Sentences that only inform, taken for neutral: encyclopedia, documentation, times and places.

    Comments on the web, the only neutral sentences with labels here, teach that statements are opinions:
    without these, "Water boils at a hundred degrees" came out as negative.

    Args:
        data: the folder with the text sets.
        each: how many of each of the three sources, at most.
    """
    wiki = (untokenize(item.words) for item in conllu_entities(data, "wikiann-en/train.conllu") if len(item.words) > 7)
    documentation = (en for en, _es in parallel(data, "train.tsv.xz") if len(en) < 160 and en.count(" ") > 4)
    everyday = (en for en, _es in parallel(data, "tatoeba/train.tsv.xz") if _MEASURE.search(en))
    chance = random.Random(2)
    for source in (wiki, documentation, everyday):
        plain = [text for text in source if text[-1] == "." and not _OPINION.search(text)]
        for text in chance.sample(plain, min(each, len(plain))):
            yield Labelled(clean_paragraph(text), NEUTRAL)


# --- entities ---------------------------------------------------------------------------------------------

_WNUT: Final = {
    "person": "PER",
    "location": "LOC",
    "group": "ORG",
    "corporation": "ORG",
    "product": "MISC",
    "creative-work": "MISC",
}
_WIKI_MARKS: Final = frozenset({"'", "''", "'''", "*", "**", "***", "``"})


def _sentences(text: str, columns: Callable[[list[str]], tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for filled, lines in groupby(text.splitlines(), key=lambda line: bool(line.strip())):
        if filled:
            yield [columns(line.split("\t") if "\t" in line else line.split(" ")) for line in lines]


def iob2(tags: Iterable[str]) -> tuple[str, ...]:
    """IOB1, where only a second neighbour of the same kind begins with B, as IOB2, where each entity does."""
    found: list[str] = []
    before = "O"
    for tag in tags:
        if tag != "O" and (tag.startswith("B-") or before == "O" or before[2:] != tag[2:]):
            found.append("B-" + tag[2:])
        else:
            found.append(tag)
        before = tag
    return tuple(found)


def _tagged(pairs: Iterable[tuple[str, str]]) -> Tagged | None:
    kept = [(word, tag) for word, tag in pairs if word.strip()]
    if not kept:
        return None
    words, tags = zip(*kept, strict=True)
    return Tagged(words, iob2(tags))


def conllu_entities(data: Path, name: str) -> Iterator[Tagged]:
    """WikiANN and WikiNEuRal: number, word, tag; without redirects and wiki mark-up."""
    for rows in _sentences(archive_text(data, "ner", name), lambda cells: (cells[1], cells[2])):
        if "redirec" in rows[0][0].casefold():
            continue
        found = _tagged((word, tag) for word, tag in rows if word not in _WIKI_MARKS)
        if found:
            yield found


def btc(data: Path) -> Iterator[Tagged]:
    """The Broad Twitter Corpus; user names, which are tagged as people, are left out with their sign."""
    for part in "abefgh":
        name = f"btc-en/{part}.conll"
        if f"ner/{name}" in _archive(data / "ner.tar.xz"):
            for rows in _sentences(archive_text(data, "ner", name), lambda cells: (cells[0], cells[-1])):
                kept = [
                    (word, tag)
                    for index, (word, tag) in enumerate(rows)
                    if word != "@" and not (index and rows[index - 1][0] == "@")
                ]
                found = _tagged(kept)
                if found:
                    yield found


def wnut(data: Path, split: str) -> Iterator[Tagged]:
    """WNUT 2017, its six kinds mapped to four."""
    files = {"train": "wnut17train.conll", "dev": "emerging.dev.conll", "test": "emerging.test.annotated"}

    def columns(cells: list[str]) -> tuple[str, str]:
        tag = cells[-1].strip()
        return cells[0], tag if tag == "O" else f"{tag[:2]}{_WNUT[tag[2:]]}"

    for rows in _sentences(archive_text(data, "ner", f"wnut17-en/{files[split]}"), columns):
        found = _tagged(rows)
        if found:
            yield found


def wikigold(data: Path) -> list[Tagged]:
    """Wikigold (Balasuriya et al. 2009): clean, tagged by hand."""
    rows = _sentences(archive_text(data, "ner", "wikigold-en/wikigold.conll"), lambda cells: (cells[0], cells[-1]))
    return [found for pairs in rows if pairs[0][0] != "-DOCSTART-" and (found := _tagged(pairs))]


# --- questions --------------------------------------------------------------------------------------------


def squad(file: Path | str) -> Iterator[Question]:
    """Lines of SQuAD-like JSON whose answers stand in the text; impossible questions are left out."""
    text = file if isinstance(file, str) else file.read_text(encoding="utf-8")
    for line in text.splitlines():
        row = json.loads(line)
        answers = tuple((int(a.get("start", a.get("answer_start"))), str(a["text"])) for a in row["answers"])
        context = str(row["context"])
        # The translated set holds empty answers, and some that the translation lost.
        right = tuple((at, words) for at, words in answers if words and context[at : at + len(words)] == words)
        if right:
            yield Question(str(row["question"]), context, right, str(row.get("title", "")))


def titles(lines: str) -> dict[str, str]:
    """The number of each question in lines of SQuAD-like JSON, and the title of its article."""
    return {str(row["id"]): str(row["title"]) for row in map(json.loads, lines.splitlines())}


def english_lines(data: Path) -> str:
    """SQuAD 1.1's development questions but for XQuAD's paragraphs (Rajpurkar et al. 2016), as JSON lines."""
    return archive_text(data, "qa", "squad-dev-minus-xquad/data.jsonl")


def squad_english(data: Path) -> list[Question]:
    """The questions of ``english_lines``."""
    return list(squad(english_lines(data)))


_PTB: Final = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "``": '"', "''": '"'}


def qamr_sentences(data: Path) -> dict[str, str]:
    """The sentences of Wikipedia and Wikinews that QAMR asks about, in words with spaces between, by their name."""
    lines = archive_text(data, "qa", "qamr-en/wiki-sentences.tsv").splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {name: " ".join(_PTB.get(word, word) for word in sentence.split()) for name, sentence in pairs}


def qamr(data: Path) -> Iterator[Question]:
    """Questions on single sentences (Michael et al. 2018), the first annotator's answer."""
    sentences = qamr_sentences(data)
    for split in ("dev", "test"):
        for line in archive_text(data, "qa", f"qamr-en/{split}.tsv").splitlines():
            cells = line.split("\t")
            words = sentences.get(cells[0], "").split()
            chosen = [int(number) for number in cells[6].split()] if cells[6] else []
            if not words or not chosen or chosen[-1] - chosen[0] + 1 != len(chosen) or chosen[-1] >= len(words):
                continue  # an answer that is not one stretch can't be pointed at
            starts = [0]
            for word in words:
                starts.append(starts[-1] + len(word) + 1)
            begin, end = starts[chosen[0]], starts[chosen[-1]] + len(words[chosen[-1]])
            context = " ".join(words)
            yield Question(cells[5], context, ((begin, context[begin:end]),), cells[0])


# --- keeping apart ----------------------------------------------------------------------------------------


def without_repeats(found: Iterable[Labelled], held_out: Iterable[Labelled]) -> Iterator[Labelled]:
    """``found`` without what nearly repeats a held-out text, and without its own repetitions."""
    index = HeldOutIndex(item.text for item in held_out)
    seen: set[str] = set()
    for item in found:
        key = " ".join(re.findall(r"\w+", item.text.lower()))
        if key and key not in seen and not index.repeats(item.text):
            seen.add(key)
            yield item


def parallel(data: Path, name: str) -> Iterator[tuple[str, str]]:
    """Pairs (English, Spanish) of a tab-separated file."""
    from core.training.recipes.corpora import read_file

    rows = csv.reader(io.StringIO(read_file(data / "en-es-parallel" / name)), delimiter="\t", quoting=csv.QUOTE_NONE)
    for row in rows:
        if len(row) >= 2 and row[0].strip() and row[1].strip():
            yield clean_paragraph(row[0]), clean_paragraph(row[1])
