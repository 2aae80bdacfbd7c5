"""Data sets for fine-tuning: what an example is, how a set is split, and what is worth knowing before training.

Three tasks: a text's class, the entities among a sentence's words, and the span of a text that answers a question.
Everything here is frozen and knows nothing of files: ``core.training.reading`` makes these values out of uploads,
``core.training.ours`` and ``core.training.snips`` out of sets that are at hand.
"""

import hashlib
import json
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, Final, Literal, TypeVar

from core.i18n import format_number, format_percent, ngettext
from core.i18n import gettext as _

TuningTask = Literal["classification", "entities", "questions"]
TASKS: Final[tuple[TuningTask, ...]] = ("classification", "entities", "questions")

OUTSIDE: Final = "O"
ANSWERED: Final = "answered"
UNANSWERED: Final = "unanswered"

# Largest class over smallest from which accuracy alone misleads. Kinds of entities are never even.
IMBALANCE: Final = {"classification": 4.0, "entities": 20.0}
# Training examples of a class under which its result says little.
FEW: Final = 8

_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its class.

    Attributes:
        text: as it was written.
        label: index into the set's ``labels``.
    """

    text: str
    label: int


@dataclass(frozen=True, slots=True)
class Tagged:
    """A sentence in words, each with an IOB2 tag such as ``"B-PER"``."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a text.

    Attributes:
        question: what is asked.
        context: the text that holds the answer.
        answers: (start, text) in characters of the context; empty where the context has no answer.
        group: what the context belongs to, such as an article's title.
    """

    question: str
    context: str
    answers: tuple[tuple[int, str], ...]
    group: str = ""


Example = Labelled | Tagged | Question
_E = TypeVar("_E", Labelled, Tagged, Question)


def normalized(text: str) -> str:
    """A text by which copies of it are recognized: its words in lower case, without punctuation.

    Accents stay: "año" and "ano" are two words.
    """
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def example_text(example: Example) -> str:
    """What a model reads of an example, for people: the text, the words, or the question."""
    if isinstance(example, Labelled):
        return example.text
    return " ".join(example.words) if isinstance(example, Tagged) else example.question


def copy_key(example: Example) -> str:
    """What two examples have in common that are copies of each other, whatever their labels."""
    key = normalized(example_text(example))
    return f"{key} | {normalized(example.context)}" if isinstance(example, Question) else key


def group_key(example: Example) -> str:
    """What may not stand on both sides of a split: the text or, of a question, the context."""
    return normalized(example.context) if isinstance(example, Question) else copy_key(example)


def spans(tags: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """The entities of IOB2 tags as (kind, first word, one after the last), in order."""
    found = []
    start, kind = 0, ""
    for index, tag in enumerate([*tags, OUTSIDE]):
        if kind and tag != f"I-{kind}":
            found.append((kind, start, index))
            kind = ""
        if tag.startswith("B-") or (tag.startswith("I-") and not kind):
            start, kind = index, tag[2:]
    return tuple(found)


def span_tags(kind: str, length: int) -> list[str]:
    """The IOB2 tags of an entity of so many words: the way back from ``spans``."""
    return [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]


def tag_list(kinds: Iterable[str]) -> tuple[str, ...]:
    """``O`` and the two tags of each kind, as a set's ``labels`` holds them."""
    return (OUTSIDE, *chain.from_iterable((f"B-{kind}", f"I-{kind}") for kind in kinds))


@dataclass(frozen=True)
class DataSet:
    """Everything that a run learns from and is measured on.

    Attributes:
        task: which of the three.
        name: for people, in the language in which the set was chosen.
        language: ISO 639-1 code, empty where it isn't known.
        source: where it comes from: an address, a file's name …
        licence: SPDX identifier, empty where it isn't known.
        train: never empty.
        test: what the run is measured on; never empty, nothing of it is in ``train`` unless the set came so.
        labels: classes in a fixed order (classification); ``"O"``, then ``B-`` and ``I-`` of each kind (entities);
            empty (questions).
    """

    task: TuningTask
    name: str
    language: str
    source: str
    licence: str
    train: tuple[Labelled, ...] | tuple[Tagged, ...] | tuple[Question, ...]
    test: tuple[Labelled, ...] | tuple[Tagged, ...] | tuple[Question, ...]
    labels: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is counted: classes, kinds of entities, or whether a question has an answer."""
        if self.task == "classification":
            return self.labels
        if self.task == "entities":
            return tuple(tag[2:] for tag in self.labels if tag.startswith("B-"))
        return (ANSWERED, UNANSWERED)

    def to_dict(self) -> dict[str, Any]:
        """The set as JSON holds it; ``data_set`` reverses it."""
        return asdict(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole set, in hexadecimal: two sets with one digest train the same model."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


_TYPES: Final[dict[str, type[Labelled] | type[Tagged] | type[Question]]] = {
    "classification": Labelled,
    "entities": Tagged,
    "questions": Question,
}


def _example(task: TuningTask, row: Mapping[str, Any]) -> Any:
    match task:
        case "classification":
            return Labelled(row["text"], row["label"])
        case "entities":
            return Tagged(tuple(row["words"]), tuple(row["tags"]))
        case "questions":
            answers = tuple((start, text) for start, text in row["answers"])
            return Question(row["question"], row["context"], answers, row.get("group", ""))


def data_set(values: Mapping[str, Any]) -> DataSet:
    """A set out of what ``DataSet.to_dict`` gave, also after a journey through JSON."""
    task = values["task"]
    train, test = (tuple(_example(task, row) for row in values[part]) for part in ("train", "test"))
    about = (values["name"], values["language"], values["source"], values["licence"])
    return DataSet(task, *about, train, test, tuple(values["labels"]))


# --- splitting --------------------------------------------------------------------------------------------


def _strata(examples: Sequence[Example]) -> list[str]:
    """By what each example is spread over the two parts: its class, its rarest kind, whether it has an answer."""
    found = []
    rarity = Counter(
        kind for example in examples if isinstance(example, Tagged) for kind, _start, _end in spans(example.tags)
    )
    for example in examples:
        if isinstance(example, Labelled):
            found.append(str(example.label))
        elif isinstance(example, Tagged):
            kinds = {kind for kind, _start, _end in spans(example.tags)}
            found.append(min(kinds, key=lambda kind: (rarity[kind], kind), default=OUTSIDE))
        else:
            found.append(ANSWERED if example.answers else UNANSWERED)
    return found


def split(examples: Sequence[_E], *, share: float = 0.2, seed: int = 0) -> tuple[tuple[_E, ...], tuple[_E, ...]]:
    """Divides examples into a part to learn from and one to measure on, the same for the same seed.

    Every class keeps its share as nearly as whole examples allow. Copies of a text (whatever their case and
    punctuation) and questions on one context stay together, on one side. A class with two different texts or more
    is on both sides; one with a single text is only learnt.

    Args:
        examples: in any order; each part keeps it.
        share: of the examples that should go to the second part, above 0 and below 1.
        seed: decides who goes where.

    Returns:
        The two parts, train and test; test is empty where all examples are copies of one.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        groups[group_key(example)].append(index)
    strata = _strata(examples)
    by_stratum: dict[str, list[list[int]]] = defaultdict(list)
    for members in groups.values():
        # A context whose questions are of both sorts counts as what most of them are.
        by_stratum[Counter(strata[index] for index in members).most_common(1)[0][0]].append(members)
    chosen: set[int] = set()
    for name in sorted(by_stratum):
        own = by_stratum[name]
        random.Random(f"{seed} {name}").shuffle(own)
        wanted = share * sum(map(len, own))
        taken = 0
        for members in own[:-1]:
            # Nearer to the wanted number with this group than without it, and never none at all.
            if taken and abs(taken + len(members) - wanted) >= abs(taken - wanted):
                continue
            chosen.update(members)
            taken += len(members)
            if taken >= wanted:
                break
    train = tuple(example for index, example in enumerate(examples) if index not in chosen)
    test = tuple(example for index, example in enumerate(examples) if index in chosen)
    return train, test


def sample(data: DataSet, most: int, *, seed: int = 0) -> DataSet:
    """The set with at most ``most`` training examples, each class with its share of them; the test part stays.

    Args:
        data: any set.
        most: at least one.
        seed: decides which examples are kept; their order stays.
    """
    if len(data.train) <= most:
        return data
    by_stratum: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(_strata(data.train)):
        by_stratum[name].append(index)
    ranked = []
    for name, own in by_stratum.items():
        random.Random(f"{seed} {name}").shuffle(own)
        # Evenly spread over (0, 1): cutting at any height takes the same share of every class.
        ranked += [((place + 0.5) / len(own), index) for place, index in enumerate(own)]
    kept = sorted(index for _height, index in sorted(ranked)[:most])
    train: Any = tuple(data.train[index] for index in kept)
    return replace(data, train=train)


# --- counting ---------------------------------------------------------------------------------------------


def count_labels(data: DataSet) -> dict[str, tuple[int, int]]:
    """How often each class, kind of entity, or sort of question occurs: (in train, in test)."""

    def tally(part: Iterable[Example]) -> Counter[str]:
        count: Counter[str] = Counter()
        for example in part:
            if isinstance(example, Labelled):
                count[data.labels[example.label]] += 1
            elif isinstance(example, Tagged):
                count.update(kind for kind, _start, _end in spans(example.tags))
            else:
                count[ANSWERED if example.answers else UNANSWERED] += 1
        return count

    train, test = tally(data.train), tally(data.test)
    return {kind: (train[kind], test[kind]) for kind in data.kinds}


# --- warnings ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imbalance:
    """One class has many times the training examples of another.

    Attributes:
        largest: the class with most.
        most: how many it has.
        smallest: the class with fewest.
        fewest: how many it has.
        baseline: share of the test that always answering ``largest`` gets right, from 0 to 1; ``None`` for
            entities, where it means nothing.
    """

    largest: str
    most: int
    smallest: str
    fewest: int
    baseline: float | None

    @property
    def message(self) -> str:
        """What was found and why it matters, in the reader's language."""
        text = _("Reparto desigual: «{largest}» tiene {most} ejemplos y «{smallest}», {fewest}.").format(
            largest=self.largest,
            most=format_number(self.most),
            smallest=self.smallest,
            fewest=format_number(self.fewest),
        )
        if self.baseline is None:
            return text
        return (
            text
            + " "
            + _(
                "Quien responda siempre «{largest}» acierta el {share} de la prueba: compara la exactitud con eso "
                "y mira también la F1 de cada clase."
            ).format(largest=self.largest, share=format_percent(self.baseline))
        )


@dataclass(frozen=True, slots=True)
class FewExamples:
    """Classes with very few training examples.

    Attributes:
        labels: (class, how many), the fewest first.
    """

    labels: tuple[tuple[str, int], ...]

    @property
    def message(self) -> str:
        """What was found and why it matters, in the reader's language."""
        shown = ", ".join(f"«{name}» ({format_number(count)})" for name, count in self.labels[:5])
        text = ngettext(
            "{n} etiqueta tiene menos de {limit} ejemplos para aprender: {shown}.",
            "{n} etiquetas tienen menos de {limit} ejemplos para aprender: {shown}.",
            len(self.labels),
        )
        return (
            text.format(n=len(self.labels), limit=FEW, shown=shown)
            + " "
            + _("Lo que el modelo haga con tan pocos depende mucho del azar; añade ejemplos o une etiquetas.")
        )


@dataclass(frozen=True, slots=True)
class Untested:
    """Classes that the test part has no example of.

    Attributes:
        labels: their names.
    """

    labels: tuple[str, ...]

    @property
    def message(self) -> str:
        """What was found and why it matters, in the reader's language."""
        return _("La prueba no tiene ejemplos de {labels}: no se sabrá si el modelo lo aprendió.").format(
            labels=", ".join(f"«{name}»" for name in self.labels[:5]) + (" …" if len(self.labels) > 5 else "")
        )


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Texts that occur more than once in the training part, with one and the same label.

    Attributes:
        count: examples beyond the first of each.
        total: training examples.
        text: one of them.
    """

    count: int
    total: int
    text: str

    @property
    def message(self) -> str:
        """What was found and why it matters, in the reader's language."""
        text = ngettext(
            "{n} de {total} ejemplos repite otro, salvo mayúsculas y puntuación: «{text}».",
            "{n} de {total} ejemplos repiten otro, salvo mayúsculas y puntuación; por ejemplo: «{text}».",
            self.count,
        ).format(n=format_number(self.count), total=format_number(self.total), text=shortened(self.text))
        return text + " " + _("No estorban, pero pesan más que los demás.")


@dataclass(frozen=True, slots=True)
class Contradictions:
    """Texts that occur with different labels.

    Attributes:
        count: different texts to which it happens, over both parts.
        text: one of them.
        labels: the labels that it has; empty for entities and questions.
    """

    count: int
    text: str
    labels: tuple[str, ...]

    @property
    def message(self) -> str:
        """What was found and why it matters, in the reader's language."""
        text = ngettext(
            "{n} texto aparece con etiquetas distintas: «{text}»",
            "{n} textos aparecen con etiquetas distintas; por ejemplo: «{text}»",
            self.count,
        ).format(n=format_number(self.count), text=shortened(self.text))
        labels = f" ({', '.join(self.labels)})" if self.labels else ""
        return f"{text}{labels}. " + _("Ningún modelo puede acertar las dos: corrige la que sobra.")


@dataclass(frozen=True, slots=True)
class Leak:
    """Test examples whose text is in the training part, too.

    Attributes:
        count: how many.
        total: test examples.
        text: one of them.
    """

    count: int
    total: int
    text: str

    @property
    def message(self) -> str:
        """What was found and why it matters, in the reader's language."""
        return (
            ngettext(
                "Fuga de datos (data leakage): {n} de {total} ejemplos de prueba está también entre los de aprender: "
                "«{text}».",
                "Fuga de datos (data leakage): {n} de {total} ejemplos de prueba están también entre los de aprender; "
                "por ejemplo: «{text}».",
                self.count,
            ).format(n=format_number(self.count), total=format_number(self.total), text=shortened(self.text))
            + " "
            + _("El resultado saldrá mejor de lo que es: quítalos de uno de los dos lados.")
        )


DataWarning = Imbalance | FewExamples | Untested | Duplicates | Contradictions | Leak


def shortened(text: str, most: int = 80) -> str:
    """A text for the inside of a message."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _balance(data: DataSet, counts: Mapping[str, tuple[int, int]]) -> list[DataWarning]:
    found: list[DataWarning] = []
    if data.task == "questions":
        return found
    train = {name: count for name, (count, _test) in counts.items()}
    largest, smallest = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
    if train[largest] >= IMBALANCE[data.task] * max(1, train[smallest]):
        baseline = counts[largest][1] / max(1, len(data.test)) if data.task == "classification" else None
        found.append(Imbalance(largest, train[largest], smallest, train[smallest], baseline))
    few = sorted(((name, count) for name, count in train.items() if count < FEW), key=lambda pair: pair[1])
    if few:
        found.append(FewExamples(tuple(few)))
    untested = tuple(name for name, (_train, test) in counts.items() if not test)
    if untested:
        found.append(Untested(untested))
    return found


def _label_of(data: DataSet, example: Example) -> object:
    if isinstance(example, Labelled):
        return data.labels[example.label]
    return example.tags if isinstance(example, Tagged) else frozenset(text for _start, text in example.answers)


def _copies(data: DataSet) -> list[DataWarning]:
    found: list[DataWarning] = []
    train: dict[str, list[Example]] = defaultdict(list)
    for example in data.train:
        train[copy_key(example)].append(example)
    everywhere: dict[str, list[Example]] = defaultdict(list, {key: [*own] for key, own in train.items()})
    leaked: list[Example] = []
    for example in data.test:
        key = copy_key(example)
        everywhere[key].append(example)
        if key in train:
            leaked.append(example)
    repeated = [own for own in train.values() if len(own) > 1]
    same = [own for own in repeated if len({_label_of(data, example) for example in own}) == 1]
    if same:
        count = sum(len(own) - 1 for own in same)
        found.append(Duplicates(count, len(data.train), example_text(same[0][0])))
    contrary = [own for own in everywhere.values() if len({_label_of(data, example) for example in own}) > 1]
    if contrary:
        first = contrary[0]
        labels = (
            tuple(dict.fromkeys(data.labels[example.label] for example in first if isinstance(example, Labelled)))
            if data.task == "classification"
            else ()
        )
        found.append(Contradictions(len(contrary), example_text(first[0]), labels))
    if leaked:
        found.append(Leak(len(leaked), len(data.test), example_text(leaked[0])))
    return found


def warnings(data: DataSet) -> tuple[DataWarning, ...]:
    """What is worth knowing before a run on this set begins; empty where nothing is."""
    return (*_balance(data, count_labels(data)), *_copies(data))
