"""Data sets for fine-tuning: splits that keep copies together, counts, and warnings with their numbers."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.i18n import set_language
from core.training.data import (
    ANSWERED,
    UNANSWERED,
    Contradictions,
    DataSet,
    Duplicates,
    FewExamples,
    Imbalance,
    Labelled,
    Leak,
    Question,
    Tagged,
    Untested,
    count_labels,
    data_set,
    group_key,
    normalized,
    sample,
    spans,
    split,
    tag_list,
    warnings,
)


def classes(train, test, labels=("a", "b")) -> DataSet:
    return DataSet("classification", "x", "es", "x", "CC0-1.0", tuple(train), tuple(test), labels)


@pytest.fixture
def balanced() -> DataSet:
    train = [Labelled(f"texto {word} {n}", n % 2) for word in ("uno", "dos") for n in range(20)]
    test = [Labelled(f"prueba {n}", n % 2) for n in range(8)]
    return classes(train, test)


# --- split ------------------------------------------------------------------------------------------------

TEXTS = st.lists(
    st.tuples(
        st.sampled_from("abcdefghijklmnopqrst"), st.sampled_from(["", "!", " "]), st.booleans(), st.integers(0, 2)
    ),
    max_size=60,
)


@given(TEXTS, st.integers(0, 5), st.sampled_from([0.1, 0.2, 0.5]))
@settings(max_examples=80, deadline=None)
def test_a_split_loses_nothing_and_never_parts_copies(rows, seed, share) -> None:
    examples = [Labelled((word.upper() if loud else word) + end, label) for word, end, loud, label in rows]
    train, test = split(examples, share=share, seed=seed)
    assert sorted(map(repr, train + test)) == sorted(map(repr, examples))
    assert not {group_key(e) for e in train} & {group_key(e) for e in test}
    assert split(examples, share=share, seed=seed) == (train, test)
    if examples:
        assert train


def test_each_class_keeps_its_share() -> None:
    examples = [Labelled(f"a {n}", 0) for n in range(100)] + [Labelled(f"b {n}", 1) for n in range(10)]
    train, test = split(examples, share=0.2, seed=3)
    assert [sum(e.label == label for e in test) for label in (0, 1)] == [20, 2]
    assert [sum(e.label == label for e in train) for label in (0, 1)] == [80, 8]
    assert test != split(examples, share=0.2, seed=4)[1]


def test_a_class_with_two_texts_is_on_both_sides_and_one_with_a_single_text_is_learnt() -> None:
    examples = [Labelled(f"a {n}", 0) for n in range(10)] + [Labelled("b 1", 1), Labelled("b 2", 1), Labelled("c", 2)]
    train, test = split(examples, share=0.1)
    assert {e.label for e in train} == {0, 1, 2}
    assert {e.label for e in test} == {0, 1}


def test_questions_on_one_context_stay_together() -> None:
    examples = [
        Question(f"q {c} {n}", f"context {c}", ((0, "context"),) if n else ()) for c in range(10) for n in range(4)
    ]
    train, test = split(examples, share=0.3)
    assert len({e.context for e in test}) == 3
    assert not {e.context for e in train} & {e.context for e in test}


def test_sentences_are_spread_by_their_rarest_kind() -> None:
    common = [Tagged(("va", f"Ana{n}"), ("O", "B-PER")) for n in range(40)]
    rare = [Tagged(("Ana", "a", f"Lima{n}"), ("B-PER", "O", "B-LOC")) for n in range(5)]
    test = split(common + rare, share=0.2)[1]
    assert sum("B-LOC" in e.tags for e in test) == 1
    assert len(test) == 9


def test_a_sample_keeps_the_shares_of_the_classes() -> None:
    train = [Labelled(f"a {n}", 0) for n in range(90)] + [Labelled(f"b {n}", 1) for n in range(10)]
    data = classes(train, [Labelled("c", 0)])
    few = sample(data, 20, seed=1)
    assert [sum(e.label == label for e in few.train) for label in (0, 1)] == [18, 2]
    assert few.test == data.test and set(few.train) < set(train)
    assert sample(data, 20, seed=1) == few != sample(data, 20, seed=2)
    assert sample(data, 100) is data


# --- texts and tags ---------------------------------------------------------------------------------------


def test_copies_are_recognized_whatever_their_case_and_punctuation() -> None:
    assert normalized("¡Pon  MÚSICA, ya!") == normalized("pon música ya") == "pon música ya"
    assert normalized("un an\u0303o") == normalized("un año") != normalized("un ano")


def test_spans_of_tags() -> None:
    assert spans(("B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-PER")) == (
        ("PER", 0, 2),
        ("LOC", 3, 4),
        ("LOC", 4, 5),
        ("PER", 5, 6),
    )
    assert tag_list(["PER", "LOC"]) == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


# --- counts and warnings ----------------------------------------------------------------------------------


def test_counts_of_the_three_tasks(balanced: DataSet) -> None:
    assert count_labels(balanced) == {"a": (20, 4), "b": (20, 4)}
    sentence = Tagged(
        ("Ana", "Paz", "va", "a", "Lima", "y", "Quito"), ("B-PER", "I-PER", "O", "O", "B-LOC", "O", "B-LOC")
    )
    tagged = DataSet("entities", "x", "es", "x", "", (sentence,), (sentence, sentence), tag_list(["PER", "LOC"]))
    assert count_labels(tagged) == {"PER": (1, 2), "LOC": (2, 4)}
    asked = (Question("q", "c", ((0, "c"),)), Question("r", "c", ()))
    assert count_labels(DataSet("questions", "x", "es", "x", "", asked, asked[:1], ())) == {
        ANSWERED: (1, 1),
        UNANSWERED: (1, 0),
    }


def test_a_sound_set_has_no_warnings(balanced: DataSet) -> None:
    assert warnings(balanced) == ()


def test_imbalance_tells_the_baseline(balanced: DataSet) -> None:
    more = tuple(Labelled(f"más {n}", 0) for n in range(60))
    (found,) = warnings(replace(balanced, train=balanced.train + more, test=(*balanced.test, Labelled("otra", 0))))
    assert found == Imbalance("a", 80, "b", 20, 5 / 9)
    assert "55,6" in found.message


def test_few_examples_and_untested_classes(balanced: DataSet) -> None:
    train = (*balanced.train, *(Labelled(f"poco {n}", 2) for n in range(6)))
    found = warnings(replace(balanced, train=train, labels=("a", "b", "c")))
    assert FewExamples((("c", 6),)) in found
    assert Untested(("c",)) in found


def test_copies_contradictions_and_leaks(balanced: DataSet) -> None:
    first = balanced.train[0]
    train = (*balanced.train, Labelled(first.text.upper() + ".", first.label), Labelled(balanced.train[1].text, 0))
    found = warnings(replace(balanced, train=train, test=(*balanced.test, Labelled(first.text + "!", first.label))))
    assert Duplicates(1, 42, first.text) in found
    assert Contradictions(1, balanced.train[1].text, ("b", "a")) in found
    assert Leak(1, 9, first.text + "!") in found
    assert len(found) == 3


def test_a_leaked_context_alone_is_no_leak_of_a_question() -> None:
    train = (Question("¿Quién?", "Ana vino.", ((0, "Ana"),)),)
    test = (Question("¿Qué hizo?", "Ana vino.", ((4, "vino"),)), train[0])
    data = DataSet("questions", "x", "es", "x", "", train, test, ())
    assert warnings(data) == (Leak(1, 2, "¿Quién?"),)


@pytest.mark.parametrize("language", ["es", "en"])
def test_messages_hold_the_numbers_in_both_languages(language: str) -> None:
    set_language(language)
    try:
        said = [
            Imbalance("a", 800, "b", 20, 0.5).message,
            Imbalance("a", 800, "b", 20, None).message,
            FewExamples((("c", 6), ("d", 7))).message,
            Untested(("c", "d")).message,
            Duplicates(3, 42, "x" * 200).message,
            Contradictions(2, "hola", ("a", "b")).message,
            Leak(7, 9, "hola").message,
        ]
    finally:
        set_language("es")
    for text, number in zip(said, ("800", "20", "6", "«c»", "42", "(a, b)", "7"), strict=True):
        assert number in text
        assert "{" not in text
        assert len(text) < 330


# --- as JSON ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "example", "labels"),
    [
        ("classification", Labelled("hola", 1), ("a", "b")),
        ("entities", Tagged(("Ana", "va"), ("B-PER", "O")), tag_list(["PER"])),
        ("questions", Question("¿Quién?", "Ana vino.", ((0, "Ana"),), "Ana"), ()),
    ],
)
def test_a_set_survives_json(task, example, labels) -> None:
    data = DataSet(task, "nombre", "es", "hecho aquí", "CC0-1.0", (example,), (example,), labels)
    again = data_set(json.loads(json.dumps(data.to_dict())))
    assert again == data
    assert again.digest == data.digest != replace(data, name="otro").digest
