"""The heads' recipes: what they read, that nothing measured is trained on, how they count, and that they learn."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from core.training.recipes import adapters, entities, questions, sentiment
from core.training.recipes.labelled import (
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    Labelled,
    Question,
    Tagged,
    iob2,
    opener,
    sst2_test,
    without_repeats,
)
from core.training.recipes.loop import Schedule, train


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return adapters.load_tokenizer("minilm")


def fit(head: str, labels: Sequence[str], batches: Any, losses: Any, out: Path, steps: int) -> Any:
    model = adapters.build("minilm", head, labels, rank=8)
    train(model, batches, losses, Schedule(steps=steps, learning_rate=2e-3, warmup=0.1), out, device="cpu")
    return model.eval()


# --- what may be learnt from ------------------------------------------------------------------------------


def test_no_sentence_that_is_measured_on_is_trained_on(shared_dir: Path) -> None:
    data = shared_dir / "data"
    found = sentiment.english_training(data)
    assert len(found) > 50_000
    texts = {" ".join(item.text.lower().split()) for item in found}
    held = {" ".join(item.text.lower().split()) for item in sst2_test(data) if len(item.text.split()) > 3}
    assert len(held) > 800 and not texts & held
    assert {item.label for item in found} == {NEGATIVE, NEUTRAL, POSITIVE}


def test_spanish_sentiment_measures_on_what_it_never_trains_on(shared_dir: Path) -> None:
    found = opener(shared_dir / "data", "es")
    assert len(found) > 1000
    assert {item.label for item in found} == {NEGATIVE, POSITIVE}


def test_entities_and_questions_hold_their_tests_apart(shared_dir: Path) -> None:
    data = shared_dir / "data"
    for language in ("en", "es"):
        trained = {" ".join(s.words) for s in entities.training(data, language)}
        for name, test in entities.tests(data, language).items():
            assert len(test) > 500, name
            assert not trained & {" ".join(s.words) for s in test if len(s.words) > 5}, name
        contexts = {q.context for q in questions.training(data, language)}
        for test in questions.tests(data, language).values():
            assert len(test) > 900
            assert not contexts & {q.context for q in test}
            assert all(q.context[start : start + len(text)] == text for q in test for start, text in q.answers)


def test_repetitions_and_held_out_texts_are_left_out() -> None:
    held = [Labelled("the acting was astounding from the first scene to the last", POSITIVE)]
    found = [
        Labelled("The acting was astounding, from the first scene to the last!", POSITIVE),
        Labelled("a dull film", NEGATIVE),
        Labelled("A dull film.", NEGATIVE),
        Labelled("something else", NEUTRAL),
    ]
    assert [item.text for item in without_repeats(found, held)] == ["a dull film", "something else"]


def test_classes_are_balanced() -> None:
    found = [Labelled(str(n), POSITIVE) for n in range(100)] + [Labelled(f"n{n}", NEGATIVE) for n in range(20)]
    counts = [item.label for item in sentiment.balanced(found)]
    assert counts.count(POSITIVE) == 30 and counts.count(NEGATIVE) == 20


# --- entities ---------------------------------------------------------------------------------------------


def test_iob1_becomes_iob2() -> None:
    assert iob2(["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-ORG"]) == (
        "B-PER",
        "I-PER",
        "O",
        "B-LOC",
        "B-LOC",
        "B-ORG",
    )
    assert iob2(["B-PER", "I-PER", "O"]) == ("B-PER", "I-PER", "O")


def test_entities_are_counted_as_conll_does() -> None:
    assert entities.entities(["B-PER", "I-PER", "O", "B-LOC", "B-LOC"]) == {("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 5)}
    # A kind that changes in the middle ends one entity and begins another.
    assert entities.entities(["B-PER", "I-LOC", "I-LOC"]) == {("PER", 0, 1), ("LOC", 1, 3)}
    assert entities.entities(["O", "I-ORG"]) == {("ORG", 1, 2)}


def test_labels_stand_on_first_pieces(tokenizer: Any) -> None:
    sentence = Tagged(("Tokenization", "in", "Guadalajara"), ("O", "O", "B-LOC"))
    (row,) = entities.rows([sentence], tokenizer)
    asked = [(tokenizer.convert_ids_to_tokens(i), label) for i, label in zip(row["ids"], row["labels"], strict=True)]
    assert [label for _piece, label in asked if label != entities.IGNORED] == [0, 0, entities.LABELS.index("B-LOC")]
    assert all(label == entities.IGNORED for piece, label in asked if piece.startswith(("##", "[")))


def test_of_wikianns_fragments_what_may_be_a_work_is_not_learnt() -> None:
    (found,) = entities.three_kinds(
        [
            Tagged(
                ("Ana", "leyó", "Hamlet", "en", "la", "Copa", "Davis", ",", "en", "abril"),
                ("B-PER", "O", "O", "O", "O", "B-ORG", "I-ORG", "O", "O", "B-LOC"),
            )
        ]
    )
    assert found.tags == ("B-PER", "O", "?", "O", "O", "B-MISC", "I-MISC", "O", "O", "?")


def test_the_english_sets_are_brought_to_one_scheme() -> None:
    peoples = entities.with_peoples(
        [Tagged(("French", "Ana", "met", "a", "Polish", "girl"), ("O", "B-PER", "O", "O", "?", "O"))]
    )
    assert peoples[0].tags == ("B-MISC", "B-PER", "O", "O", "B-MISC", "O")
    title = ("Springfield", ",", "New", "Jersey", "and", "Lee", ",", "Ang")
    (found,) = entities.one_place_each(
        [Tagged(title, ("B-LOC", "I-LOC", "I-LOC", "I-LOC", "O", "B-PER", "I-PER", "I-PER"))]
    )
    assert found.tags == ("B-LOC", "O", "B-LOC", "I-LOC", "O", "B-PER", "I-PER", "I-PER")


def test_some_sentences_lose_their_capitals_and_some_get_nothing_else() -> None:
    sentences = [Tagged(("Ana", "sings", str(number)), ("B-PER", "O", "O")) for number in range(2000)]
    found = entities.uncapitalized(sentences, share=0.1)
    first = [sentence.words[0] for sentence in found]
    assert 150 < first.count("ana") < 250 and 60 < first.count("ANA") < 140
    assert first.count("Ana") + first.count("ana") + first.count("ANA") == 2000
    assert [s.words[2] for s in found] == [s.words[2] for s in sentences] and {s.tags for s in found} == {
        ("B-PER", "O", "O")
    }
    assert found == entities.uncapitalized(sentences, share=0.1)


def test_of_a_word_that_may_be_anything_nothing_is_learnt(tokenizer: Any) -> None:
    (row,) = entities.rows([Tagged(("He", "saw", "Hamlet"), ("O", "O", entities.UNSURE))], tokenizer)
    assert [label for label in row["labels"] if label != entities.IGNORED] == [0, 0]


def test_a_teacher_is_believed_where_it_is_sure_and_does_not_contradict_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("Ana", "Ruiz", "vive", "en", "Lima", "con", "gatos", ",", "según", "Eva")
    tags = ("B-PER", "I-PER", "O", "O", "B-LOC", "O", "B-ORG", "O", "O", "O")
    sure = (0.99, 0.9, 0.9, 0.99, 0.5, 0.6, 0.9, 1.0, 1.0, 0.95)
    guesses = [list(zip(tags, sure, strict=True))]
    monkeypatch.setattr(entities, "chances", lambda *_given: guesses)
    nothing_known: list[bool | None] = [None] * len(words)
    (found,) = entities.taught(None, None, [(words, tuple(nothing_known))], "cpu")
    # Unsure: a place it half believes, a word it half believes to be none. A name without a capital is none.
    assert found.tags == ("B-PER", "I-PER", "O", "O", "?", "?", "O", "O", "O", "O")
    proper = [False, False, *nothing_known[2:-1], True]
    (known,) = entities.taught(None, None, [(words, tuple(proper))], "cpu")
    assert known.tags[:2] == ("?", "?") and known.tags[-1] == "?"


def test_unlabelled_sentences_come_in_words(shared_dir: Path) -> None:
    found = entities.unlabelled(shared_dir / "data", "es")
    assert len(found) > 5_000
    assert all(len(words) == len(proper) for words, proper in found)
    (treebank,) = (own for own in found if " ".join(own[0]).startswith("De allí procedía la familia del escritor"))
    named = [word for word, proper in zip(*treebank, strict=True) if proper]
    assert named == ["Blas", "Pajarero", "Plaza", "San", "Pedro"]
    english = [words for words, _proper in entities.unlabelled(shared_dir / "data", "en")]
    assert len(english) > 15_000 and not any("-LRB-" in words for words in english)
    # Initials end no sentence.
    assert not any(re.fullmatch(r"[A-Z]\.", words[-1]) and len(words) < 8 for words in english)


def test_names_that_a_teacher_saw_in_sentences_take_the_place_of_titles(shared_dir: Path) -> None:
    seen = Tagged(("Then", "Zyxwvut", "Quarries", "closed"), ("O", "B-ORG", "I-ORG", "O"))
    found = entities.training(shared_dir / "data", "en", [seen])
    assert [s for s in found if " ".join(s.words).lower() == "then zyxwvut quarries closed"]
    tagged = {s.words[a:b] for s in found for kind, a, b in entities.spans(s.tags) if kind == "ORG"}
    assert ("Zyxwvut", "Quarries") in tagged
    made = [s for s in found if s.words[:3] == ("Zyxwvut", "Quarries", "announced")]
    assert made and all(s.tags[:2] == ("B-ORG", "I-ORG") for s in made)


def test_entities_are_learnt(tokenizer: Any, tmp_path: Path) -> None:
    names = ["Ana", "Bob", "Eva", "Tom"]
    places = ["Lima", "Oslo", "Rome", "Cork"]
    made = [Tagged((n, "lives", "in", p, "."), ("B-PER", "O", "O", "B-LOC", "O")) for n in names for p in places]
    batches = adapters.Shuffled(entities.rows(made, tokenizer), 8, entities.collate)
    model = fit("TokenClassification", entities.LABELS, batches, entities.losses, tmp_path, 40)
    assert entities.f1(model, tokenizer, made, "cpu")["f1"] > 0.9
    wrong = [Tagged(s.words, ("B-LOC", "O", "O", "B-PER", "O")) for s in made]
    assert entities.f1(model, tokenizer, wrong, "cpu")["f1"] < 0.1


# --- questions --------------------------------------------------------------------------------------------


def test_no_english_original_of_a_spanish_test_is_learnt_from(shared_dir: Path) -> None:
    data = shared_dir / "data"
    asked = questions.training(data, "es")
    held = {q.group for test in questions.tests(data, "es").values() for q in test}
    english = {q.group for q in questions.squad_english(data)}
    originals = questions.originals(data)
    assert held <= set(originals) and {originals[title] for title in held} <= english
    learnt = {q.group for q in asked}
    assert learnt & english and not learnt & {originals[title] for title in held}


def test_a_tokenizer_that_knows_no_segments_says_nothing_of_them() -> None:
    tokenizer = adapters.load_tokenizer("mini-e5")
    question = Question("¿Dónde vive Ana?", "Ana vive en Lima con su perro.", ((12, "Lima"),))
    (row,) = questions.rows([question], tokenizer)
    assert set(row["segments"]) == {0} and len(row["segments"]) == len(row["ids"])
    begin, end = row["offsets"][row["first"]][0], row["offsets"][row["last"]][1]
    assert question.context[begin:end].strip() == "Lima"


def test_windows_of_long_texts_hold_the_answer(tokenizer: Any) -> None:
    context = "filler words here. " * 120 + "The treasure lies in Cartagena. " + "more filler words. " * 120
    question = Question("Where is the treasure?", context, ((context.index("Cartagena"), "Cartagena"),))
    (row,) = questions.rows([question], tokenizer)
    text = context[row["offsets"][row["first"]][0] : row["offsets"][row["last"]][1]]
    assert text == "Cartagena"
    assert row["from"] < row["first"] <= row["last"] < row["to"] <= questions.LONGEST
    assert len(questions.rows([question], tokenizer, every=True)) > 3


def test_a_question_without_an_answer_stands_beside_another_paragraph_of_its_article() -> None:
    made = [
        Question("Who?", "Ana sang.", ((0, "Ana"),), "music"),
        Question("When?", "In May Ana slept.", ((3, "May"),), "music"),
        Question("Where?", "Alone here.", ((6, "here"),), "single"),
    ]
    found = questions.mismatched(made, 1.0)
    # "Ana" stands in both paragraphs, and the second article has but one.
    assert {(q.question, q.context) for q in found} <= {("When?", "Ana sang.")}
    assert any(questions.mismatched(made, 1.0, seed=seed) for seed in range(8))
    assert all(q.answers == () for q in found) and questions.mismatched(made, 0.0) == []


def test_answers_are_learnt_and_found_in_any_window(tokenizer: Any, tmp_path: Path) -> None:
    made = []
    for name in ("Ana", "Bob", "Eva", "Tom"):
        for place in ("Lima", "Oslo", "Rome", "Cork"):
            context = f"The weather is fine today. {name} lives in {place} with a cat. Trains are late."
            made.append(Question(f"Where does {name} live?", context, ((context.index(place), place),)))
    elsewhere = [Question(q.question, "It rains in the hills. The shops are shut.", ()) for q in made]
    batches = adapters.Shuffled(questions.rows([*made, *elsewhere], tokenizer), 8, questions.collate)
    model = fit("QuestionAnswering", (), batches, questions.losses, tmp_path, 60)
    found = questions.score(model, tokenizer, made, "cpu")
    assert found["exact"] > 0.8 and found["answered"] > 0.8
    assert all(guess.refused for guess in questions.answer(model, tokenizer, elsewhere, "cpu"))
    far = Question("Where does Ana live?", "Nothing happens. " * 150 + "Ana lives in Lima with a cat.", ((0, "x"),))
    assert questions.answer(model, tokenizer, [far], "cpu")[0].text == "Lima"


# --- sentiment --------------------------------------------------------------------------------------------


def test_sentiment_is_learnt_and_counted(tokenizer: Any, tmp_path: Path) -> None:
    good, bad, flat = ["wonderful", "lovely", "superb"], ["awful", "dreadful", "poor"], ["monday", "grey", "square"]
    items = [
        Labelled(f"the film was {word} {n}", label)
        for label, words in ((POSITIVE, good), (NEGATIVE, bad), (NEUTRAL, flat))
        for word in words
        for n in range(6)
    ]
    batches = adapters.Shuffled(sentiment.rows(items, tokenizer), 9, adapters.collate_text)
    model = fit("SequenceClassification", sentiment.LABELS, batches, sentiment.losses, tmp_path, 40)
    assert sentiment.accuracy(model, tokenizer, items, "cpu", two_way=False) == {"accuracy": 1.0, "n": len(items)}
    chances = sentiment.predict(model, tokenizer, ["the film was superb 9", "the film was awful 9"], "cpu")
    assert torch.allclose(chances.sum(-1), torch.ones(2), atol=1e-3)
    assert chances[0].argmax() == POSITIVE and chances[1].argmax() == NEGATIVE
