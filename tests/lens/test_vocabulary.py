"""Vocabularies: kinds of pieces, search under a deadline, and what two of them share."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from core.errors import InputInvalid
from core.i18n import set_language
from core.lens import vocabulary
from core.lens.vocabulary import (
    KINDS,
    case_note,
    definitions,
    family,
    pieces,
    readable,
    search,
    shared,
    summary,
)
from core.runtime.tokenizer import TokenizerBundle


def word_piece(*names: str, key: str = "made") -> TokenizerBundle:
    vocab = {name: i for i, name in enumerate(["[UNK]", *names])}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    backend.add_special_tokens(["[UNK]"])
    return TokenizerBundle(key=key, name=key, backend=backend)


def byte_level(*names: str) -> TokenizerBundle:
    vocab = {name: i for i, name in enumerate(names)}
    backend = Tokenizer(models.BPE(vocab, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    backend.decoder = decoders.ByteLevel()
    return TokenizerBundle(key="bytes", name="bytes", backend=backend)


# --- reading ----------------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_byte_pieces_read_back_as_the_text_they_came_from(text: str) -> None:
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelled = "".join(part for part, _offsets in splitter.pre_tokenize_str(text))
    assert readable(spelled, byte_level("a")).display == text


def test_pieces_of_each_family_in_readable_form(
    beto_cased: TokenizerBundle, gpt2: TokenizerBundle, tiny_unigram: TokenizerBundle
) -> None:
    assert (family(beto_cased), family(gpt2), family(tiny_unigram)) == ("##", "Ġ", "▁")
    piece = readable("##ción", beto_cased)
    assert (piece.text, piece.display, piece.kind) == ("ción", "##ción", "continuation")
    assert readable("casa", beto_cased).kind == "word"
    assert readable("[MASK]", beto_cased).kind == "special"
    assert readable("[unused7]", beto_cased).kind == "reserved"
    assert readable("##", beto_cased).text == "##"
    piece = readable("ĠniÃ±", gpt2)
    assert (piece.text, piece.display, piece.kind) == ("niñ", " niñ", "word")
    piece = readable("Ã", gpt2)
    assert (piece.text, piece.kind) == ("‹C3›", "bytes")
    assert readable("Ġ", gpt2)[2:] == (" ", " ", "symbol")
    assert readable("<|endoftext|>", gpt2).kind == "special"
    piece = readable("▁El", tiny_unigram)
    assert (piece.text, piece.display, piece.kind) == ("El", " El", "word")
    assert readable("<0xC3>", tiny_unigram)[2:] == ("‹C3›", "‹C3›", "bytes")


# --- summary ----------------------------------------------------------------------------------------------


def test_summary_counted_by_hand() -> None:
    result = summary(word_piece("año", "##ño", "casa", "##s", ".", "[unused1]", "É"))
    assert result.size == 8
    assert result.counts == {
        "word": 3,
        "continuation": 2,
        "symbol": 1,
        "bytes": 0,
        "special": 1,
        "reserved": 1,
    }
    assert result.shares["word"] == 3 / 8
    assert (result.accented, result.enye, result.accented_share) == (3, 2, 3 / 8)
    assert result.accented_examples == ("año", "##ño", "É")
    assert result.longest == "casa"


def test_summaries_of_real_vocabularies(
    bert_uncased: TokenizerBundle, beto_uncased: TokenizerBundle, gpt2: TokenizerBundle
) -> None:
    bert = summary(bert_uncased)
    assert (bert.size, bert.accented, bert.lowercases, bert.strips_accents) == (30_522, 0, True, True)
    assert (bert.counts["special"], bert.counts["reserved"]) == (5, 994)
    beto = summary(beto_uncased)
    assert (beto.size, beto.accented, beto.enye) == (31_002, 4_756, 259)
    assert (beto.lowercases, beto.strips_accents) == (True, False)
    bytes_ = summary(gpt2)
    assert (bytes_.size, bytes_.lowercases, bytes_.counts["special"]) == (50_257, False, 1)
    # 128 bytes are no character of their own; the others are fragments of several bytes.
    assert bytes_.counts["bytes"] > 128
    for result in (bert, beto, bytes_):
        assert sum(result.counts.values()) == result.size
        assert sum(result.shares.values()) == pytest.approx(1)
        assert set(result.counts) == set(KINDS)
    assert summary(gpt2) is bytes_


def test_every_family_defines_every_kind_in_both_languages() -> None:
    try:
        for language in ("es", "en"):
            set_language(language)
            for which in ("##", "Ġ", "▁", ""):
                assert set(definitions(which)) == set(KINDS)  # type: ignore[arg-type]
    finally:
        set_language("es")


# --- search -----------------------------------------------------------------------------------------------


def found(bundle: TokenizerBundle, query: str, mode: str, **options: object) -> list[str]:
    return [hit.piece for hit in search(bundle, query, mode, **options).hits]  # type: ignore[arg-type]


def test_search_by_prefix_part_and_pattern() -> None:
    bundle = word_piece("niño", "##niño", "Niña", "uniño", "##ción", "acción")
    assert found(bundle, "niñ", "prefix") == ["niño", "##niño", "Niña"]
    assert found(bundle, "niñ", "prefix", case_sensitive=True) == ["niño", "##niño"]
    assert found(bundle, "NIÑ", "contains") == ["niño", "##niño", "Niña", "uniño"]
    assert found(bundle, "##", "prefix") == ["##niño", "##ción"]
    assert found(bundle, "##ci", "prefix") == ["##ción"]
    assert found(bundle, "^.?niño$", "regex") == ["niño", "##niño", "uniño"]
    assert found(bundle, "CIÓN$", "regex", case_sensitive=True) == []
    assert found(bundle, r"\p{Lu}", "regex", case_sensitive=True) == ["[UNK]", "Niña"]


def test_search_where_a_space_begins_a_word() -> None:
    bundle = byte_level("Ġni", "ni", "Ġunida", "niÃ±a")
    assert found(bundle, "ni", "prefix") == ["Ġni", "ni", "niÃ±a"]
    assert found(bundle, " ni", "prefix") == ["Ġni"]
    assert found(bundle, "Ġni", "prefix") == ["Ġni"]
    assert found(bundle, "ñ", "contains") == ["niÃ±a"]


def test_search_counts_everything_and_returns_the_first(beto_cased: TokenizerBundle) -> None:
    result = search(beto_cased, "ción", "contains", limit=5)
    assert (result.total, len(result.hits)) == (646, 5)
    assert [hit.id for hit in result.hits] == sorted(hit.id for hit in result.hits)
    assert search(beto_cased, "ción$", "regex").total == 646


@pytest.mark.parametrize("mode", ["prefix", "contains", "regex"])
@pytest.mark.parametrize("query", ["", "a" * 201])
def test_an_empty_or_endless_query_is_refused(query: str, mode: str) -> None:
    with pytest.raises(InputInvalid):
        search(word_piece("a"), query, mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["(a", "[", "*a", "a{99999999999}", r"\L<x>", "(?P<x>a)(?P=y)"])
def test_a_bad_pattern_is_refused_with_the_pattern(pattern: str) -> None:
    with pytest.raises(InputInvalid, match="no es válida") as caught:
        search(word_piece("a"), pattern, "regex")
    assert pattern in str(caught.value)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*(.*)*(.*)*(.*)*x", "(?:a?){40}a{40}c"])
def test_a_catastrophic_pattern_stops_in_time(pattern: str) -> None:
    bundle = word_piece(*("a" * n + "b" * m for n in range(30, 60) for m in range(1, 20)))
    pieces(bundle)
    began = time.monotonic()
    try:
        search(bundle, pattern, "regex", timeout_s=0.3)
    except InputInvalid as error:
        assert pattern in str(error)
    # Generous for a busy machine: without a deadline it takes minutes or for ever.
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("pattern", ["(?R)", "a(?R)?", "(a)(?1)", "(?P<n>a)(?&n)", "(?P<n>a)(?P>n)"])
def test_a_pattern_that_calls_itself_is_refused(pattern: str) -> None:
    with pytest.raises(InputInvalid, match="se llama a sí misma"):
        search(word_piece("a" * 40), pattern, "regex")


def test_the_deadline_is_one_for_the_whole_scan(beto_cased: TokenizerBundle) -> None:
    # No single piece takes long; the 31,002 together do.
    pieces(beto_cased)
    began = time.monotonic()
    with pytest.raises(InputInvalid, match="tardó más de 0,1 s"):
        search(beto_cased, r"(\w?){9}(\w?){9}(\w+\w+)+[^\w]", "regex", timeout_s=0.1)
    assert time.monotonic() - began < 15


def test_a_simple_pattern_keeps_the_deadline_too(beto_cased: TokenizerBundle) -> None:
    pieces(beto_cased)
    with pytest.raises(InputInvalid, match="tardó más"):
        search(beto_cased, "ción$", "regex", timeout_s=-1)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=12) | st.from_regex(r"[(\[?*+{}|\\a-c\^$.:<>=!)\]]{1,12}", fullmatch=True))
@example("(?P<n>a)(?&n)")
@example("(?<=a+)b")
@example("\x00")
def test_any_pattern_gives_a_result_or_a_message(pattern: str) -> None:
    bundle = word_piece("abc", "##ab", "a" * 40, "ñ(")
    try:
        result = search(bundle, pattern, "regex", timeout_s=0.2)
    except InputInvalid as error:
        assert str(error)
    else:
        assert 0 <= result.total <= 5


@pytest.mark.parametrize("mode", ["prefix", "contains", "regex"])
def test_a_vocabulary_of_250_000_pieces(mode: str) -> None:
    bundle = word_piece(*(f"pieza{i}" for i in range(250_000)), key="large")
    pieces(bundle)
    result = search(bundle, "pieza24999", mode)  # type: ignore[arg-type]
    assert result.total == 11
    # Generous: the page wants under 300 ms, and this machine may be busy.
    assert result.milliseconds < 2_000


# --- what two share ---------------------------------------------------------------------------------------


def test_shared_pieces_are_compared_by_what_they_mean() -> None:
    a = word_piece("ni", "##ni", "casa", ".", "[unused1]", key="a")
    b = byte_level("Ġni", "ni", "Ġcasa", "casa", "Ġ.", ".", "Ã")
    result = shared(a, b)
    # a: ni-, -ni, casa-, "." · b: ni-, -ni, casa-, -casa, "." (with a space or not), ‹C3›
    assert (result.size_a, result.size_b, result.both) == (4, 6, 4)
    assert (result.share_a, result.share_b) == (1.0, 4 / 6)
    assert result.examples_both == ("casa",)
    assert result.examples_a == ()
    assert result.examples_b == ("casa",)


def test_sharing_with_itself_and_with_others(beto_cased: TokenizerBundle, gpt2: TokenizerBundle) -> None:
    itself = shared(beto_cased, beto_cased)
    assert (itself.share_a, itself.share_b, itself.examples_a) == (1.0, 1.0, ())
    one, other = shared(beto_cased, gpt2), shared(gpt2, beto_cased)
    assert (one.both, one.size_a, one.share_a) == (other.both, other.size_b, other.share_b)
    assert 0 < one.both < one.size_a
    assert case_note(one) is None


def test_a_note_where_one_is_uncased(beto_cased: TokenizerBundle, beto_uncased: TokenizerBundle) -> None:
    result = shared(beto_cased, beto_uncased)
    assert result.both_ignoring_case > result.both
    note = case_note(result)
    assert note is not None
    assert note.startswith("beto-uncased pasa todo a minúsculas y beto-cased no")


def test_the_index_is_built_once(gpt2: TokenizerBundle) -> None:
    assert pieces(gpt2) is pieces(gpt2)
    assert len(pieces(gpt2)) == 50_257
    assert [piece.id for piece in pieces(gpt2)] == list(range(50_257))
    assert vocabulary.pieces(gpt2)[0].piece == "!"
