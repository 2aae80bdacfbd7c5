"""Each example's sentence is checked here against the real tokenizers, number by number."""

import re
from collections.abc import Callable

import pytest
from tokenizers import Tokenizer

from core.course import examples as module
from core.course.examples import Example, example, examples
from core.runtime.tokenizer import TokenizerBundle

ALL = examples()
IDS = [e.id for e in ALL]
TOKENIZERS = {
    "bert-uncased",
    "bert-cased",
    "beto-cased",
    "beto-uncased",
    "wordpiece-es",
    "mbert",
    "bertin",
    "xlm-r",
    "gpt2",
    "qwen3",
}
#: Those this test can run; a sentence may speak of no other.
CHECKED = {"bert-uncased", "bert-cased", "beto-cased", "beto-uncased", "mbert", "gpt2"}
FAMILY = "👨‍👩‍👧‍👦"

Pieces = Callable[[str, str], list[str]]


@pytest.fixture(scope="module")
def pieces(request: pytest.FixtureRequest) -> Pieces:
    """``pieces(key, text)``: the tokens of ``text`` without the special ones the tokenizer adds."""
    loaded: dict[str, Tokenizer] = {}

    def cut(key: str, text: str) -> list[str]:
        if key not in loaded:
            bundle: TokenizerBundle = request.getfixturevalue(key.replace("-", "_"))
            # A copy: what is switched off here stays on in the bundle that other tests share.
            loaded[key] = Tokenizer.from_str(bundle.backend.to_str())
            loaded[key].no_truncation()
            loaded[key].no_padding()
        return list(loaded[key].encode(text, add_special_tokens=False).tokens)

    return cut


def both(id: str) -> tuple[str, ...]:
    """The texts an example loads, one a language, without repeats."""
    return tuple(dict.fromkeys((example(id).text("es"), example(id).text("en"))))


# --- The form of the data ---------------------------------------------------------------------------


def test_there_are_enough_and_every_section_has_one() -> None:
    assert len(ALL) >= 14
    assert {e.section for e in ALL} == module.SECTIONS["tokenization"]
    assert examples("attention") == ()


def test_lookup() -> None:
    found = example("enye-lost")
    assert found.title("es") == "La ñ desaparece"
    assert found.title("en") == "The ñ disappears"
    assert found.text("en") == found.text("es") == found.text_es
    assert example("emoji").text("en").startswith("My family")
    assert "«año»" in found.teaches("es") and "“año”" in found.teaches("en")
    assert example("small-corpus").text("es").startswith("El taller")
    with pytest.raises(KeyError):
        example("no-such-example")


def test_ids_and_titles_are_unique() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", i) for i in IDS)
    for language in ("es", "en"):
        assert len({e.title(language) for e in ALL}) == len(ALL)


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_fields(item: Example) -> None:
    assert item.section in module.SECTIONS[item.page]
    assert len(item.tokenizers) >= 2
    assert len(set(item.tokenizers)) == len(item.tokenizers)
    assert set(item.tokenizers) <= TOKENIZERS
    assert "bert-uncased" in item.tokenizers, "one that ships, so the example works unplugged"
    assert item.teaches_es != item.teaches_en
    for language in ("es", "en"):
        title, teaches, text = item.title(language), item.teaches(language), item.text(language)
        assert 5 <= len(title) <= 45
        assert 60 <= len(teaches) <= 200
        assert teaches.endswith(".") and not re.search(r"\.\s", teaches), "one sentence"
        assert 3 <= len(text) <= 2000
        assert text == text.strip()
        assert item.word is None or item.word in text
    assert "“" not in item.teaches_es and "«" not in item.teaches_en
    assert not re.search(r"\bsentencias?\b|\bbillones\b", item.teaches_es)
    assert (item.source is None) == (item.url is None)
    assert item.url is None or item.url.startswith("https://")
    assert item.section != "steps" or item.word is not None


@pytest.mark.parametrize("item", ALL, ids=IDS)
def test_sentences_name_only_tokenizers_on_screen_that_were_checked(item: Example) -> None:
    named = {
        "BERT": "bert-",
        "BETO": "beto-",
        "BETO uncased": "beto-uncased",
        "BETO cased": "beto-cased",
        "GPT-2": "gpt2",
    }
    shown = CHECKED.intersection(item.tokenizers)
    for language in ("es", "en"):
        for name, prefix in named.items():
            if name in item.teaches(language):
                assert any(key.startswith(prefix) for key in shown)
        assert not re.search(r"XLM|Qwen|BERTIN", item.teaches(language))


# --- What the sentences say -------------------------------------------------------------------------

CLAIMS = [
    ("spanish-shattered", "bert-uncased", "investigadores", "invest ##iga ##dor ##es"),
    ("spanish-shattered", "beto-cased", "investigadores", "investigadores"),
    ("enye-lost", "bert-uncased", "año", "an ##o"),
    ("enye-lost", "bert-uncased", "peña", "pena"),
    ("enye-lost", "bert-uncased", "uña", "una"),
    ("accents-carry-meaning", "bert-uncased", "hacía", "ha ##cia"),
    ("uncased-is-not-accentless", "beto-uncased", "habitación", "habitación"),
    ("uncased-is-not-accentless", "bert-uncased", "habitación", "habit ##acion"),
    ("long-derivations", "beto-cased", "internacionalización", "internacional ##ización"),
    ("long-derivations", "bert-uncased", "internacionalización", "internacional ##iza ##cion"),
    ("verbs-with-clitics", "beto-cased", "dígamelo", "dígame ##lo"),
    ("verbs-with-clitics", "bert-uncased", "dígamelo", "dig ##ame ##lo"),
    ("voseo", "beto-cased", "sabes", "sabes"),
    ("voseo", "beto-cased", "quieres", "quieres"),
    ("voseo", "beto-cased", "sabés", "sab ##és"),
    ("voseo", "beto-cased", "querés", "quer ##és"),
    ("names-and-places", "bert-uncased", "Madrid", "madrid"),
    ("names-and-places", "beto-cased", "Madrid", "Madrid"),
    ("names-and-places", "bert-uncased", "Xochimilco", "x ##och ##imi ##lco"),
    ("names-and-places", "bert-uncased", "Ñuñoa", "nun ##oa"),
    ("names-and-places", "beto-cased", "Xochimilco", "X ##och ##imi ##l ##co"),
    ("names-and-places", "beto-cased", "Ñuñoa", "Ñ ##u ##ño ##a"),
    ("missing-letter", "beto-cased", "pingüino", "[UNK]"),
    ("missing-letter", "bert-uncased", "pingüino", "ping ##uin ##o"),
    ("numbers-and-dates", "bert-uncased", "1999", "1999"),
    ("numbers-and-dates", "beto-cased", "1999", "1999"),
    ("numbers-and-dates", "bert-uncased", "2025", "202 ##5"),
    ("numbers-and-dates", "beto-cased", "2025", "202 ##5"),
    ("code", "bert-uncased", "contar_palabras", "con ##tar _ pal ##ab ##ras"),
    ("code", "beto-cased", "contar_palabras", "contar [UNK] palabras"),
    ("diminutives", "beto-cased", "perrito", "perrito"),
    ("diminutives", "beto-cased", "cafecito", "cafe ##cito"),
    ("other-scripts", "beto-cased", "بيت", "[UNK]"),
    ("other-scripts", "beto-cased", "בית", "[UNK]"),
    ("other-scripts", "mbert", "بيت", "بيت"),
    ("other-scripts", "mbert", "בית", "בית"),
    ("social-media", "beto-cased", "#", "[UNK]"),
    ("social-media", "beto-cased", "@", "[UNK]"),
    ("social-media", "beto-cased", "FelizLunes", "Feliz ##L ##unes"),
    ("social-media", "bert-uncased", "FelizLunes", "fe ##li ##z ##lun ##es"),
    ("upper-and-lower-case", "beto-cased", "España", "España"),
    ("upper-and-lower-case", "beto-cased", "ESPAÑA", "ESPA ##Ñ ##A"),
    ("upper-and-lower-case", "beto-cased", "españa", "españ ##a"),
    ("greedy-not-grammar", "bert-uncased", "unaffable", "una ##ffa ##ble"),
    ("quixote", "beto-cased", "hidalgo", "hi ##dal ##go"),
    ("quixote", "beto-cased", "adarga", "ad ##ar ##ga"),
]


@pytest.mark.parametrize(("id", "key", "word", "expected"), CLAIMS)
def test_a_word_is_cut_as_the_sentence_says(pieces: Pieces, id: str, key: str, word: str, expected: str) -> None:
    assert key in example(id).tokenizers
    assert word in example(id).text_es
    assert pieces(key, word) == expected.split()
    # In its sentence too, where the first letter may be a capital one.
    assert f" {expected} " in " ".join(["", *pieces(key, example(id).text_es), ""])


def test_enye_and_accents_collide_in_bert_and_not_in_beto(pieces: Pieces) -> None:
    for id, pairs in {
        "enye-lost": [("año", "ano"), ("peña", "pena"), ("uña", "una")],
        "accents-carry-meaning": [("hacía", "hacia"), ("él", "el"), ("té", "te")],
    }.items():
        words = re.findall(r"\w+", example(id).text_es.lower())
        for marked, plain in pairs:
            assert marked in words
            assert plain in words or plain == "ano", "the user's own text holds the collision"
            assert pieces("bert-uncased", marked) == pieces("bert-uncased", plain)
            assert pieces("beto-cased", marked) != pieces("beto-cased", plain)
    assert "el" in re.findall(r"\w+", example("accents-carry-meaning").text_es)


def test_beto_uncased_lower_cases_and_keeps_accents(pieces: Pieces) -> None:
    assert pieces("beto-uncased", "HABITACIÓN") == ["habitación"]
    assert pieces("beto-uncased", "hacía") != pieces("beto-uncased", "hacia")
    assert pieces("bert-uncased", "hacía") == pieces("bert-uncased", "hacia")


def test_long_word_needs_several_pieces_in_both(pieces: Pieces) -> None:
    for key in ("bert-uncased", "beto-cased"):
        assert len(pieces(key, "electroencefalografista")) >= 5


def test_the_letter_beto_lacks(pieces: Pieces) -> None:
    assert pieces("beto-cased", "ü") == ["[UNK]"]
    assert pieces("beto-cased", example("missing-letter").text_es).count("[UNK]") == 4
    assert "[UNK]" not in pieces("bert-uncased", example("missing-letter").text_es)


def test_two_forms_of_enye(pieces: Pieces) -> None:
    composed, decomposed = example("two-ways-to-write-enye").text_es.split()
    assert (len(composed), len(decomposed)) == (3, 4)
    assert pieces("beto-cased", composed) == ["año"]
    assert pieces("beto-cased", decomposed) == ["[UNK]"]


def test_signs_beto_lacks(pieces: Pieces) -> None:
    text = example("numbers-and-dates").text_es
    assert [pieces("beto-cased", sign) for sign in "/$%"] == [["[UNK]"]] * 3
    assert pieces("beto-cased", text).count("[UNK]") == sum(text.count(sign) for sign in "/$%") == 4
    assert "[UNK]" not in pieces("bert-uncased", text)


def test_underscore_splits_names_everywhere(pieces: Pieces) -> None:
    text = example("code").text_es
    assert pieces("bert-uncased", text).count("_") == pieces("gpt2", text).count("_") == 4
    assert "_" not in pieces("beto-cased", text)


def test_white_space_is_forgotten_by_bert_and_kept_by_gpt2(pieces: Pieces) -> None:
    for text in both("white-space"):
        squeezed = " ".join(text.split())
        assert squeezed != text
        for key in ("bert-uncased", "beto-cased"):
            assert pieces(key, text) == pieces(key, squeezed)
        kept = pieces("gpt2", text)
        assert kept != pieces("gpt2", squeezed)
        assert {"Ċ", "Ġ", "ĉ"} <= set(kept)


def test_emoji(pieces: Pieces) -> None:
    assert example("emoji").word == FAMILY
    assert len(FAMILY) == 7
    assert len(pieces("gpt2", f" {FAMILY}")) == 14
    for text in both("emoji"):
        assert FAMILY in text
        for key in ("bert-uncased", "beto-cased"):
            assert pieces(key, text).count("[UNK]") == 3
        assert " ".join(pieces("gpt2", f" {FAMILY}")) in " ".join(pieces("gpt2", text))


@pytest.mark.parametrize(
    ("id", "key", "line", "count"),
    [
        ("english-wins", "bert-uncased", 0, 18),
        ("english-wins", "beto-cased", 0, 32),
        ("cost-of-spanish", "bert-uncased", 0, 29),
        ("cost-of-spanish", "bert-uncased", 1, 16),
        ("cost-of-spanish", "beto-cased", 0, 16),
        ("cost-of-spanish", "beto-cased", 1, 27),
        ("quixote", "bert-uncased", 0, 59),
        ("quixote", "beto-cased", 0, 47),
    ],
)
def test_token_counts(pieces: Pieces, id: str, key: str, line: int, count: int) -> None:
    item = example(id)
    assert len(pieces(key, item.text_es.splitlines()[line])) == count
    for language in ("es", "en"):
        assert re.search(rf"\b{count}\b", item.teaches(language))


def test_both_lines_of_the_cost_have_fifteen_words() -> None:
    assert [len(line.split()) for line in example("cost-of-spanish").text_es.splitlines()] == [15, 15]


def test_mask_is_one_token_only_as_typed(pieces: Pieces) -> None:
    for text in both("mask-by-hand"):
        for key in ("bert-uncased", "beto-cased"):
            assert pieces(key, text).count("[MASK]") == 1
            assert pieces(key, "[MASK]") == ["[MASK]"]
            assert len(pieces(key, "[mask]")) > 1
        assert "[MASK]" not in pieces("gpt2", text)
        assert len(pieces("gpt2", "[MASK]")) > 1


def test_scripts_letter_by_letter(pieces: Pieces) -> None:
    for text in both("other-scripts"):
        for word in ("بيت", "בית"):
            assert word in text
            letters = [word[0], *(f"##{letter}" for letter in word[1:])]
            assert pieces("bert-uncased", word) == letters and len(letters) == 3
        assert pieces("beto-cased", text).count("[UNK]") == 2
        assert {"بيت", "בית"} <= set(pieces("mbert", text))


def test_case(pieces: Pieces) -> None:
    text = example("upper-and-lower-case").text_es
    assert pieces("beto-uncased", text) == ["españa"] * 3
    assert pieces("bert-uncased", text) == ["espana"] * 3
    assert [len(pieces("beto-cased", word)) for word in text.split()] == [1, 3, 2]


def test_greedy_takes_the_longer_piece(bert_uncased: TokenizerBundle) -> None:
    assert {"un", "una"} <= set(bert_uncased.vocabulary)
    assert max((p for p in bert_uncased.vocabulary if "unaffable".startswith(p)), key=len) == "una"


def test_cion_in_the_vocabularies(bert_uncased: TokenizerBundle, beto_cased: TokenizerBundle) -> None:
    query = example("cion-in-two-vocabularies").word
    assert query == "ción"
    assert sum(query in piece for piece in beto_cased.vocabulary) == 646
    assert sum(query in piece for piece in bert_uncased.vocabulary) == 0


def test_corpus_costs_bert_half_as_much_again(pieces: Pieces) -> None:
    text = example("small-corpus").text_es
    assert len(text.splitlines()) == 12
    assert len(pieces("bert-uncased", text)) > 1.5 * len(pieces("beto-cased", text))
    assert "[UNK]" not in pieces("beto-cased", text)
