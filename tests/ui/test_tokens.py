import json
import math
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.lens.tokenization import Comparison, Cut, Figures, Row, Segment, Token, clean_text, compare
from core.runtime.tokenizer import TokenizerBundle
from core.ui.tokens import _FOLDER, build_payload

FIGURES = Figures(0, 0, 0, 0, None, None, None, 0, 0.0, ())


def payload(comparison: Comparison, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"ids": False, "spaces": False, "marks": True, "selected": None, "details": {}}
    return build_payload(comparison, **(defaults | options))


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    if isinstance(value, list):
        return [n for item in value for n in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


def test_payload_of_a_comparison_made_by_hand() -> None:
    text = "El ñandú 🧉"
    comparison = Comparison(
        text=text,
        segments=(
            Segment("El", 0, 2, "word", 0),
            Segment(" ", 2, 3, "space", -1),
            Segment("ñandú", 3, 8, "word", 1),
            Segment(" ", 8, 9, "space", -1),
            Segment("🧉", 9, 10, "other", 2),
        ),
        rows=(
            Row(
                "a",
                "A",
                "WordPiece",
                (
                    Token("[CLS]", 2, 0, 0, "[CLS]", "special", False, -1, -1),
                    Token("El", 5, 0, 2, "El", "piece", False, 0, 0),
                    Token("ñan", 6, 3, 6, "ñan", "piece", False, 1, 1),
                    Token("##dú", 7, 6, 8, "##dú", "piece", True, 1, 1),
                    Token("[UNK]", 1, 9, 10, "[UNK]", "unknown", False, 2, 2),
                ),
                FIGURES,
                0.1,
            ),
            Row(
                "b",
                "B",
                "BPE",
                (
                    Token("El", 9, 0, 2, "El", "piece", False, 0, 0),
                    Token("ĠÃ±", 8, 2, 4, " ñ", "piece", False, 1, 1),
                    Token("andÃº", 7, 4, 8, "andú", "piece", True, 1, 1),
                    Token("ĠðŁ", 4, 8, 10, " ‹F0 9F›", "bytes", False, 2, 2),
                    Token("§ī", 3, 9, 10, "‹A7 89›", "bytes", True, 2, 2),
                ),
                FIGURES,
                0.1,
            ),
        ),
        cuts=(Cut(4, 1, (1,), False), Cut(6, 1, (0,), False), Cut(9, 2, (1,), True)),
        replaced_surrogates=0,
    )
    made = payload(comparison, ids=True, selected=1, details={"a": "de aquí"})
    assert made["segments"] == [
        ["El", 1, 0, None],
        [" ", 0, -1, None],
        ["ñandú", 1, 1, [["ñ", [], 0], ["an", [1], 0], ["dú", [0], 0]]],
        [" ", 0, -1, None],
        ["🧉", 2, 2, [["🧉", [1], 1]]],
    ]
    first, second = made["rows"]
    assert (first["key"], first["name"], first["detail"], second["detail"]) == ("a", "A", "de aquí", "")
    assert first["tokens"] == [
        ["[CLS]", 2, 1, 0, -1, -1, "[CLS]", ""],
        ["El", 5, 0, 0, 0, 0, "El", "El"],
        ["ñan", 6, 0, 0, 1, 1, "ñan", "ñan"],
        ["##dú", 7, 0, 1, 1, 1, "##dú", "dú"],
        ["[UNK]", 1, 2, 0, 2, 2, "[UNK]", "🧉"],
    ]
    # The second half of the emoji joins the first (2): the whole emoji was already claimed.
    assert second["tokens"][3:] == [
        [" ‹F0 9F›", 4, 3, 0, 2, 2, "ĠðŁ", " 🧉"],
        ["‹A7 89›", 3, 3, 2, 2, 2, "§ī", ""],
    ]
    assert made["options"] == {"ids": True, "spaces": False, "marks": True, "selected": 1}
    assert payload(comparison)["options"]["selected"] == -1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.text(min_size=1, max_size=40).filter(lambda t: bool(t.strip())))
def test_parts_and_sources_rebuild_the_text(
    raw: str,
    tiny_bpe_bytes: TokenizerBundle,
    bert_uncased: TokenizerBundle,
    tiny_unigram: TokenizerBundle,
) -> None:
    text, _ = clean_text(raw)
    made = payload(compare(text, [bert_uncased, tiny_bpe_bytes, tiny_unigram]))
    assert "".join(segment[0] for segment in made["segments"]) == text
    for shown, _kind, _unit, parts in made["segments"]:
        if parts is not None:
            assert "".join(part[0] for part in parts) == shown
            assert all(part[1] == sorted(set(part[1])) for part in parts)
    # Bytes lose nothing, so the sources of a byte-level tokenizer are the text, each cluster once.
    assert "".join(token[7] for token in made["rows"][1]["tokens"]) == text
    units = sum(segment[1] != 0 for segment in made["segments"])
    for row in made["rows"]:
        for token in row["tokens"]:
            assert -1 <= token[4] <= token[5] < units
            assert token[7] or token[3] == 2 or token[4] == -1 or token[2] == 1
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_zwj_family_is_claimed_once(tiny_bpe_bytes: TokenizerBundle) -> None:
    family = "👨‍👩‍👧‍👦"
    (row,) = payload(compare(f"a {family}", [tiny_bpe_bytes]))["rows"]
    sources = [token[7] for token in row["tokens"]]
    assert "".join(sources) == f"a {family}"
    pieces = [token for token in row["tokens"] if token[4] == 1]
    assert len(pieces) > 4
    assert family in pieces[0][7]
    assert all(token[3] == 2 and token[7] == "" for token in pieces[1:])


def test_longest_text_makes_a_payload_of_reasonable_size(
    tiny_bpe_bytes: TokenizerBundle, bert_uncased: TokenizerBundle
) -> None:
    text = ("El departamento comunicó la industrialización. " * 500)[:20_000]
    made = payload(compare(text, [bert_uncased, tiny_bpe_bytes]))
    size = len(json.dumps(made, allow_nan=False))
    tokens = sum(len(row["tokens"]) for row in made["rows"])
    assert tokens > 10_000
    assert size < 100 * tokens  # bytes on the wire: some 0.5 MB for each tokenizer
    assert all(math.isfinite(n) for n in numbers(made))


def test_javascript_uses_exactly_the_labels_it_is_given(tiny_bpe_bytes: TokenizerBundle) -> None:
    labels = payload(compare("hola", [tiny_bpe_bytes]))["labels"]
    script = (_FOLDER / "tokens.js").read_text(encoding="utf-8")
    assert set(re.findall(r"labels\.(\w+)", script)) == set(labels)
    assert labels["language"] == "es"
    assert all(labels.values())


def test_javascript_never_parses_text_as_html() -> None:
    script = (_FOLDER / "tokens.js").read_text(encoding="utf-8")
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "createContextualFragment",
    ):
        assert way not in script
