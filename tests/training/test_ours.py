"""Our own sets: how many, how varied, nothing twice, every mark and every answer in place."""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from core.settings import Settings
from core.training import ours, slots
from core.training.data import TASKS, Labelled, copy_key, count_labels, normalized, spans, warnings
from core.training.ours import LANGUAGES, our_data, questions, utterances
from core.training.snips import is_here, read_folder, snips_folder

INTENTS = {
    "play_music",
    "book_restaurant",
    "get_weather",
    "add_to_playlist",
    "rate_book",
    "search_work",
    "search_screening",
}


def grams(text: str) -> set[str]:
    """Runs of four characters of the normalized text."""
    line = normalized(text)
    return {line[place : place + 4] for place in range(len(line) - 3)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_at_least_sixty_different_utterances_an_intent(language: str) -> None:
    counts = Counter(item.intent for item in utterances(language))
    assert set(counts) == INTENTS
    assert min(counts.values()) >= 60
    assert len({normalized(item.text) for item in utterances(language)}) == len(utterances(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_utterances_are_nearly_the_same(language: str) -> None:
    """Of the four-character runs of two utterances, at most 40 % are common."""
    texts = [item.text for item in utterances(language)]
    sets = [grams(text) for text in texts]
    for (text, own), (other, theirs) in combinations(zip(texts, sets, strict=True), 2):
        assert len(own & theirs) <= 0.4 * len(own | theirs), (text, other)


@pytest.mark.parametrize("language", LANGUAGES)
def test_runs_of_four_words_are_rarely_shared(language: str) -> None:
    runs: Counter[str] = Counter()
    for item in utterances(language):
        words = normalized(item.text).split()
        runs.update({" ".join(words[place : place + 4]) for place in range(len(words) - 3)})
    repeated = sum(count - 1 for count in runs.values() if count > 1)
    assert repeated <= 0.03 * sum(runs.values()), runs.most_common(12)
    assert max(runs.values()) <= 3, runs.most_common(12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_utterances_are_varied(language: str) -> None:
    said = utterances(language)
    starts = Counter(normalized(item.text).split()[0] for item in said)
    assert starts.most_common(1)[0][1] <= 0.1 * len(said)
    lengths = [len(item.text.split()) for item in said]
    assert min(lengths) <= 3 and max(lengths) >= 14
    asked = sum("?" in item.text for item in said)
    assert 0.15 * len(said) <= asked <= 0.5 * len(said)
    assert sum(not item.slots for item in said) >= 8


def test_spanish_speaks_to_people_in_their_several_ways() -> None:
    text = "\n".join(item.text for item in utterances("es")).lower()
    for ways in (
        r"\b(pon|ponme|añade|dime|búscame)\b",  # tuteo
        r"\b(poné|ponele|agregá|reservame|fijate|decime|buscá)\b",  # voseo
        r"\b(ponga|reserve|dígame|muéstreme|incluya|usted)\b",  # usted
        r"\b(che|rola|parce|ahorita|nomás|ándale|porfa|finde)\b",
    ):
        assert len(set(re.findall(ways, text))) >= 4, ways
    assert len(re.findall(r"[áéíóúñü]", text)) > 400


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mark_is_words_and_tags(language: str) -> None:
    for item in utterances(language):
        tagged = slots.tag(item.text, item.slots)
        found = [(kind, tagged.words[first:last]) for kind, first, last in spans(tagged.tags)]
        wanted = [(slot.name, item.text[slot.start : slot.end]) for slot in item.slots]
        assert [kind for kind, _words in found] == [name for name, _text in wanted], item
        for (_kind, words), (_name, text) in zip(found, wanted, strict=True):
            assert "".join(words) == re.sub(r"\s", "", text), item
        assert not re.search(r"[\[\]]|\s\s|^\s|\s$", item.text), item


def test_the_two_languages_have_the_same_intents_and_slots_and_names_for_them() -> None:
    kinds = [{slot.name for item in utterances(language) for slot in item.slots} for language in LANGUAGES]
    assert kinds[0] == kinds[1]
    for name in kinds[0] | INTENTS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert set(ours._names()[name]) == set(LANGUAGES)
    assert set(ours._names()) == kinds[0] | INTENTS
    assert ours.display_name("rate_book", "es") == "puntuar un libro"
    assert ours.display_name("what_else", "es") == "what_else"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slot_occurs_often_enough_to_be_learnt(language: str) -> None:
    counts = Counter(slot.name for item in utterances(language) for slot in item.slots)
    assert min(counts.values()) >= 6, counts.most_common()[-6:]


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_with_questions(language: str) -> None:
    asked = questions(language)
    by_text = Counter(item.context for item in asked)
    assert len(by_text) >= 12 and min(by_text.values()) >= 5
    unanswered = [item for item in asked if not item.answers]
    assert {item.context for item in unanswered} == set(by_text)
    assert len({copy_key(item) for item in asked}) == len(asked)
    for item in asked:
        assert item.question.endswith("?")
        assert item.question.startswith("¿") == (language == "es")
        for start, text in item.answers:
            assert item.context[start : start + len(text)] == text
        if item.answers:
            # Nobody could tell which of several places was meant.
            assert item.context.count(item.answers[0][1]) == 1, item.question


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", TASKS)
def test_a_set_is_ready_to_be_learnt_from(task, language: str) -> None:
    data = our_data(task, language)
    assert (data.task, data.language, data.licence) == (task, language, "CC0-1.0")
    assert our_data(task, language) == data
    assert 0.2 <= len(data.test) / (len(data.train) + len(data.test)) <= 0.3
    for name, (train, test) in count_labels(data).items():
        assert train and test, name
    assert not [found for found in warnings(data) if type(found).__name__ in {"Duplicates", "Contradictions", "Leak"}]
    if task == "classification":
        assert not warnings(data)
        assert {data.labels[item.label] for item in data.train if isinstance(item, Labelled)} == INTENTS


def test_no_utterance_is_one_of_snips(shared_dir: Path) -> None:
    settings = Settings(data_dir=shared_dir / "data")
    if not is_here(settings):
        pytest.skip("../shared has no SNIPS")
    theirs = {normalized(row.text) for part in read_folder(snips_folder(settings)) for row in part}
    assert not {normalized(item.text) for item in utterances("en")} & theirs


def test_runs_of_characters() -> None:
    assert grams("Pon, ya") == {"pon ", "on y", "n ya"}
