import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InputInvalid, InputTooLong
from core.lens import corpus
from core.lens.corpus import (
    MAX_BYTES,
    AnalysisCancelled,
    Locality,
    analyse,
    locality,
    read_upload,
    split_line,
    word_table,
)
from core.lens.tokenization import Tally, clean_text, segment, tally, tokenize
from core.runtime.tokenizer import TokenizerBundle

FRAGMENTS = st.sampled_from(
    [
        "niño", "niño", "El", "comió,", "«habitación»", "l'avi", "'", "12,5", "don't", "n\u0303", "\u0301",
        " \u0301",
        " ", " ", "  ", "\n", "\r\n", "\r", "\t", " \t", "\u2028", "\u00a0", "\u3000", "\u200d", "\u200b",
        "\x00",
        "[MASK]", "a[UNK]b", "[UNK]", "<unk>", "<s>", "<|endoftext|>", "▁", "x▁", "\ufffd", "\u0d4e",
        "\ufeff",
        "👨‍👩‍👧", "你好", "½", "ﬁ", "\u00a8",
    ]
)  # fmt: skip
DOUBTFUL = st.sampled_from(["\x0b", "\x0c", "\x1c", "\x85"])
TEXTS = (
    st.lists(FRAGMENTS | DOUBTFUL | st.text(max_size=3), min_size=1, max_size=25)
    | st.lists(FRAGMENTS | st.sampled_from(["casa ", "perro "]), min_size=1, max_size=25)
).map("".join).map(lambda raw: clean_text(raw)[0]).filter(str.strip)  # fmt: skip
PROPERTY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BUNDLES = ["bert_uncased", "tiny_unigram", "tiny_bpe_bytes", "tiny_bpe_metaspace", "gpt2", "beto_cased"]


@pytest.fixture(autouse=True, scope="session")
def _whole_texts(bert_uncased: TokenizerBundle) -> None:
    """The file that ships with MiniLM sets padding and truncation at 128; a bundle has neither."""
    bert_uncased.backend.no_padding()
    bert_uncased.backend.no_truncation()


@pytest.fixture(params=BUNDLES)
def bundle(request: pytest.FixtureRequest) -> TokenizerBundle:
    return request.getfixturevalue(request.param)


def naive(text: str, bundle: TokenizerBundle) -> tuple[Tally, dict[str, int], dict[str, set[int]]]:
    """Line by line through ``tokenize``: sums, word → count, word → numbers of tokens seen."""
    sums = Tally()
    counts: dict[str, int] = {}
    cuts: dict[str, set[int]] = {}
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        segments = segment(line)
        tokens = [t for t in tokenize(line, bundle, segments) if t.kind != "special" or t.start < t.end]
        sums += tally(
            np.array([t.unit for t in tokens], np.int64),
            np.array([t.last_unit for t in tokens], np.int64),
            np.array([t.kind == "unknown" for t in tokens], np.bool_),
            np.array([s.kind == "word" for s in segments if s.unit >= 0], np.bool_),
        )
        for s in segments:
            if s.kind == "word":
                counts[s.text] = counts.get(s.text, 0) + 1
                here = sum(t.start < s.end and s.start < t.end and t.start < t.end for t in tokens)
                cuts.setdefault(s.text, set()).add(here)
    return sums, counts, cuts


@PROPERTY
@given(text=TEXTS)
def test_every_route_equals_line_by_line(bundle: TokenizerBundle, text: str) -> None:
    report = analyse(text, bundle)
    sums, counts, cuts = naive(text, bundle)
    assert report.figures == sums.figures(len(text))
    assert {word: n for word, (n, _t) in report.words.items()} == counts
    assert all(tokens in cuts[word] for word, (_n, tokens) in report.words.items())
    assert sum(report.figures.tokens_per_word) == report.figures.words == sum(counts.values())


@PROPERTY
@given(text=TEXTS)
def test_the_short_way_equals_the_long_way(bundle: TokenizerBundle, text: str) -> None:
    def without_time(route: Callable[[], corpus.CorpusReport]) -> tuple[object, ...]:
        report = route()
        return report.figures, report.worst, dict(report.words), report.lines

    def the_long_way() -> corpus.CorpusReport:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(corpus, "locality", lambda _bundle: Locality.LINE)
            return analyse(text, bundle)

    assert without_time(lambda: analyse(text, bundle)) == without_time(the_long_way)


def test_routes(
    bert_uncased: TokenizerBundle,
    tiny_unigram: TokenizerBundle,
    tiny_bpe_bytes: TokenizerBundle,
    tiny_bpe_metaspace: TokenizerBundle,
) -> None:
    assert locality(bert_uncased) is Locality.CHUNK
    assert locality(tiny_unigram) is Locality.CHUNK
    assert locality(tiny_bpe_bytes) is Locality.SPACE
    assert locality(tiny_bpe_metaspace) is Locality.LINE


def test_batches_make_no_difference(bundle: TokenizerBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    words = ["El", "niño", "comió", "pan,", "ayer\n", "habitación", "[MASK]", "12,5", "¿sí?"]
    text = " ".join(chance.choices(words, k=800))
    whole = analyse(text, bundle)
    monkeypatch.setattr(corpus, "_BATCH_CHARACTERS", 50)
    monkeypatch.setattr(corpus, "_GROUP", 3)
    pieces = analyse(text, bundle)
    assert (whole.figures, whole.worst, whole.words) == (pieces.figures, pieces.worst, pieces.words)


def test_report_by_hand(bert_uncased: TokenizerBundle) -> None:
    text = "El niño comió pan.\nEl niño comió en la habitación."
    report = analyse(text, bert_uncased)
    # el nino com ##io pan . / el nino com ##io en la habit ##acion .
    numbers = report.figures
    assert (numbers.characters, numbers.words, numbers.tokens) == (50, 10, 15)
    assert numbers.special_tokens == numbers.unknown == 0
    assert numbers.fertility == 13 / 10
    assert numbers.whole_words == 7 / 10
    assert numbers.tokens_per_word == (0, 7, 3)
    assert numbers.window_share == 15 / 512
    assert (report.lines, report.distinct_words) == (2, 7)
    assert [(w.word, w.count, w.tokens) for w in report.worst] == [
        ("comió", 2, ("com", "##io")),
        ("habitación", 1, ("habit", "##acion")),
    ]


def test_worst_words_are_ten_and_ties_go_to_the_frequent(bert_uncased: TokenizerBundle) -> None:
    words = [f"habitación{letter}" for letter in "bcdfghjklmnp"]
    text = "\n".join([*words, "comió comió comió", "mañana"])
    report = analyse(text, bert_uncased)
    counts = [len(w.tokens) for w in report.worst]
    assert len(counts) == 10 and counts == sorted(counts, reverse=True)
    small = analyse("mañana comió comió", bert_uncased)
    assert [w.word for w in small.worst] == ["comió", "mañana"]


def test_lines_and_text_are_the_same(bert_uncased: TokenizerBundle) -> None:
    lines = ["El niño", "", "comió pan"]
    a, b = analyse(lines, bert_uncased), analyse("\n".join(lines), bert_uncased)
    assert (a.figures, a.words, a.lines) == (b.figures, b.words, b.lines)
    assert a.lines == 3


def test_word_table(bert_uncased: TokenizerBundle, tiny_bpe_bytes: TokenizerBundle) -> None:
    text = "pan comió comió =pan"
    reports = [analyse(text, b) for b in (bert_uncased, tiny_bpe_bytes)]
    rows = word_table(reports)
    assert [(r.word, r.count) for r in rows] == [("comió", 2), ("pan", 2)]
    assert rows[0].tokens[0] == 2 and rows[1].tokens[0] == 1
    assert all(len(r.tokens) == 2 for r in rows)
    assert word_table([]) == []
    with pytest.raises(ValueError, match="different corpora"):
        word_table([reports[0], analyse("otra cosa", tiny_bpe_bytes)])


def test_progress_and_cancel(bert_uncased: TokenizerBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_BATCH_CHARACTERS", 20)
    text = " ".join(f"palabra{i}" for i in range(40))
    seen: list[float] = []
    analyse(text, bert_uncased, progress=seen.append)
    assert len(seen) > 5 and seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1
    asked: list[bool] = []

    def third_time() -> bool:
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(AnalysisCancelled, match="detenido"):
        analyse(text, bert_uncased, cancelled=third_time)
    assert len(asked) == 3


@given(st.lists(st.sampled_from(["niño", " ", "  ", "\t", "largo" * 9, "\u00a0", " \u0301"]), max_size=30).map("".join))
def test_split_line_only_before_spaces(line: str) -> None:
    parts = split_line(line, 20)
    assert "".join(parts) == line
    assert all(part[0] == " " and not before[-1].isspace() for before, part in pairwise(parts))
    assert all(len(part) <= 20 + 45 * 30 for part in parts)


def test_long_line_with_doubtful_space(bert_uncased: TokenizerBundle, tiny_bpe_bytes: TokenizerBundle) -> None:
    line = "El niño\x0b comió en la  habitación\t" * 600  # deleted by BERT, white space for others
    assert len(split_line(line)) > 3
    for one in (bert_uncased, tiny_bpe_bytes):
        sums, counts, _cuts = naive(line, one)
        report = analyse(line, one)
        assert report.figures == sums.figures(len(line))
        assert {w: n for w, (n, _t) in report.words.items()} == counts


@pytest.mark.parametrize("text", ["", " \n\t", [], ["", " "]])
def test_empty_corpus(bert_uncased: TokenizerBundle, text: str | Sequence[str]) -> None:
    with pytest.raises(InputInvalid, match="vacío"):
        analyse(text, bert_uncased)


def test_corpus_limit_is_in_bytes(tiny_bpe_bytes: TokenizerBundle) -> None:
    line = "ñ" * 63 + "\n"  # 127 bytes
    with pytest.raises(InputTooLong, match="2 MB"):
        analyse(line * (MAX_BYTES // 127 + 1), tiny_bpe_bytes)


# --- uploads --------------------------------------------------------------------------------------


def test_upload_utf8_with_and_without_mark() -> None:
    assert read_upload("El niño\r\n你 🫠".encode(), "a.txt") == "El niño\r\n你 🫠"
    assert read_upload(b"\xef\xbb\xbf" + "ñ".encode(), "a.txt") == "ñ"


@pytest.mark.parametrize("data", [b"", b" \n\r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_upload_empty(data: bytes) -> None:
    with pytest.raises(InputInvalid, match=r"«a\.txt» está vacío"):
        read_upload(data, "a.txt")


def test_upload_latin_1_says_where_and_how() -> None:
    data = "Primera línea buena\n".encode() + "El niño comió".encode("latin-1")
    with pytest.raises(InputInvalid) as caught:
        read_upload(data, "cuento.txt")
    message = str(caught.value)
    assert "«cuento.txt» no está en UTF-8" in message
    assert "el byte 27 (0xF1, línea 2)" in message  # 21 bytes of line 1, then "El ni"
    assert "El niño comió" in message  # what it says when read as Windows-1252
    assert "Guárdalo como UTF-8" in message and "iconv -f WINDOWS-1252 -t UTF-8" in message


def test_upload_position_counts_the_mark() -> None:
    with pytest.raises(InputInvalid, match=r"el byte 5 \(0xFF, línea 1\)"):
        read_upload(b"\xef\xbb\xbfa\xff", "a.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_upload_wide_encodings(encoding: str) -> None:
    with pytest.raises(InputInvalid, match=encoding[:6].upper() + r".*Guárdalo como UTF-8"):
        read_upload("El niño comió pan.".encode(encoding), "a.txt")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hola\x00mundo", "posición 5"),
        (bytes(range(32)) * 4, "parece binario"),
        (b"\x7fELF\x02\x01\x01\x00" + bytes(50), "parece binario"),
        (b"%PDF-1.7\n\xe2\xe3", "parece PDF"),
        (b"PK\x03\x04\x14\x00", "DOCX"),
        (b"\x89PNG\r\n\x1a\n", "parece PNG"),
    ],
)
def test_upload_binary(data: bytes, expected: str) -> None:
    with pytest.raises(InputInvalid, match=expected):
        read_upload(data, "a.txt")


def test_upload_forgives_an_odd_control_character() -> None:
    assert read_upload(b"fin del archivo\x1a", "a.txt").endswith("\x1a")


def test_upload_limit() -> None:
    assert len(read_upload(b"a" * MAX_BYTES, "a.txt")) == 2 * 1024 * 1024
    with pytest.raises(InputTooLong, match=r"2,01 MB .* 2 MB"):
        read_upload(b"a" * (MAX_BYTES + 1), "a.txt")


def test_upload_name_is_harmless() -> None:
    with pytest.raises(InputInvalid) as caught:
        read_upload(b"", "\u202etxt\x00\ud800" + "x" * 500)
    assert "\u202e" not in str(caught.value) and len(str(caught.value)) < 200
