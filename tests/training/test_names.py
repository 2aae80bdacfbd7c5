"""Sentences with names for both languages: templates, and everyday sentences labelled by known names."""

import pytest

from core.training.data import Tagged, spans
from core.training.recipes import names
from core.training.recipes.entities import LABELS
from core.training.samples import entities


def tagged(*parts: tuple[str, str]) -> Tagged:
    words: list[str] = []
    tags: list[str] = []
    for text, kind in parts:
        own = text.split()
        words += own
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(own) - 1)] if kind else ["O"] * len(own)
    return Tagged(tuple(words), tuple(tags))


WIKI = [
    tagged(("Ana María López", "PER"), ("nació en", ""), ("Buenos Aires", "LOC")),
    tagged(("Ana Ruiz", "PER"), ("y", ""), ("Ana Torroja", "PER")),
    tagged(("Banco de España", "ORG")),
    tagged(("Lima", "LOC")),
    # Once a city and once a club: of neither kind.
    tagged(("Valencia", "LOC"), ("contra", ""), ("Valencia", "ORG")),
    tagged(("lugar raro 7", "LOC")),
]


def test_the_gazetteer_keeps_whole_names_of_one_kind() -> None:
    found = names.gazetteer(WIKI)
    assert set(found["PER"]) == {("Ana", "María", "López"), ("Ana", "Ruiz"), ("Ana", "Torroja")}
    assert set(found["LOC"]) == {("Buenos", "Aires"), ("Lima",)}
    assert found["ORG"] == [("Banco", "de", "España")]
    assert found["FIRST"] == [("Ana",)]
    assert len(found["MISC"]) > 100


@pytest.mark.parametrize("language", ["es", "en"])
def test_templates_are_filled_and_tagged(language: str) -> None:
    rows, lists = names.templates(language)
    known = names.gazetteer(WIKI, language)
    found = names.from_templates(known, 2 * len(rows), language=language)
    assert len(found) == 2 * len(rows) and found == names.from_templates(known, 2 * len(rows), language=language)
    slots = {"PER", "LOC", "ORG", "FIRST", "YEAR", "NUMBER", *lists}
    assert lists and slots >= {word for row in rows for word in row if word.isupper() and len(word) > 2} - {"XIV"}
    for sentence in found:
        assert len(sentence.words) == len(sentence.tags)
        assert set(sentence.tags) <= set(LABELS)
        assert not slots & set(sentence.words)
    assert all(len(set(own)) == len(own) for own in lists.values())


def test_a_name_may_hold_another() -> None:
    known = names.gazetteer(WIKI, "en")
    own = {"EVENT": [("YEAR", "LOC", "Open")], "ORG": [("Bank", "of", "LOC")]}
    found = names.from_templates(known | own | {"BODY": own["ORG"]}, 2000, language="en")
    held = {(kind, sentence.words[a:b]) for sentence in found for kind, a, b in spans(sentence.tags)}
    assert ("ORG", ("Bank", "of", "Lima")) in held
    opens = [words for kind, words in held if kind == "MISC" and words[-1] == "Open"]
    assert opens and all(words[0].isdigit() and words[1:-1] in {("Lima",), ("Buenos", "Aires")} for words in opens)


def test_english_words_come_as_in_wikigold() -> None:
    found = names.split_words("Dr. J. R. R. Ruiz's dog left the U.S. army, didn't it?")
    assert " ".join(found) == "Dr. J. R. R. Ruiz 's dog left the U.S. army , didn't it ?"


def test_english_sentences_have_peoples_and_plain_capitals() -> None:
    known = names.gazetteer(WIKI, "en") | {"FIRST": [("Tom",)]}
    sentences = ["On Monday I saw Tom with a French girl.", "he sat on it"] * 40
    found = names.in_sentences(sentences, known, bare_share=0.0, plain=names.PLAIN)
    assert {s.tags for s in found} == {("O", "O", "O", "O", "B-PER", "O", "O", "B-MISC", "O", "O")}
    assert {s.words[7] for s in found} > {"French"} and {s.words[1] for s in found} == {"Monday"}
    assert not names.in_sentences(sentences, known, bare_share=0.0)


def test_a_sentence_is_tagged_only_if_all_its_names_are_known() -> None:
    known = {("Buenos", "Aires"): "LOC", ("Lima",): "LOC", ("Ana",): "PER"}
    common = {"buenos", "mañana", "la"}
    right = names.labelled("Mañana Ana vuela de Lima a Buenos Aires.", known, common)
    assert right is not None
    assert right.tags == ("O", "B-PER", "O", "O", "B-LOC", "O", "B-LOC", "I-LOC", "O")
    assert names.labelled("La vi con Zoraida.", known, common) is None
    # A first word is a name where it is one and is never written small; unknown, nobody can tell.
    first = names.labelled("Ana duerme.", known, common)
    assert first is not None and first.tags == ("B-PER", "O", "O")
    assert names.labelled("Zoraida duerme.", known, common) is None
    usual = names.labelled("Buenos días.", known, common)
    assert usual is not None and set(usual.tags) == {"O"}


def test_everyday_sentences_keep_their_shape_when_names_are_exchanged() -> None:
    known = names.gazetteer(WIKI)
    sentences = [
        "Ayer vi a Ana en Lima por la tarde.",
        "El perro come mucho pan.",
        "y ayer el perro no comió nada",
    ] * 20
    found = names.in_sentences(sentences, known, bare_share=0.5)
    with_names = [s for s in found if set(s.tags) != {"O"}]
    assert len(with_names) == 20 and len(found) == 30
    assert {s.words[3] for s in with_names} == {"Ana"}
    assert {" ".join(s.words[5:-4]) for s in with_names} == {"Lima", "Buenos Aires"}


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_hand_written_test_is_none_of_the_templates(language: str) -> None:
    # Compared by what is around the names.
    bare = {tuple(w for w in row if not w.isupper()) for row in names.templates(language)[0]}
    for sentence in entities(language):
        around = tuple(word for word, tag in zip(sentence.words, sentence.tags, strict=True) if tag == "O")
        assert around not in bare or around == ("en", "y", "."), " ".join(sentence.words)
