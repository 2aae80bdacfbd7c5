"""Readers for the raw text that the shipped models learn from and are measured on.

The data folder (``--data DIR``) isn't part of the project. Each ``Source`` below names what it reads there,
where that text comes from and under which licence. Only sources whose licence allows training have a
``train`` split; sets that are licensed (or not stated) for measuring alone are listed in
``evaluation_sets()`` and can't be reached through ``Corpus.iter_documents``.

Documents are split once and for all by the hash of their cleaned text, so that every recipe (WordPiece,
mini-BETO) holds apart the same novels, manuals and laws. On top of that split, ``Corpus`` drops from
``train`` every paragraph that nearly repeats something held apart: the Python documentation, for instance,
occurs both in es-python-docs and as sentences in en-es-parallel.
"""

import csv
import hashlib
import io
import json
import lzma
import tarfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

import regex

from core.errors import InputInvalid
from core.i18n import gettext as _

Split = Literal["train", "dev", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "dev", "test")

WORD: Final = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_UNSEEN: Final = regex.compile(r"[\p{Cc}\p{Cs}\p{Co}\u00ad\u200b\u200e\u200f\u2060\ufeff]+")
_SPACES: Final = regex.compile(r"\s+")


def clean_paragraph(text: str) -> str:
    """One paragraph as the recipes read it.

    NFC; control, private-use and zero-width characters dropped; every run of white space (no-break
    and thin spaces included) becomes one space. Accents, «comillas», “curly quotes”, dashes and emoji stay.
    """
    if text.isprintable():
        # Nearly all of it: no white space but the plain one, and nothing unseen. Ten times as fast.
        return unicodedata.normalize("NFC", " ".join(text.split()))
    spaced = _SPACES.sub(" ", text)
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _UNSEEN.sub("", spaced)).strip())


@dataclass(frozen=True, slots=True)
class Document:
    """A unit that is never divided between splits.

    Attributes:
        source: the key of its ``Source``.
        id: the first 16 hexadecimal digits of the SHA-256 of its cleaned text.
        paragraphs: cleaned, never empty.
    """

    source: str
    id: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        """The paragraphs, one a line."""
        return "\n".join(self.paragraphs)


@dataclass(frozen=True, slots=True)
class Source:
    """A set of Spanish text that may be trained on.

    Attributes:
        key: short name, used in code and model cards.
        name: what it is, for a model card.
        licence: as stated by the data folder's manifest.
        upstream: where it comes from.
        language: ISO 639-1 code.
        read: yields (part, paragraphs) of each document, uncleaned, in file order; parts are the
            files for which ``held_per_part`` counts.
        held_per_part: documents a part that go to ``test``; half as many go to ``dev``. 0 means that
            ``held_share`` decides.
        held_share: share of the documents that goes to ``test`` (and again to ``dev``), by hash.
        read_test: reads the set's own test split, where it has one (then all of ``read`` is ``train``).
        read_dev: the same for the development split.
    """

    key: str
    name: str
    licence: str
    upstream: str
    language: str
    read: Callable[[Path], Iterator[tuple[str, list[str]]]]
    held_per_part: int = 0
    held_share: float = 0.0
    read_test: Callable[[Path], Iterator[tuple[str, list[str]]]] | None = None
    read_dev: Callable[[Path], Iterator[tuple[str, list[str]]]] | None = None


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Text to measure on; no recipe may train on it.

    Attributes:
        key: short name.
        name: what it is, for a model card.
        licence: as stated by the data folder's manifest.
        role: ``"dev"`` sets choose between recipes, ``"test"`` sets are reported.
        read: yields paragraphs or sentences, uncleaned.
    """

    key: str
    name: str
    licence: str
    role: Literal["dev", "test"]
    read: Callable[[Path], Iterator[str]]


# --- readers ----------------------------------------


def read_file(path: Path) -> str:
    """The whole of a UTF-8 text file, ``.xz`` or plain.

    Raises:
        InputInvalid: the file isn't there.
    """
    if not path.is_file():
        raise InputInvalid(
            _(
                "No encuentro «{path}». Los textos de entrenamiento no vienen con el proyecto: "
                "indica su carpeta con --data."
            ).format(path=path)
        )
    raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    return raw.decode("utf-8")


def _member(archive: Path, name: str) -> str:
    """One text file inside a ``.tar.xz``.

    Raises:
        InputInvalid: the archive isn't there.
    """
    if not archive.is_file():
        read_file(archive)
    with tarfile.open(archive, "r:xz") as tar:
        handle = tar.extractfile(name)
        assert handle is not None, name
        return handle.read().decode("utf-8")


def _blocks(pattern: str) -> Callable[[Path], Iterator[tuple[str, list[str]]]]:
    """Files with one paragraph a line and a blank line between documents."""

    def read(data: Path) -> Iterator[tuple[str, list[str]]]:
        folder, _slash, glob = pattern.rpartition("/")
        for path in sorted((data / folder).glob(glob)) or [data / pattern]:
            for block in read_file(path).split("\n\n"):
                yield path.name, block.split("\n")

    return read


def _column(path: str, column: int) -> Callable[[Path], Iterator[tuple[str, list[str]]]]:
    """One column of a tab-separated file, each row a document."""

    def read(data: Path) -> Iterator[tuple[str, list[str]]]:
        for line in read_file(data / path).splitlines():
            cells = line.split("\t")
            if len(cells) > column:
                yield path, [cells[column]]

    return read


_TIGHT_LEFT: Final = frozenset(",.;:!?)]}»%…”")
_TIGHT_RIGHT: Final = frozenset("([{«¿¡“")


def untokenize(tokens: Iterable[str]) -> str:
    """Words joined as they are written, from a list where punctuation stands apart."""
    text = ""
    for token in tokens:
        glue = "" if not text or token in _TIGHT_LEFT or text[-1] in _TIGHT_RIGHT else " "
        text += glue + token
    return text


def _wikiann(split: str) -> Callable[[Path], Iterator[tuple[str, list[str]]]]:
    """WikiANN sentences without its redirect titles and wiki mark-up."""

    def read(data: Path) -> Iterator[tuple[str, list[str]]]:
        lines = _member(data / "ner.tar.xz", f"ner/wikiann-es/{split}.conllu").splitlines()
        for filled, rows in groupby(lines, key=bool):
            tokens = [row.split("\t")[1] for row in rows] if filled else []
            if tokens and "redirec" not in tokens[0].casefold():
                yield split, [untokenize(t for t in tokens if t not in {"'", "''", "'''", "*", "**", "***"})]

    return read


def _intent(split: str) -> Callable[[Path], Iterator[tuple[str, list[str]]]]:
    def read(data: Path) -> Iterator[tuple[str, list[str]]]:
        text = _member(data / "intent.tar.xz", f"intent/facebook-multilingual-es/{split}-es.tsv")
        for line in text.splitlines():
            yield split, [line.split("\t")[2]]

    return read


def _ud(*names: str) -> Callable[[Path], Iterator[str]]:
    """The raw sentences (``# text = …``) of CoNLL-U files."""

    def read(data: Path) -> Iterator[str]:
        for name in names:
            for line in read_file(data / "ud-es" / name).splitlines():
                if line.startswith("# text = "):
                    yield line.removeprefix("# text = ")

    return read


def _paragraphs(
    reader: Callable[[Path], Iterator[tuple[str, list[str]]]],
) -> Callable[[Path], Iterator[str]]:
    def read(data: Path) -> Iterator[str]:
        for _part, paragraphs in reader(data):
            yield from paragraphs

    return read


def _squad_contexts(data: Path) -> Iterator[str]:
    seen: set[str] = set()
    for line in read_file(data / "squad-es/squad-es-v1.1-dev-small-minus-xquad.jsonl.xz").splitlines():
        context = str(json.loads(line)["context"])
        if context not in seen:
            seen.add(context)
            yield context


def _inferes(data: Path) -> Iterator[str]:
    seen: set[str] = set()
    for row in csv.DictReader(io.StringIO(_member(data / "nli.tar.xz", "nli/inferes-es/train.csv"))):
        for field in ("Premise", "Hypothesis"):
            if row[field] not in seen:
                seen.add(row[field])
                yield row[field]


# --- registry ----------------------------------------

_SOURCES: Final = (
    Source(
        key="es-novels",
        name="270 Spanish and Spanish American novels, 1830–1940",
        licence="texts in the public domain, editions CC BY 4.0",
        upstream="github.com/cligs/conha19; github.com/cligs/textbox (spanish/novela-espanola)",
        language="es",
        read=_blocks("es-novels/part-*.txt.xz"),
        held_per_part=2,
    ),
    Source(
        key="en-es-parallel",
        name="Python documentation and messages of free software, Spanish side",
        licence="CC0/PSF; each program's own free licence (mostly GPL-2+)",
        upstream="github.com/python/python-docs-es; translation catalogues of Debian packages",
        language="es",
        read=_column("en-es-parallel/train.tsv.xz", 1),
        read_test=_column("en-es-parallel/dev.tsv.xz", 1),
    ),
    Source(
        key="tatoeba",
        name="Tatoeba everyday sentences, Spanish side",
        licence="CC BY 2.0 FR",
        upstream="tatoeba.org through manythings.org/anki (2018-05-13)",
        language="es",
        read=_column("en-es-parallel/tatoeba/train.tsv.xz", 1),
        read_dev=_column("en-es-parallel/tatoeba/dev.tsv", 1),
    ),
    Source(
        key="bible",
        name="Reina-Valera 1909 (old spelling: á, fué)",
        licence="public domain",
        upstream="Reina-Valera 1909, aligned with the World English Bible",
        language="es",
        read=_column("en-es-parallel/bible.tsv.xz", 1),
        held_share=0.02,
    ),
    Source(
        key="es-manuales",
        name="Debian's Spanish manuals",
        licence="free documentation licences (MPL, GFDL, CC BY-SA …)",
        upstream="Spanish documentation of Debian packages",
        language="es",
        read=_blocks("es-manuales/manuales.txt.xz"),
        held_share=0.02,
    ),
    Source(
        key="es-python-docs",
        name="Python's documentation in Spanish",
        licence="CC0",
        upstream="github.com/python/python-docs-es",
        language="es",
        read=_blocks("es-python-docs/python-docs-es.txt.xz"),
        held_share=0.02,
    ),
    Source(
        key="es-leyes-uy",
        name="Laws of Uruguay",
        licence="Uruguay's open data licence; «Fuente: IMPO»",
        upstream="legalize-uy, from IMPO",
        language="es",
        read=_blocks("es-leyes-uy/leyes.txt.xz"),
        held_share=0.02,
    ),
    Source(
        key="wikiann-es",
        name="WikiANN (PAN-X) Spanish, text only, without redirects",
        licence="Wikipedia text, CC BY-SA",
        upstream="github.com/Babelscape/wikineural, data/wikiann/es (Pan 2017, Rahimi 2019)",
        language="es",
        read=_wikiann("train"),
        read_dev=_wikiann("val"),
        read_test=_wikiann("test"),
    ),
    Source(
        key="intent-es",
        name="Facebook Multilingual Task-Oriented Dialog, Spanish utterances",
        licence="CC BY-SA",
        upstream="github.com/zliucr/crosslingual-slu, data/es (Schuster 2019)",
        language="es",
        read=_intent("train"),
        read_dev=_intent("eval"),
        read_test=_intent("test"),
    ),
)

_EVALUATION_SETS: Final = (
    EvaluationSet(
        "ud-gsd",
        "UD Spanish GSD, dev and test",
        "CC BY-SA",
        "test",
        _ud("es_gsd-ud-dev.conllu.xz", "es_gsd-ud-test.conllu"),
    ),
    EvaluationSet("ud-pud", "UD Spanish PUD", "CC BY-SA", "test", _ud("es_pud-ud-test.conllu.xz")),
    EvaluationSet(
        "es-cuentos",
        "African Storybook, 36 children's stories",
        "CC BY 4.0",
        "test",
        _paragraphs(_blocks("es-cuentos/cuentos.txt")),
    ),
    EvaluationSet(
        "squad-es",
        "SQuAD-es paragraphs (machine translated)",
        "CC BY 4.0",
        "dev",
        _squad_contexts,
    ),
    EvaluationSet("inferes", "InferES sentences", "to be confirmed: measure only", "dev", _inferes),
)


def sources() -> tuple[Source, ...]:
    """Every source that may be trained on."""
    return _SOURCES


def evaluation_sets() -> tuple[EvaluationSet, ...]:
    """Every set that is only measured on."""
    return _EVALUATION_SETS


# --- near duplicates ----------------------------------------


class HeldOutIndex:
    """Recognizes paragraphs that nearly repeat held-out text.

    Word shingles (Broder, 1997): a paragraph of six words or more repeats held-out text when at least half
    of its six-word runs (one in three is looked up) occur there. Of three to five words, when it is the
    same paragraph. Shorter ones ("—Sí, señor.") are formulas and never count. Case and punctuation are
    ignored.
    """

    SIZE: Final = 6
    STRIDE: Final = 3
    SHARE: Final = 0.5

    def __init__(self, paragraphs: Iterable[str] = ()) -> None:
        # Python hashes of 64 bits instead of the strings: a tenth of the memory for two million runs.
        self._shingles: set[int] = set()
        self._short: set[int] = set()
        for paragraph in paragraphs:
            self.add(paragraph)

    def add(self, paragraph: str) -> None:
        """Holds ``paragraph`` apart."""
        words = WORD.findall(paragraph.lower())
        if len(words) < self.SIZE:
            self._short.add(hash(" ".join(words)))
            return
        for start in range(len(words) - self.SIZE + 1):
            self._shingles.add(hash(" ".join(words[start : start + self.SIZE])))

    def repeats(self, paragraph: str) -> bool:
        """True if ``paragraph`` nearly repeats held-out text."""
        words = WORD.findall(paragraph.lower())
        if len(words) < 3:
            return False
        if len(words) < self.SIZE:
            return hash(" ".join(words)) in self._short
        starts = range(0, len(words) - self.SIZE + 1, self.STRIDE)
        hits = sum(hash(" ".join(words[s : s + self.SIZE])) in self._shingles for s in starts)
        return hits >= self.SHARE * len(starts)


class Corpus:
    """The text sets in one data folder, split by document.

    Args:
        data: the folder with es-novels/, en-es-parallel/ and the others.
    """

    # A document of which a fifth is found in held-out text is another edition of it: all of it is dropped.
    TWIN_SHARE: Final = 0.2

    def __init__(self, data: Path) -> None:
        self.data = data
        self.dropped: dict[str, tuple[int, int]] = {}  # source -> documents, paragraphs left out of train

    def sources(self) -> tuple[Source, ...]:
        """Every source that may be trained on."""
        return _SOURCES

    def _documents(self, source: Source, split: Split) -> Iterator[Document]:
        own = {"dev": source.read_dev, "test": source.read_test}.get(split)
        if own is not None:
            yield from (d for _part, d in self._cleaned(source, own))
            return
        owns_splits = source.read_dev is not None or source.read_test is not None
        if owns_splits:
            if split == "train":
                yield from (d for _part, d in self._cleaned(source, source.read))
            return
        if not source.held_per_part:
            for _part, document in self._cleaned(source, source.read):
                if _split_by_share(document.id, source.held_share) == split:
                    yield document
            return
        for _part, group in groupby(self._cleaned(source, source.read), key=lambda pair: pair[0]):
            documents = [document for _name, document in group]
            ranked = sorted(document.id for document in documents)
            test = set(ranked[: source.held_per_part])
            dev = set(ranked[source.held_per_part : source.held_per_part + source.held_per_part // 2])
            for document in documents:
                if split == ("test" if document.id in test else "dev" if document.id in dev else "train"):
                    yield document

    def _cleaned(
        self, source: Source, read: Callable[[Path], Iterator[tuple[str, list[str]]]]
    ) -> Iterator[tuple[str, Document]]:
        for part, raw in read(self.data):
            paragraphs = tuple(p for p in map(clean_paragraph, raw) if p and "\ufffd" not in p)
            if paragraphs:
                digest = hashlib.sha256("\n".join(paragraphs).encode()).hexdigest()[:16]
                yield part, Document(source.key, digest, paragraphs)

    def iter_documents(self, source: Source | str, split: Split) -> Iterator[Document]:
        """The documents of ``source`` in ``split``, in file order.

        ``train`` comes without what nearly repeats held-out text; ``dropped`` counts what was left out,
        once the iteration has ended.

        Args:
            source: a ``Source`` or its key.
            split: ``"train"``, ``"dev"`` or ``"test"``.

        Raises:
            KeyError: no source has that key.
            InputInvalid: its files aren't in the data folder.
        """
        if isinstance(source, str):
            source = {s.key: s for s in _SOURCES}[source]
        if split != "train":
            yield from self._documents(source, split)
            return
        documents = paragraphs = 0
        for document in self._documents(source, "train"):
            kept = tuple(p for p in document.paragraphs if not self.held_out.repeats(p))
            lost = len(document.paragraphs) - len(kept)
            if lost >= self.TWIN_SHARE * len(document.paragraphs):
                documents += 1
                paragraphs += len(document.paragraphs)
                continue
            paragraphs += lost
            yield Document(document.source, document.id, kept) if lost else document
        self.dropped[source.key] = (documents, paragraphs)

    def iter_evaluation(self, evaluation_set: EvaluationSet | str) -> Iterator[str]:
        """The cleaned paragraphs or sentences of a set that is only measured on."""
        if isinstance(evaluation_set, str):
            evaluation_set = {s.key: s for s in _EVALUATION_SETS}[evaluation_set]
        yield from filter(None, map(clean_paragraph, evaluation_set.read(self.data)))

    @cached_property
    def held_out(self) -> HeldOutIndex:
        """All that must not be trained on: every dev and test split and every evaluation set."""
        index = HeldOutIndex()
        for source in _SOURCES:
            for split in SPLITS[1:]:
                for document in self._documents(source, split):
                    for paragraph in document.paragraphs:
                        index.add(paragraph)
        for evaluation_set in _EVALUATION_SETS:
            for paragraph in self.iter_evaluation(evaluation_set):
                index.add(paragraph)
        return index


def _split_by_share(document_id: str, share: float) -> Split:
    """Where a document goes: its id, a uniform hash, read as a number from 0 to 1."""
    position = int(document_id[:8], 16) / 0x1_0000_0000
    return "test" if position < share else "dev" if position < 2 * share else "train"
