"""The traces must end in exactly what the library returns, and say why."""

import math
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from core.errors import InputInvalid
from core.lens import tokenizer_traces
from core.lens.tokenizer_steps import PreToken, Stages, stages, trace_all
from core.lens.tokenizer_traces import BPEMerge, BPETrace, TracedToken, UnigramTrace, WordPieceTrace
from core.runtime.tokenizer import TokenizerBundle

BUNDLES = [
    "bert_uncased",
    "beto_cased",
    "beto_uncased",
    "mbert",
    "gpt2",
    "tiny_unigram",
    "tiny_bpe_bytes",
    "tiny_bpe_metaspace",
]

# Anything at all, and what is likely to trip a tokenizer up: added tokens, marks, combining characters.
SNAGS = [
    *(
        "niño",
        " Año",
        "él ",
        "canción",
        "pingüino",
        "ción",
        "▁",
        "##a",
        "Ġ",
        "'s",
        "123",
        "¿?",
        "  ",
        "\t",
        "\n\n",
    ),
    *("[MASK]", " [SEP]", "<unk>", "<s>", "<|endoftext|>", "n\u0303", "e\u0301", "İ", "ß", "ﬁ", "Σς", "中文"),
    *("👩\u200d👩\u200d👧", "\u200d", "\x00", "\ufffd", "\u00a0", "الع", "क्षि", "\u1ab0", "\ud7a3"),
]
FRAGMENTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(SNAGS)
TEXTS = st.lists(FRAGMENTS, max_size=8).map("".join)
QUICK = settings(max_examples=150, deadline=None)


def make(backend: Tokenizer) -> TokenizerBundle:
    return TokenizerBundle(key="made", name="made", backend=backend)


def plain(backend: Tokenizer) -> Tokenizer:
    """A copy that neither truncates nor pads."""
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def traced(text: str, bundle: TokenizerBundle) -> list[tuple[str, int]]:
    return [(token.piece, token.id) for item in trace_all(text, bundle) for token in item.tokens]


def returned(text: str, backend: Tokenizer) -> list[tuple[str, int]]:
    encoding = backend.encode(text, add_special_tokens=False)
    return list(zip(encoding.tokens, encoding.ids, strict=True))


# --- WordPiece --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def six_pieces() -> TokenizerBundle:
    vocabulary = {"[UNK]": 0, "ca": 1, "##sa": 2, "##s": 3, "casa": 4, "##mi": 5}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return make(backend)


def word_piece(text: str, bundle: TokenizerBundle) -> WordPieceTrace:
    (item,) = trace_all(text, bundle)
    assert isinstance(item, PreToken)
    assert isinstance(item.trace, WordPieceTrace)
    return item.trace


def test_word_piece_takes_the_longest_match_first(six_pieces: TokenizerBundle) -> None:
    trace = word_piece("casas", six_pieces)
    assert trace.outcome == "pieces"
    assert [(a.start, a.tried, a.tried_total, a.found) for a in trace.attempts] == [
        (0, ("casas", "casa"), 2, "casa"),
        (4, ("##s",), 1, "##s"),
    ]
    assert trace.tokens == (TracedToken("casa", 4), TracedToken("##s", 3))


def test_word_piece_without_a_match_is_unknown_as_a_whole(six_pieces: TokenizerBundle) -> None:
    trace = word_piece("camix", six_pieces)
    assert trace.outcome == "no_piece"
    assert [(a.start, a.tried, a.found) for a in trace.attempts] == [
        (0, ("camix", "cami", "cam", "ca"), "ca"),
        (2, ("##mix", "##mi"), "##mi"),
        (4, ("##x",), None),
    ]
    assert trace.tokens == (TracedToken("[UNK]", 0),)


def test_word_piece_gives_up_on_more_than_100_characters(six_pieces: TokenizerBundle) -> None:
    assert word_piece("ca" + "mi" * 49, six_pieces).outcome == "pieces"
    trace = word_piece("ca" + "mi" * 49 + "s", six_pieces)
    assert (trace.outcome, trace.limit, trace.attempts) == ("too_long", 100, ())
    assert trace.tokens == (TracedToken("[UNK]", 0),)


def test_long_candidate_lists_leave_the_middle_out_but_count_right(six_pieces: TokenizerBundle) -> None:
    first = word_piece("ca" + "mi" * 40, six_pieces).attempts[0]
    assert first.tried_total == 81  # ends at 82, 81, … 2
    assert len(first.tried) == tokenizer_traces.MAX_LISTED_CANDIDATES
    assert first.tried[0] == "ca" + "mi" * 40
    assert first.tried[-1] == "ca"


# --- BPE --------------------------------------------------------------------------------------------------

THREE_MERGES = [("l", "a"), ("a", "s"), ("la", "s")]


def bpe(merges: list[tuple[str, str]] = THREE_MERGES, symbols: str = "lasuno", **options: object) -> Tokenizer:
    extra = options.pop("extra", [])
    prefix = str(options.get("continuing_subword_prefix") or "")
    pieces = [*extra, *symbols, *(a + b[len(prefix) :] for a, b in merges)]  # type: ignore[misc]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    return Tokenizer(models.BPE(vocabulary, merges, **options))


def bpe_trace(text: str, backend: Tokenizer) -> BPETrace:
    (item,) = trace_all(text, make(backend))
    assert isinstance(item, PreToken)
    assert isinstance(item.trace, BPETrace)
    return item.trace


def test_bpe_applies_the_lowest_rank_first() -> None:
    trace = bpe_trace("solas", bpe())
    assert trace.symbols == ("s", "o", "l", "a", "s")
    # (l, a) has rank 0; it takes the "a" that (a, s), rank 1, would have needed; then (la, s), rank 2.
    assert trace.merges == (BPEMerge("l", "a", "la", 0, 2), BPEMerge("la", "s", "las", 2, 2))
    assert list(trace.states()) == [
        ("s", "o", "l", "a", "s"),
        ("s", "o", "la", "s"),
        ("s", "o", "las"),
    ]
    assert [token.piece for token in trace.tokens] == ["s", "o", "las"]


def test_bpe_merges_equal_pairs_from_the_left() -> None:
    trace = bpe_trace("lala", bpe())
    assert [(merge.merged, merge.at) for merge in trace.merges] == [("la", 0), ("la", 2)]
    assert list(trace.states())[1:] == [("la", "l", "a"), ("la", "la")]


def test_bpe_unknown_characters_are_fused_dropped_or_spelled() -> None:
    unknown = {"extra": ["<unk>"], "unk_token": "<unk>"}
    assert bpe_trace("lañçs", bpe(**unknown)).symbols == ("l", "a", "<unk>", "<unk>", "s")
    assert bpe_trace("lañçs", bpe(**unknown, fuse_unk=True)).symbols == ("l", "a", "<unk>", "s")
    dropped = bpe_trace("lañs", bpe())
    assert dropped.dropped == ("ñ",)
    assert [token.piece for token in dropped.tokens] == ["las"]
    spelled = bpe(extra=["<unk>", "<0xC3>", "<0xB1>"], unk_token="<unk>", byte_fallback=True)
    assert [t.piece for t in bpe_trace("uñç", spelled).tokens] == ["u", "<0xC3>", "<0xB1>", "<unk>"]


def test_bpe_can_look_the_whole_word_up_first() -> None:
    merges = [("l", "a"), ("a", "s")]
    direct = bpe(merges, "las", extra=["las"], ignore_merges=True)
    trace = bpe_trace("las", direct)
    assert trace.whole
    assert trace.merges == ()
    assert [t.piece for t in trace.tokens] == ["las"]
    assert [t.piece for t in bpe_trace("las", bpe(merges, "las", extra=["las"])).tokens] == ["la", "s"]


def test_bpe_of_2000_characters_is_quick(gpt2: TokenizerBundle) -> None:
    trace_all("a", gpt2)
    began = time.perf_counter()
    tokens = traced("ñandú" * 400, gpt2)
    # Generous: a quadratic implementation takes many seconds.
    assert time.perf_counter() - began < 15
    assert tokens == returned("ñandú" * 400, plain(gpt2.backend))


@QUICK
@given(data=st.data())
def test_any_bpe_matches_the_library(data: st.DataObject) -> None:
    prefix = data.draw(st.sampled_from([None, "", "##"]))
    suffix = data.draw(st.sampled_from([None, "", "</w>"]))
    letters = "abcñ"
    pieces = {letter + tail: None for letter in letters for tail in {"", suffix or ""}}
    pieces.update({(prefix or "") + piece: None for piece in list(pieces)})
    if data.draw(st.booleans()):
        pieces.update(dict.fromkeys(["<0xC3>", "<0xB1>", "<0xA9>"]))
    for dropped in data.draw(st.lists(st.sampled_from(sorted(pieces)), max_size=3)):
        pieces.pop(dropped, None)
    pieces.setdefault("a")
    unknown = data.draw(st.sampled_from([None, "<unk>"]))
    if unknown:
        pieces[unknown] = None
    merges: list[tuple[str, str]] = []
    for _ in range(data.draw(st.integers(0, 14))):
        left = data.draw(st.sampled_from(sorted(pieces)))
        right = data.draw(st.sampled_from(sorted(p for p in pieces if p.startswith(prefix or "")) or ["a"]))
        if not right.startswith(prefix or ""):
            continue
        merges.append((left, right))
        pieces[left + right[len(prefix or "") :]] = None
    names = {"unk_token": unknown, "continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}
    backend = Tokenizer(
        models.BPE(
            {piece: i for i, piece in enumerate(pieces)},
            merges,
            **{name: value for name, value in names.items() if value is not None},
            fuse_unk=data.draw(st.booleans()),
            byte_fallback=data.draw(st.booleans()),
            ignore_merges=data.draw(st.booleans()),
        )
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for _ in range(4):
        text = data.draw(st.text("abcñéx ", max_size=14))
        assert traced(text, make(backend)) == returned(text, backend)


# --- Unigram ----------------------------------------------------------------------------------------------

SCORES = [("<unk>", 0.0), ("s", -2.0), ("o", -2.5), ("l", -3.0), ("sol", -4.0), ("so", -3.0), ("ol", -3.5)]


def unigram(scores: list[tuple[str, float]] = SCORES, **options: object) -> Tokenizer:
    return Tokenizer(models.Unigram(scores, 0, **options))


def unigram_trace(text: str, backend: Tokenizer) -> UnigramTrace:
    (item,) = trace_all(text, make(backend))
    assert isinstance(item, PreToken)
    assert isinstance(item.trace, UnigramTrace)
    return item.trace


def test_unigram_picks_the_best_sum_and_shows_who_lost() -> None:
    trace = unigram_trace("sol", unigram())
    assert ([p.text for p in trace.best.pieces], trace.best.score) == (["sol"], -4.0)
    assert [([p.text for p in way.pieces], way.score) for way in trace.runners_up] == [
        (["s", "ol"], -5.5),
        (["so", "l"], -6.0),
        (["s", "o", "l"], -7.5),
    ]
    assert trace.segmentations == 4
    assert trace.tokens == (TracedToken("sol", 4),)


def test_unigram_unknown_characters_cost_ten_more_than_the_rarest_piece_and_are_fused() -> None:
    trace = unigram_trace("soñé", unigram())
    assert trace.unknown_score == -14.0  # the lowest score, −4, minus 10
    assert [(p.text, p.score, p.unknown) for p in trace.best.pieces] == [
        ("so", -3.0, False),
        ("ñ", -14.0, True),
        ("é", -14.0, True),
    ]
    assert trace.best.score == -31.0
    assert trace.tokens == (TracedToken("so", 5), TracedToken("ñé", 0))
    spelled = unigram([*SCORES, ("<0xC3>", -9.0), ("<0xB1>", -9.0)], byte_fallback=True)
    assert [t.piece for t in unigram_trace("soñ", spelled).tokens] == ["so", "<0xC3>", "<0xB1>"]


def test_unigram_long_words_do_not_blow_up(tiny_unigram: TokenizerBundle) -> None:
    trace_all("a", tiny_unigram)
    text = "canción" * 300
    began = time.perf_counter()
    (item,) = trace_all(text, tiny_unigram)
    assert time.perf_counter() - began < 15
    assert isinstance(item.trace, UnigramTrace)  # type: ignore[union-attr]
    assert (item.trace.runners_up, item.trace.segmentations) == ((), None)  # type: ignore[union-attr]
    assert traced(text, tiny_unigram) == returned(text, tiny_unigram.backend)


def test_unigram_without_unknown_token_says_what_is_missing() -> None:
    backend = Tokenizer(models.Unigram([("a", -1.0)], None))
    with pytest.raises(InputInvalid, match="ñ"):
        trace_all("ñ", make(backend))


@QUICK
@given(data=st.data())
def test_any_unigram_matches_the_library(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.text("abñ", min_size=1, max_size=4), max_size=10, unique=True))
    # Quarters add up exactly, so that ties are real ties.
    scores = [(w, -data.draw(st.integers(1, 24)) / 4) for w in words]
    if data.draw(st.booleans()):
        scores += [("<0xC3>", -7.0), ("<0xB1>", -7.0)]
    # With "x" the unknown token's own text can stand in the text, too.
    unknown = data.draw(st.sampled_from(["<unk>", "x"]))
    backend = unigram([(unknown, -1.0), *scores], byte_fallback=data.draw(st.booleans()))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for _ in range(4):
        text = data.draw(st.text("abñx ", max_size=12))
        bundle = make(backend)
        assert traced(text, bundle) == returned(text, backend)
        for item in trace_all(text, bundle):
            assert isinstance(item, PreToken)
            assert isinstance(item.trace, UnigramTrace)
            ways = [item.trace.best, *item.trace.runners_up]
            assert [w.score for w in ways] == sorted((w.score for w in ways), reverse=True)
            assert len({tuple(p.text for p in w.pieces) for w in ways}) == len(ways)
            assert item.trace.segmentations is not None
            assert len(ways) == min(item.trace.segmentations, 1 + tokenizer_traces.MAX_RUNNERS_UP)
            for way in ways:
                assert "".join(p.text for p in way.pieces) == item.text
                assert math.isclose(sum(p.score for p in way.pieces), way.score)


# --- the whole pipeline -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUNDLES)
def test_traces_end_in_what_the_tokenizer_returns(name: str, request: pytest.FixtureRequest) -> None:
    bundle = request.getfixturevalue(name)
    backend = plain(bundle.backend)

    @settings(max_examples=120, deadline=None)
    @given(TEXTS)
    @example("")
    @example(" ")
    @example("El niño [MASK] comió; [UNK]ñ.")
    @example("x" * 101 + " " + "á" * 100)
    @example("👩\u200d👩\u200d👧" * 100)
    def check(text: str) -> None:
        assert traced(text, bundle) == returned(text, backend)
        items = trace_all(text, bundle)
        assert all(0 <= item.start <= item.end <= len(text) for item in items)
        assert [item.start for item in items] == sorted(item.start for item in items)

    check()


def llama_like() -> Tokenizer:
    """Prepend and Replace as normalizers, no pre-tokenizer, byte fallback, as in Llama 2."""
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    backend = bpe([("▁", "l"), ("▁l", "a"), ("a", "s")], "▁lasuno", extra=["<unk>", *fallback],
                  unk_token="<unk>", byte_fallback=True, fuse_unk=True)  # fmt: skip
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("<pad>", normalized=True)])
    return backend


def roberta_like() -> Tokenizer:
    """Byte-level BPE with a mask that takes the space before it, and an added word that is matched late."""
    alphabet = "".join(sorted(pre_tokenizers.ByteLevel.alphabet()))
    backend = bpe([("Ġ", "l"), ("a", "s")], alphabet)
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    backend.add_tokens([AddedToken("SOL", single_word=True), AddedToken("solas", rstrip=True), "ñu"])
    return backend


def t5_like() -> Tokenizer:
    """Unigram with Metaspace that marks only the beginning of the text."""
    backend = unigram([*SCORES, ("▁", -3.0), ("▁s", -3.0)])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    backend.add_special_tokens(["</s>", AddedToken("<x>", lstrip=True, rstrip=True)])
    return backend


@pytest.mark.parametrize("build", [llama_like, roberta_like, t5_like])
def test_added_tokens_and_marks_in_other_pipelines(build: object) -> None:
    backend = build()  # type: ignore[operator]
    bundle = make(backend)
    parts = [
        *(
            "sol",
            "SOL",
            "solas",
            "Solas",
            "<s>",
            "<mask>",
            "<pad>",
            "</s>",
            "<x>",
            "ñu",
            "n\u0303u",
            " ",
            "  ",
        ),
        *("la", "_", "é", "\u0301", "▁", "1", "<", "👩\u200d👧"),
    ]

    @settings(max_examples=250, deadline=None)
    @given(st.lists(st.sampled_from(parts), max_size=9).map("".join))
    @example("<x> <x>  sol")
    @example("sol <mask> <mask>")
    def check(text: str) -> None:
        assert traced(text, bundle) == returned(text, backend)

    check()


# --- stages -----------------------------------------------------------------------------------------------


def cut(text: str, word: str, bundle: TokenizerBundle) -> Stages:
    start = text.index(word)
    return stages(text, bundle, start, start + len(word))


def test_bert_takes_case_and_accent_in_the_librarys_order(bert_uncased: TokenizerBundle) -> None:
    result = cut("¡Qué Niño!", "Niño", bert_uncased)
    assert [(s.name, s.before, s.after, s.changed) for s in result.normalizer] == [
        ("clean_text", "Niño", "Niño", False),
        ("handle_chinese_chars", "Niño", "Niño", False),
        ("strip_accents", "Niño", "Nino", True),
        ("lowercase", "Nino", "nino", True),
    ]
    assert (result.original, result.normalized) == ("Niño", "nino")
    assert [(p.text, p.start, p.end) for p in result.pretokens] == [("nino", 5, 9)]
    assert result.pretokenizers == ("BertPreTokenizer",)
    assert result.pretoken_total == 4
    post = result.postprocessor
    assert post.name == "TemplateProcessing"
    assert [(t.piece, t.id, t.index) for t in post.added] == [
        ("[CLS]", 101, 0),
        ("[SEP]", 102, post.total - 1),
    ]


def test_uncased_beto_lower_cases_and_keeps_accents(beto_uncased: TokenizerBundle) -> None:
    result = cut("Él HACÍA té", "HACÍA", beto_uncased)
    assert [s.name for s in result.normalizer] == ["clean_text", "handle_chinese_chars", "lowercase"]
    assert result.normalized == "hacía"


def test_a_space_before_the_word_belongs_to_its_byte_level_pre_token(gpt2: TokenizerBundle) -> None:
    result = cut("El niño", "niño", gpt2)
    assert [(p.text, p.start, p.end) for p in result.pretokens] == [("ĠniÃ±o", 2, 7)]
    assert result.normalizer == ()
    assert result.normalized == "niño"
    assert result.postprocessor.added == ()


def test_the_mark_is_prepended_where_the_text_begins_only() -> None:
    bundle = make(llama_like())
    first = cut("la sola", "la", bundle)
    assert [(s.name, s.detail, s.before, s.after) for s in first.normalizer] == [
        ("Prepend", "▁", "la", "▁la"),
        ("Replace", "' ' → '▁'", "▁la", "▁la"),
    ]
    assert cut("la sola", " sola", bundle).normalized == "▁sola"
    assert cut("la sola", "sola", bundle).normalized == "sola"


def test_an_added_token_in_the_text_is_set_apart(beto_uncased: TokenizerBundle) -> None:
    result = cut("El [MASK] canta", "[MASK]", beto_uncased)
    (token,) = result.added
    assert (token.content, token.id, token.start, token.end) == ("[MASK]", 0, 3, 9)
    assert token.special
    assert not token.normalized
    assert (result.pretokens, result.normalized) == ((), "")
    # Typed tokens aren't the post-processor's.
    assert [t.piece for t in result.postprocessor.added] == ["[CLS]", "[SEP]"]


def test_a_slice_may_vanish(bert_uncased: TokenizerBundle) -> None:
    result = cut("a\u200db", "\u200d", bert_uncased)
    assert result.normalizer[0].name == "clean_text"
    assert result.normalizer[0].after == ""
    assert result.normalized == ""


def test_a_slice_deep_in_a_long_text_is_found(bert_uncased: TokenizerBundle) -> None:
    text = "é\u0301 " * 3000 + "CANCIÓN " + "中ñ" * 1000
    result = cut(text, "CANCIÓN", bert_uncased)
    assert [s.after for s in result.normalizer] == ["CANCIÓN", "CANCIÓN", "CANCION", "cancion"]
    assert [p.text for p in result.pretokens] == ["cancion"]


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2), (0, 6)])
def test_a_slice_outside_the_text_is_refused(bert_uncased: TokenizerBundle, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="no slice"):
        stages("hola.", bert_uncased, start, end)


def test_another_algorithm_is_refused_with_a_reason() -> None:
    bundle = make(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(InputInvalid, match="WordLevel"):
        trace_all("a", bundle)


@pytest.mark.parametrize("name", ["bert_uncased", "beto_uncased", "tiny_unigram", "llama_like"])
def test_the_steps_together_are_the_normalizer(name: str, request: pytest.FixtureRequest) -> None:
    bundle = make(llama_like()) if name == "llama_like" else request.getfixturevalue(name)
    normalizer = bundle.backend.normalizer

    @settings(max_examples=150, deadline=None)
    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
    @example("İSTANBUL ǅ Ω ŉ\u0345")
    def check(text: str) -> None:
        if any(token in text for token in bundle.special_tokens):
            return
        result = stages(text, bundle, 0, len(text))
        assert result.normalized == normalizer.normalize_str(text)
        assert result.normalizer[0].before == text

    check()


@pytest.mark.parametrize("name", BUNDLES)
def test_pretokens_of_any_slice_are_those_of_the_whole_text(name: str, request: pytest.FixtureRequest) -> None:
    bundle = request.getfixturevalue(name)

    @settings(max_examples=40, deadline=None)
    @given(TEXTS.filter(bool), st.data())
    def check(text: str, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        result = stages(text, bundle, start, end)
        whole = [item for item in trace_all(text, bundle) if item.start < end and item.end > start]
        assert list(result.pretokens) == [item for item in whole if isinstance(item, PreToken)]
        assert list(result.added) == [item for item in whole if not isinstance(item, PreToken)]

    check()


def test_the_post_processor_may_add_tokens_on_both_sides() -> None:
    backend = bpe(extra=["<s>", "</s>"])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    post = cut("las", "las", make(backend)).postprocessor
    assert [(t.piece, t.index) for t in post.added] == [("<s>", 0), ("</s>", 2)]
    assert post.total == 3
