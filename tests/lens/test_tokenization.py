import ast
from pathlib import Path

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from core.errors import InputInvalid, InputTooLong
from core.lens.tokenization import (
    MAX_CHARACTERS,
    Token,
    byte_alphabet,
    clean_text,
    compare,
    cuts,
    figures,
    segment,
    show_bytes,
    snippet,
    tokenize,
    unit_spans,
)
from core.runtime.tokenizer import TokenizerBundle
from tests.fresh import run_fresh

FAMILY = "👨‍👩‍👧"

# Fragments that have broken tokenizers or segmenters before, mixed with anything Unicode has.
FRAGMENTS = st.sampled_from(
    [
        "niño", "El", "comió ", "l'avi", "col·legi", "café’s", "'", "n\u0303", "\u0301", " \u0301",
        "x\u0301\u0323",
        FAMILY, "1️⃣", "ℹ️", "🇺🇾", "👍🏽", "क्‍ष", "你好", "مرحبا", "שלום", "½", "ﬁ", "각", "ᄀ", "ᅡ", "ﾞ", "٣",
        "\t", "\n", "\r\n", "\x0b", "\x1c", "\x85", "\u2028", "\u00a0", "  ", "\u200d", "\u200b", "\x00",
        "\u0d4e",
        "[MASK]", "[UNK]", "<unk>", "<s>", "<|endoftext|>", "▁", "##", "Ġ", "\ufffd", "\u0600", "-", "¿",
        "…", "İ", "ß",
    ]
)  # fmt: skip
TEXTS = st.lists(FRAGMENTS | st.text(max_size=4), max_size=12).map("".join).map(lambda raw: clean_text(raw)[0])
PROPERTY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session")
def byte_fallback() -> TokenizerBundle:
    """Llama 2 in small: spaces become ``▁`` in the normalizer, unknown characters become bytes."""
    pieces = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "n", "i", "o", "▁n", "ni"]
    merges = [("▁", "n"), ("n", "i")]
    backend = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, unk_token="<unk>", byte_fallback=True)
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return TokenizerBundle(key="byte-fallback", name="byte-fallback", backend=backend)


@pytest.fixture(autouse=True, scope="session")
def _whole_texts(bert_uncased: TokenizerBundle) -> None:
    """The file that ships with MiniLM sets padding and truncation at 128; a bundle has neither."""
    bert_uncased.backend.no_padding()
    bert_uncased.backend.no_truncation()


@pytest.fixture(params=["bert_uncased", "tiny_unigram", "tiny_bpe_bytes", "tiny_bpe_metaspace", "byte_fallback"])
def bundle(request: pytest.FixtureRequest) -> TokenizerBundle:
    return request.getfixturevalue(request.param)


def show(tokens: tuple[Token, ...]) -> list[str]:
    return [token.text for token in tokens]


# --- segments -------------------------------------------------------------------------------------


@PROPERTY
@given(TEXTS)
def test_segments_rebuild_the_text_and_never_break_a_grapheme(text: str) -> None:
    segments = segment(text)
    assert "".join(s.text for s in segments) == text
    boundaries = {m.start() for m in regex.finditer(r"\X", text)} | {len(text)}
    units = [s for s in segments if s.unit >= 0]
    assert [s.unit for s in units] == list(range(len(units)))
    for s in segments:
        assert text[s.start : s.end] == s.text
        assert s.start in boundaries and s.end in boundaries
        assert (s.kind == "space") == (s.unit == -1)
        assert (s.kind == "space") == bool(regex.fullmatch(r"\p{White_Space}+", s.text))
        if s.kind == "other":
            assert len(regex.findall(r"\X", s.text)) == 1
        if s.kind == "word":
            assert regex.match(r"[\p{L}\p{N}]", s.text)
    starts, ends, is_word = unit_spans(text)
    assert list(zip(starts, ends, is_word, strict=True)) == [(s.start, s.end, s.kind == "word") for s in units]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("¿Qué, 12,5?", ["¿/other", "Qué/word", ",/other", "12/word", ",/other", "5/word", "?/other"]),
        ("l'avi col·legi 'x'", ["l'avi/word", "col·legi/word", "'/other", "x/word", "'/other"]),
        ("café’s a-b", ["café’s/word", "a/word", "-/other", "b/word"]),
        (f"a{FAMILY}b 👍🏽🇺🇾", ["a/word", f"{FAMILY}/other", "b/word", "👍🏽/other", "🇺🇾/other"]),
        ("1️⃣ 1 ℹ️ ℹ", ["1️⃣/other", "1/word", "ℹ️/other", "ℹ/word"]),
        ("n\u0303u \u0301", ["n\u0303u/word", " \u0301/other"]),
        ("مرحبا, שלום!", ["مرحبا/word", ",/other", "שלום/word", "!/other"]),
        ("a\x00b_c", ["a/word", "\x00/other", "b/word", "_/other", "c/word"]),
        ("क्‍ष", ["क्‍ष/word"]),
    ],
)  # fmt: skip
def test_segments_by_hand(text: str, expected: list[str]) -> None:
    assert [f"{s.text}/{s.kind}" for s in segment(text) if s.unit >= 0] == expected


def test_clean_text_joins_pairs_and_replaces_lone_surrogates() -> None:
    assert clean_text("niño 🫠") == ("niño 🫠", 0)
    assert clean_text("a\ud800b\udc00\ud800") == ("a\ufffdb\ufffd\ufffd", 3)
    assert clean_text("\ud83e\udee0 \ufffd") == ("🫠 \ufffd", 0)


# --- pieces ---------------------------------------------------------------------------------------


def test_byte_alphabet_is_the_library_s() -> None:
    alphabet = byte_alphabet()
    assert set(alphabet) == set(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(alphabet.values()) == list(range(256))
    assert alphabet["Ġ"] == ord(" ") and alphabet["Ċ"] == ord("\n") and alphabet["Ã"] == 0xC3
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for text in ["niño 你", "\x00\x7f\x80\xad", FAMILY]:
        [(letters, _span)] = split.pre_tokenize_str(text)
        assert bytes(alphabet[letter] for letter in letters).decode() == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b" ni", (" ni", False)),
        (b"\xc3\xb1o", ("ño", False)),
        (b"\xc3", ("‹C3›", True)),
        (b" \xf0\x9f", (" ‹F0 9F›", True)),
        (b"\xb1o\xe4\xbd", ("‹B1›o‹E4 BD›", True)),
        (b"\x80\x81", ("‹80 81›", True)),
    ],
)
def test_show_bytes(data: bytes, expected: tuple[str, bool]) -> None:
    assert show_bytes(data) == expected


def test_byte_level_pieces_are_shown_as_text(gpt2: TokenizerBundle) -> None:
    text = "El niño 你 🫠"
    tokens = tokenize(text, gpt2, segment(text))
    assert [(t.piece, t.text, t.kind, t.start, t.end) for t in tokens] == [
        ("El", "El", "piece", 0, 2),
        ("Ġni", " ni", "piece", 2, 5),
        ("Ã±o", "ño", "piece", 5, 7),
        ("Ġ", " ", "piece", 7, 8),
        ("ä½", "‹E4 BD›", "bytes", 8, 9),
        ("ł", "‹A0›", "bytes", 8, 9),
        ("ĠðŁ", " ‹F0 9F›", "bytes", 9, 11),
        ("«", "‹AB›", "bytes", 10, 11),
        ("ł", "‹A0›", "bytes", 10, 11),
    ]
    assert [t.continuation for t in tokens] == [False, False, True, False, False, True, False, True, True]
    assert [t.unit for t in tokens] == [0, 1, 1, -1, 2, 2, 3, 3, 3]


def test_byte_fallback_pieces_are_bytes(byte_fallback: TokenizerBundle) -> None:
    text = "niño\t"
    tokens = tokenize(text, byte_fallback, segment(text))
    assert [(t.piece, t.text, t.kind, t.start, t.end) for t in tokens] == [
        ("▁n", " n", "piece", 0, 1),
        ("i", "i", "piece", 1, 2),
        ("<0xC3>", "‹C3›", "bytes", 2, 3),
        ("<0xB1>", "‹B1›", "bytes", 2, 3),
        ("o", "o", "piece", 3, 4),
        ("<0x09>", "\t", "piece", 4, 5),
    ]


def test_added_space_mark_takes_no_letter(tiny_unigram: TokenizerBundle) -> None:
    text = "El niño"
    tokens = tokenize(text, tiny_unigram, segment(text))
    first = tokens[0]
    assert (first.piece, first.text, first.start, first.end, first.unit) == ("▁", " ", 0, 0, -1)
    assert (tokens[1].text, tokens[1].continuation) == ("E", False)
    assert not [c for c in cuts(segment(text), [tokens]) if c.inside]


def test_typed_special_tokens_keep_their_place(bert_uncased: TokenizerBundle) -> None:
    text = "El [MASK] 你🫠 [UNK]"
    tokens = tokenize(text, bert_uncased, segment(text))
    assert [(t.text, t.kind, t.start, t.end) for t in tokens] == [
        ("[CLS]", "special", 0, 0),
        ("el", "piece", 0, 2),
        ("[MASK]", "special", 3, 9),
        ("[UNK]", "unknown", 10, 11),
        ("[UNK]", "unknown", 11, 12),
        ("[UNK]", "special", 13, 18),
        ("[SEP]", "special", 18, 18),
    ]
    assert (tokens[2].unit, tokens[2].last_unit) == (1, 3)  # [, MASK, ]
    numbers = figures(text, tokens, segment(text))
    assert (numbers.tokens, numbers.special_tokens, numbers.unknown) == (5, 2, 2)


def test_spanish_letters_in_an_english_vocabulary(bert_uncased: TokenizerBundle) -> None:
    text = "El niño comió mañana"
    tokens = tokenize(text, bert_uncased, segment(text))
    # Accents are stripped, so "niño" is looked up as "nino", which the vocabulary has whole.
    assert show(tokens) == ["[CLS]", "el", "nino", "com", "##io", "mana", "##na", "[SEP]"]
    assert [text[t.start : t.end] for t in tokens[1:-1]] == ["El", "niño", "com", "ió", "maña", "na"]
    assert [t.continuation for t in tokens] == [False, False, False, False, True, False, True, False]


def test_decomposed_letters_and_emoji_are_one_unit(bert_uncased: TokenizerBundle, gpt2: TokenizerBundle) -> None:
    text = f"nin\u0303o {FAMILY}"
    result = compare(text, [bert_uncased, gpt2])
    assert [s.text for s in result.segments] == ["nin\u0303o", " ", FAMILY]
    assert show(result.rows[0].tokens) == ["[CLS]", "nino", "[UNK]", "[SEP]"]
    inside = {(c.offset, c.rows) for c in result.cuts if c.inside}
    assert inside == {(2, (1,)), (6, (1,))}  # GPT-2 cuts into n + tilde, and into the family


@PROPERTY
@given(text=TEXTS)
def test_tokens_are_in_range_in_order_and_on_their_units(bundle: TokenizerBundle, text: str) -> None:
    segments = segment(text)
    units = [s for s in segments if s.unit >= 0]
    tokens = tokenize(text, bundle, segments)
    encoding = bundle.encode(text)
    assert [t.id for t in tokens] == encoding.ids
    position = 0
    covered: set[int] = set()
    for token, added in zip(tokens, encoding.special_tokens_mask, strict=True):
        assert 0 <= position <= token.start <= token.end <= len(text)
        position = token.start
        overlapped = [u.unit for u in units if u.start < token.end and token.start < u.end and token.start < token.end]
        assert (token.unit, token.last_unit) == ((overlapped[0], overlapped[-1]) if overlapped else (-1, -1))
        assert token.continuation == (bool(overlapped) and overlapped[0] in covered)
        covered.update(overlapped)
        if added:
            assert token.kind == "special" and token.start == token.end
        if token.kind == "bytes":
            assert "‹" in token.text


@PROPERTY
@given(text=TEXTS)
def test_figures_add_up(bundle: TokenizerBundle, text: str) -> None:
    segments = segment(text)
    words = [s for s in segments if s.kind == "word"]
    tokens = tokenize(text, bundle, segments)
    numbers = figures(text, tokens, segments)
    assert numbers.characters == len(text)
    assert sum(numbers.tokens_per_word) == numbers.words == len(words)
    assert numbers.tokens + numbers.special_tokens == len(tokens)
    # The same by definition, one word at a time.
    pieces = [[t for t in tokens if t.start < w.end and w.start < t.end and t.start < t.end] for w in words]
    assert numbers.tokens_per_word == tuple(
        sum(len(p) == i for p in pieces) for i in range(max(map(len, pieces), default=0) + 1)
    )
    if words:
        touching = {id(t) for p in pieces for t in p}
        assert numbers.fertility == len(touching) / len(words)
        whole = sum(len(p) == 1 and p[0].unit == p[0].last_unit and p[0].kind != "unknown" for p in pieces)
        assert numbers.whole_words == whole / len(words)
    else:
        assert numbers.fertility is numbers.whole_words is None


LATIN = st.text("abcñáüÑÉ .,;¿?¡!\n0123456789zw", max_size=60)


@PROPERTY
@given(text=LATIN)
def test_cased_wordpiece_slices_equal_pieces(beto_cased: TokenizerBundle, text: str) -> None:
    tokens = tokenize(text, beto_cased, segment(text))
    for token in tokens:
        if token.kind == "piece":
            assert text[token.start : token.end] == token.piece.removeprefix("##")
            assert token.continuation == token.piece.startswith("##")
    joined = "".join(text[t.start : t.end] for t in tokens)
    assert joined == "".join(text.split())


@PROPERTY
@given(text=TEXTS)
def test_byte_level_tokens_cover_everything(tiny_bpe_bytes: TokenizerBundle, text: str) -> None:
    tokens = tokenize(text, tiny_bpe_bytes, segment(text))
    covered = {i for t in tokens for i in range(t.start, t.end)}
    assert {i for i, c in enumerate(text) if not c.isspace()} <= covered
    if "<|endoftext|>" not in text:
        alphabet = byte_alphabet()
        assert bytes(alphabet[letter] for t in tokens for letter in t.piece).decode() == text


# --- figures and cuts by hand ---------------------------------------------------------------------


def test_figures_by_hand(bert_uncased: TokenizerBundle) -> None:
    text = "El niño comió, 你!"
    tokens = tokenize(text, bert_uncased, segment(text))
    assert show(tokens) == ["[CLS]", "el", "nino", "com", "##io", ",", "[UNK]", "!", "[SEP]"]
    numbers = figures(text, tokens, segment(text))
    assert numbers.characters == 17
    assert numbers.words == 4  # El, niño, comió, 你
    assert (numbers.tokens, numbers.special_tokens, numbers.unknown) == (7, 2, 1)
    assert numbers.fertility == 5 / 4  # el, nino, com, ##io, [UNK]
    assert numbers.whole_words == 2 / 4
    assert numbers.characters_per_token == 17 / 7
    assert numbers.window_share == 9 / 512
    assert numbers.tokens_per_word == (0, 3, 1)


def test_figures_without_words(bert_uncased: TokenizerBundle) -> None:
    numbers = compare("¡!", [bert_uncased]).rows[0].figures
    assert (numbers.words, numbers.fertility, numbers.whole_words) == (0, None, None)
    assert numbers.tokens_per_word == (0,)


def test_cuts_by_hand(bert_uncased: TokenizerBundle, beto_cased: TokenizerBundle) -> None:
    text = "El niño comió en la habitación"
    result = compare(text, [bert_uncased, beto_cased])
    assert show(result.rows[0].tokens)[1:-1] == ["el", "nino", "com", "##io", "en", "la", "habit", "##acion"]
    assert show(result.rows[1].tokens)[1:-1] == ["El", "niño", "comió", "en", "la", "habitación"]
    assert [(c.offset, c.unit, c.rows, c.inside) for c in result.cuts] == [
        (11, 2, (0,), False),  # com|ió
        (25, 5, (0,), False),  # habit|ación
    ]
    assert (result.rows[0].key, result.rows[1].algorithm) == ("bert-uncased", "WordPiece")


def test_cuts_inside_a_letter_move_to_its_start(gpt2: TokenizerBundle, tiny_bpe_bytes: TokenizerBundle) -> None:
    text = "你é"
    result = compare(text, [gpt2, tiny_bpe_bytes])
    assert [len(row.tokens) for row in result.rows] == [3, 5]
    assert [(c.offset, c.unit, c.rows, c.inside) for c in result.cuts] == [
        (0, 0, (0, 1), True),
        (1, 0, (0, 1), True),  # é begins a token in both; in the small one, its second byte does too
    ]


@PROPERTY
@given(text=TEXTS)
def test_cuts_are_on_grapheme_boundaries(
    bert_uncased: TokenizerBundle, tiny_bpe_bytes: TokenizerBundle, tiny_unigram: TokenizerBundle, text: str
) -> None:
    segments = segment(text)
    rows = [tokenize(text, b, segments) for b in (bert_uncased, tiny_bpe_bytes, tiny_unigram)]
    boundaries = {m.start() for m in regex.finditer(r"\X", text)}
    units = [s for s in segments if s.unit >= 0]
    found = cuts(segments, rows)
    assert [c.offset for c in found] == sorted({c.offset for c in found})
    for cut in found:
        unit = units[cut.unit]
        assert cut.offset in boundaries
        assert unit.start <= cut.offset < unit.end
        assert cut.offset > unit.start or cut.inside
        assert cut.rows and list(cut.rows) == sorted(set(cut.rows))
    cut_units = {(c.unit, row) for c in found for row in c.rows}
    assert cut_units == {(t.unit, i) for i, row in enumerate(rows) for t in row if t.continuation}


# --- compare --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\t \u00a0\u2028"])
def test_nothing_to_cut(bert_uncased: TokenizerBundle, text: str) -> None:
    with pytest.raises(InputInvalid, match="escribe al menos una palabra"):
        compare(text, [bert_uncased])


def test_length_limit(bert_uncased: TokenizerBundle) -> None:
    assert compare("a" * MAX_CHARACTERS, [bert_uncased]).rows[0].figures.characters == 20_000
    with pytest.raises(InputTooLong, match="20\u202f001 caracteres"):
        compare("a" * (MAX_CHARACTERS + 1), [bert_uncased])


def test_hard_texts_are_answered(bundle: TokenizerBundle) -> None:
    for text in [
        FAMILY * 100,
        "مرحبا بالعالم",
        "\x00",
        "<script>alert(1)</script> **b**",
        "\u200d",
        "a" * 300,
    ]:
        result = compare(text, [bundle, bundle])
        assert "".join(s.text for s in result.segments) == text
        assert result.rows[0].tokens == result.rows[1].tokens


def test_surrogates_are_reported(bert_uncased: TokenizerBundle) -> None:
    result = compare("a\ud800", [bert_uncased])
    assert (result.text, result.replaced_surrogates) == ("a\ufffd", 1)


# --- the code to copy -----------------------------------------------------------------------------


SOURCES = [("BERT \"x\" '''", "a/b\\c"), ("BETO", "d/e"), ("BETO", "f/g")]


@given(TEXTS | st.text(max_size=300))
def test_snippet_holds_exactly_the_text(text: str) -> None:
    text, _ = clean_text(text)
    program = ast.parse(snippet(SOURCES, text))
    values = {
        node.targets[0].id: ast.literal_eval(node.value)  # type: ignore[attr-defined]
        for node in program.body
        if isinstance(node, ast.Assign)
    }
    assert values == {"text": text, "sources": SOURCES}


def test_snippet_runs_and_prints_the_page_s_tokens(bert_uncased: TokenizerBundle, tmp_path: Path) -> None:
    text = f"El niño 'comió' \"ñ\" \\n [MASK] {FAMILY}\n</code>'''\x00 مرحبا\u202e " + "habitación " * 60
    done = run_fresh(snippet([("BERT", str(bert_uncased.path))], text), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    heading, listed = done.stdout.splitlines()
    tokens = tokenize(text, bert_uncased, segment(text))
    numbers = figures(text, tokens, segment(text))
    assert heading == f"BERT: {numbers.tokens} tokens + {numbers.special_tokens} special"
    assert ast.literal_eval(listed) == [t.piece for t in tokens]
