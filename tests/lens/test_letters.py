"""What a tokenizer does to ñ and to accents, held to the library's own normalizer."""

import itertools
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers

from core.lens.letters import (
    MAX_COLLISIONS,
    MINIMAL_PAIRS,
    Collision,
    accent_coverage,
    accented_words,
    collisions,
    letters,
)
from core.lens.vocabulary import SPANISH_ACCENTED
from core.runtime.tokenizer import TokenizerBundle


def made(normalizer: normalizers.Normalizer | None = None) -> TokenizerBundle:
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "ñ": 2, "##ñ": 3, "año": 4}, unk_token="[UNK]"))
    if normalizer is not None:
        backend.normalizer = normalizer
    return TokenizerBundle(key="made", name="made", backend=backend)


def bmp_letters() -> Iterator[str]:
    for code in range(0x10000):
        if unicodedata.category(chr(code)).startswith("L"):
            yield chr(code)


# --- letters ----------------------------------------------------------------------------------------------


def test_english_bert_makes_n_of_enye(bert_uncased: TokenizerBundle) -> None:
    fate = {f.letter: f for f in letters("Ñandú, niño y ñu. Pingüino", bert_uncased)}
    assert list(fate) == ["Ñ", "ú", "ñ", "ü"]
    big = fate["Ñ"]
    assert (big.lowered, big.stripped, big.normalized, big.change) == ("ñ", "n", "n", "both")
    assert (big.name, big.start, big.count) == ("LATIN CAPITAL LETTER N WITH TILDE", 0, 1)
    assert (fate["ñ"].change, fate["ñ"].count, fate["ñ"].start) == ("accent", 2, 9)
    assert "nino" in fate["ñ"].pieces
    assert all(f.changed and f.lost for f in fate.values())


def test_beto_keeps_enye_and_uncased_beto_loses_only_the_case(
    beto_cased: TokenizerBundle, beto_uncased: TokenizerBundle
) -> None:
    (cased,) = letters("Ñ", beto_cased)
    assert (cased.normalized, cased.change, cased.changed, cased.lost) == ("Ñ", "kept", False, False)
    (uncased,) = letters("Ñ", beto_uncased)
    assert (uncased.lowered, uncased.stripped, uncased.normalized) == ("ñ", "ñ", "ñ")
    assert (uncased.change, uncased.lost) == ("case", False)


def test_no_beto_knows_u_with_diaeresis(beto_cased: TokenizerBundle, beto_uncased: TokenizerBundle) -> None:
    for bundle in (beto_cased, beto_uncased):
        (fate,) = letters("pingüino", bundle)
        assert (fate.change, fate.pieces, fate.unknown, fate.lost) == ("kept", ("[UNK]",), True, True)


def test_a_word_letter_by_letter(bert_uncased: TokenizerBundle) -> None:
    fates = letters("Año1", bert_uncased, every=True)
    assert [(f.letter, f.start, f.change) for f in fates] == [
        ("A", 0, "case"),
        ("ñ", 1, "accent"),
        ("o", 2, "kept"),
    ]


def test_a_letter_of_two_code_points_is_one_letter(bert_uncased: TokenizerBundle) -> None:
    (fate,) = letters("an\u0303o", bert_uncased)
    assert (fate.letter, fate.start, fate.normalized, fate.change) == ("n\u0303", 1, "n", "accent")
    assert fate.name == "LATIN SMALL LETTER N + COMBINING TILDE"
    (composed,) = letters("n\u0303", made(normalizers.NFC()))
    assert (composed.normalized, composed.change) == ("ñ", "other")


def test_marks_of_word_beginnings_are_no_change() -> None:
    llama = made(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))
    assert [f.change for f in letters("ñ", llama)] == ["kept"]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip", [True, False, None])
def test_the_columns_agree_with_the_library_for_every_letter(lowercase: bool, strip: bool | None) -> None:
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=strip, lowercase=lowercase
    )
    bundle = made(normalizer)
    everything = list(bmp_letters())
    assert len(everything) > 40_000
    # The page shows lower-casing first; the library strips first. For no letter does it matter.
    for letter in everything:
        if letter.isascii():
            continue
        whole = normalizer.normalize_str(letter)
        (fate,) = letters(letter, bundle)
        assert (fate.letter, fate.stripped, fate.normalized) == (letter, whole, whole)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_letters_takes_any_text(bert_uncased: TokenizerBundle, text: str) -> None:
    for fate in letters(text, bert_uncased, every=True):
        assert text[fate.start : fate.start + len(fate.letter)] == fate.letter
        assert fate.changed == (fate.letter != fate.normalized)
    collisions(text, bert_uncased)


# --- collisions -------------------------------------------------------------------------------------------


def test_words_of_the_text_that_become_one(bert_uncased: TokenizerBundle) -> None:
    found = collisions("Él hacía té y miraba hacia el año", bert_uncased)
    assert Collision("Él", "el", "text", "el", "accent") in found
    assert Collision("hacía", "hacia", "text", "hacia", "accent") in found
    assert Collision("té", "te", "list", "te", "accent") in found
    assert Collision("año", "ano", "list", "ano", "accent") in found
    # "hacia" stands in the text, so the list needn't name it.
    assert not [c for c in found if c.other_from == "list" and c.word.startswith("hac")]


def test_three_words_make_three_pairs(bert_uncased: TokenizerBundle) -> None:
    found = collisions("publico público publicó", bert_uncased)
    assert [(c.word, c.other) for c in found] == [
        ("publico", "público"),
        ("publico", "publicó"),
        ("público", "publicó"),
    ]


def test_uncased_beto_confuses_nothing_but_case(beto_uncased: TokenizerBundle) -> None:
    found = collisions("El niño y él: EL té, te lo doy. Hacía, hacia", beto_uncased)
    assert [(c.word, c.other, c.kind, c.normalized) for c in found] == [("El", "EL", "case", "el")]


def test_cased_beto_confuses_nothing(beto_cased: TokenizerBundle, gpt2: TokenizerBundle) -> None:
    text = " ".join(itertools.chain(*MINIMAL_PAIRS)) + " EL El el Él"
    assert collisions(text, beto_cased) == []
    assert collisions(text, gpt2) == []


def test_capitals_keep_words_apart_where_case_survives() -> None:
    stripper = made(normalizers.BertNormalizer(strip_accents=True, lowercase=False))
    assert collisions("Año", stripper) == [Collision("Año", "ano", "list", "Ano", "accent")]
    assert collisions("ÉL", stripper) == [Collision("ÉL", "el", "list", "EL", "accent")]
    # "Él" becomes "El" here, which is not the "el" of the text: each collides with a word of the list.
    assert collisions("Él el", stripper) == [
        Collision("Él", "el", "list", "El", "accent"),
        Collision("el", "él", "list", "el", "accent"),
    ]


def test_the_same_word_in_two_unicode_forms_is_no_collision_of_accents(bert_uncased: TokenizerBundle) -> None:
    assert [c.kind for c in collisions("canción cancio\u0301n", bert_uncased)] == ["form"]
    assert [c.kind for c in collisions("canción Canción", bert_uncased)] == ["case"]


def test_many_variants_stay_bounded(bert_uncased: TokenizerBundle) -> None:
    text = " ".join("".join(word) for word in itertools.product("aáàä", repeat=6))
    assert len(collisions(text, bert_uncased)) == MAX_COLLISIONS


def test_the_list_holds_different_words_that_lose_their_difference() -> None:
    def bare(word: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn")

    assert len(MINIMAL_PAIRS) >= 40
    words = list(itertools.chain(*MINIMAL_PAIRS))
    assert len(words) == len(set(words))
    for group in MINIMAL_PAIRS:
        assert len(group) >= 2
        assert len({bare(word) for word in group}) == 1, group


# --- accents in the vocabulary ----------------------------------------------------------------------------


def test_english_bert_has_no_accents_and_would_never_use_them(bert_uncased: TokenizerBundle) -> None:
    coverage = accent_coverage(bert_uncased)
    assert list(coverage) == list(SPANISH_ACCENTED)
    assert {(c.reaches, c.in_vocabulary, c.pieces) for c in coverage.values()} == {(False, False, 0)}


def test_uncased_beto_has_accented_pieces_after_all(beto_uncased: TokenizerBundle) -> None:
    coverage = accent_coverage(beto_uncased)
    for letter in "áéíóúñ":
        assert coverage[letter].reaches
        assert coverage[letter].alone
        assert coverage[letter].continuation
    assert coverage["ñ"].pieces == 259
    assert "##ción" in coverage["ó"].examples
    assert (coverage["ü"].in_vocabulary, coverage["ü"].pieces) == (False, 0)
    assert not coverage["Ñ"].reaches


def test_coverage_of_a_vocabulary_of_five_pieces() -> None:
    enye = accent_coverage(made())["ñ"]
    assert (enye.alone, enye.continuation, enye.pieces) == (True, True, 3)
    assert enye.examples == ("ñ", "##ñ", "año")


def test_accented_words_beside_their_bare_form(beto_uncased: TokenizerBundle, bert_uncased: TokenizerBundle) -> None:
    canción, pingüino = accented_words("Una canción, un pingüino, una canción", beto_uncased)
    assert (canción.word, canción.pieces) == ("canción", ("canción",))
    assert (canción.bare, canción.bare_pieces) == ("cancion", ("can", "##cion"))
    assert not canción.same
    assert (pingüino.pieces, pingüino.unknown) == (("[UNK]",), True)
    assert all(word.same for word in accented_words("canción pingüino", bert_uncased))
    assert accented_words("nada que ver", beto_uncased) == []
