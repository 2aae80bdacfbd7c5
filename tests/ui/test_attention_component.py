import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.i18n import set_language
from core.lens.attention import AttentionMap
from core.ui.attention import (
    _FOLDER,
    SCRIPT,
    STYLE,
    AttentionSelection,
    _answer,
    _Memory,
    _Report,
    _selection,
    header_of,
    message,
)
from core.ui.attention.export import export_html
from core.ui.attention.packing import COARSE, FINE, THUMBNAIL, Have, identity, levels, reduced, step, weights_of
from tests.attention_maps import VectorsOfDemo, demo_map, random_map

FIRST = AttentionSelection("model", 0, (0,))


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Header, and planes by kind and layer, as store.js reads them."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    begin = 4 + length + (-length % 4)
    planes = {}
    for plane in header["planes"]:
        dtype = {"u1": "<u1", "u2": "<u2", "f4": "<f4"}[plane["type"]]
        array = np.frombuffer(data, dtype, int(np.prod(plane["shape"])), begin + plane["at"])
        name = plane["kind"] + (f" {plane['layer']}" if "layer" in plane else "")
        planes[name] = array.reshape(plane["shape"])
    return header, planes


@pytest.mark.parametrize("top", [COARSE, FINE])
def test_levels_and_back_stay_within_the_step(top: int) -> None:
    weights = np.concatenate([np.linspace(0, 1, 4001), 10.0 ** np.arange(-12.0, 0), [0.0, 1.0]]).astype(np.float32)
    whole = levels(weights, top)
    back = weights_of(whole, top)
    assert np.all(np.abs(back - weights) <= step(weights, top) + 1e-7)
    assert np.array_equal(whole == 0, weights == 0)
    assert (back[-2], back[-1]) == (0.0, 1.0)
    assert np.max(step(weights, FINE)) < 2e-5


def test_levels_of_weights_worked_by_hand() -> None:
    weights = np.array([0, 1e-9, 0.25, 0.5, 1], dtype=np.float32)
    assert levels(weights).tolist() == [0, 1, 128, 180, 255]  # 255·√0.25 = 127.5 goes to the even one


def test_a_thumbnail_keeps_the_maximum_of_each_block() -> None:
    whole = np.zeros((2, 100, 70), dtype=np.uint8)
    whole[0, 99, 69] = 200
    whole[0, 0, 0] = 7
    whole[1, 50, 35] = 90
    small = reduced(whole, 48)
    assert small.shape == (2, 48, 48)
    assert (small[0, 47, 47], small[0, 0, 0], small[1, 24, 24]) == (200, 7, 90)
    assert np.count_nonzero(small) == 3
    assert reduced(whole[:, :20, :20]) is not None
    assert reduced(whole[:, :20, :20]).shape == (2, 20, 20)


@pytest.mark.parametrize(("tokens", "limit"), [(32, 1_000_000), (128, 1_000_000), (256, 2_000_000), (512, 4_000_000)])
def test_the_first_view_of_a_twelve_by_twelve_model_is_small(tokens: int, limit: int) -> None:
    amap = random_map(12, 12, tokens)
    data = message(amap, FIRST)
    assert len(data) <= limit
    header, planes = unpacked(data)
    assert header["shape"] == [12, 12, tokens, tokens]
    top = FINE if planes["layer 0"].dtype == np.uint16 else COARSE
    assert top == (FINE if tokens <= 128 else COARSE)
    back = weights_of(planes["layer 0"], top)  # type: ignore[arg-type]
    assert np.all(np.abs(back - amap.weights[0]) <= step(amap.weights[0], top) + 1e-7)
    side = min(tokens, THUMBNAIL)
    assert planes["thumbnails"].shape == (12, 12, side, side) if tokens > 32 else True
    # With what the browser has, nothing but tokens and words travels again.
    have = Have(header["id"], True, frozenset(range(12)))
    assert len(message(amap, FIRST, have=have)) < 60_000


def test_a_short_text_travels_whole_and_needs_no_thumbnails() -> None:
    amap = demo_map()
    _header, planes = unpacked(message(amap, FIRST))
    assert sorted(planes) == [f"layer {n}" for n in range(4)]


def test_what_is_asked_for_travels_and_nothing_else() -> None:
    amap = demo_map(tokens="300", layers="3")
    have = Have(identity(amap), True, frozenset({0}))
    _header, planes = unpacked(message(amap, replace(FIRST, layer=2, row=5), have=have))
    assert sorted(planes) == ["layer 2", "row 2"]
    assert np.array_equal(planes["row 2"], amap.weights[2, :, 5, :])
    other = Have("another map", True, frozenset({0, 1, 2}))
    _header, planes = unpacked(message(amap, FIRST, have=other))
    assert {"thumbnails", "layer 0"} <= set(planes)


def test_the_same_content_has_the_same_name_and_another_has_not() -> None:
    amap = demo_map()
    twin = replace(amap, weights=amap.weights.copy())
    assert identity(amap) == identity(twin)
    changed = amap.weights.copy()
    changed[1, 2, 3, 4] += np.float32(1e-6)
    assert identity(replace(amap, weights=changed)) != identity(amap)
    words = demo_map(words="The animal didn't cross the street because it was too tyred")
    assert identity(replace(words, weights=amap.weights)) != identity(amap)


def test_vectors_travel_with_the_neuron_view_alone() -> None:
    amap = demo_map(kind="decoder")
    vectors = VectorsOfDemo(amap, 1, 2)
    chosen = AttentionSelection("neuron", 1, (2,))
    header, planes = unpacked(message(amap, chosen, neuron=vectors))
    assert header["neuron"]["dimensions"] == 32
    scores = planes["query"] @ planes["key"].T * header["neuron"]["scale"] + planes["bias"]
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    assert np.allclose(powers / powers.sum(-1, keepdims=True), amap.weights[1, 2], atol=1e-5)
    assert "query" not in unpacked(message(amap, replace(chosen, view="head"), neuron=vectors))[1]
    assert "query" not in unpacked(message(amap, replace(chosen, heads=(3,)), neuron=vectors))[1]
    header, _planes = unpacked(message(amap, chosen))
    assert header["no_vectors"] is True


def test_causal_only_where_nothing_looks_ahead() -> None:
    def causal(amap: AttentionMap) -> bool:
        found: bool = header_of(amap, FIRST, command=0, captions=None, name="", views=("model",))["causal"]
        return found

    decoder = demo_map(kind="decoder")
    assert causal(decoder)
    assert not causal(demo_map())
    ahead = decoder.weights.copy()
    ahead[3, 11, 0, 1] = 0.1
    assert not causal(replace(decoder, weights=ahead))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("head", 99, [50], (99, 99)), AttentionSelection("head", 3, (0,))),
        (("nothing", -3, [], None), AttentionSelection("model", 0, (0,))),
        (("text", "1", ["x", True, 2.0, 2], (1.0, "2")), AttentionSelection("text", 0, (2,), 1)),
        (("matrix", 1, [7, 2, 2], (0, 12)), AttentionSelection("matrix", 1, (2, 7), 0, 12)),
    ],
)
def test_a_selection_is_brought_inside_the_map(asked: tuple[Any, ...], expected: AttentionSelection) -> None:
    assert _selection(demo_map(), *asked) == expected


def test_only_two_texts_have_lines_to_choose_by_who_looks_at_whom() -> None:
    pair = demo_map(pair="it was lost")
    assert _selection(pair, "head", 0, [0], None, only="ba").only == "ba"
    assert _selection(pair, "head", 0, [0], None, only="<b>").only == "all"
    assert _selection(demo_map(), "head", 0, [0], None, only="ba").only == "all"


def test_arguments_are_a_command_only_when_they_say_something_new() -> None:
    start, example, moved = FIRST, AttentionSelection("head", 2, (6,), 3), AttentionSelection("matrix", 1, (4,))

    def report(chosen: AttentionSelection, applied: int) -> _Report:
        return _Report(chosen, applied, Have("m"))

    # First run, and the browser has not spoken.
    assert _answer(start, _Memory(), _Report(), "m") == (start, False)
    memory = _Memory(start, start, "m", 0)
    # A page with constants: what the browser says counts.
    assert _answer(start, memory, report(moved, 0), "m") == (moved, False)
    # A page that hands the last answer back, while the browser has moved on.
    assert _answer(moved, _Memory(start, moved, "m", 0), report(example, 0), "m") == (example, False)
    # A button: news, and until the browser has done it, its word is old.
    assert _answer(example, memory, report(moved, 0), "m") == (example, True)
    assert _answer(example, _Memory(example, example, "m", 1), report(moved, 0), "m") == (example, False)
    assert _answer(example, _Memory(example, example, "m", 1), report(moved, 1), "m") == (moved, False)
    # Another text: the same view, but the page's token.
    assert _answer(start, memory, report(replace(moved, row=7), 0), "other") == (moved, False)


def test_export_is_one_page_that_no_token_can_break_out_of() -> None:
    evil = "</script><script>alert(1)</script> <!-- \u2028 🧉 \ud800 {braces} &amp;"
    amap = demo_map(words=evil)
    page = export_html(amap, title="</title><script>alert(2)</script>", name=evil, text="<img src=x>").decode()
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "alert(1)" not in page
    assert "<img" not in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    (packed,) = re.findall(r'id="data">([A-Za-z0-9+/=]+)</script>', page)
    header, planes = unpacked(zlib.decompress(base64.b64decode(packed)))
    shown = [token[0] for token in header["rows"]]
    assert shown == ["[CLS]", *evil.replace("\ud800", "\ufffd").split(" "), "[SEP]"]
    assert np.allclose(weights_of(planes["layer 3"], FINE), amap.weights[3], atol=2e-5)  # type: ignore[arg-type]
    assert "neuron" not in header["views"]


def test_export_of_some_layers() -> None:
    page = export_html(demo_map(), layer=3, layers=[1, 3, 77]).decode()
    (packed,) = re.findall(r'id="data">([A-Za-z0-9+/=]+)</script>', page)
    header, planes = unpacked(zlib.decompress(base64.b64decode(packed)))
    assert header["available"] == [1, 3]
    assert {name for name in planes if name.startswith("layer")} == {"layer 1", "layer 3"}
    assert header["select"]["layer"] == 3


def test_javascript_uses_exactly_the_labels_it_is_given() -> None:
    header, _planes = unpacked(message(demo_map(), FIRST))
    used = set(re.findall(r"labels\.(\w+)", SCRIPT))
    assert used == set(header["labels"])


@pytest.fixture
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("es")


def test_labels_speak_the_reader_s_language(english: None) -> None:
    header, _planes = unpacked(message(demo_map(), FIRST))
    assert header["labels"]["language"] == "en"


def test_javascript_never_parses_text_as_html_and_asks_nobody() -> None:
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "createContextualFragment"):
        assert way not in SCRIPT
    for way in ("fetch(", "XMLHttpRequest", "WebSocket", "import(", "@import", "url(http"):
        assert way not in SCRIPT + STYLE
    assert "</script" not in SCRIPT.lower()
    assert "</style" not in STYLE.lower()


# Simulated dichromats after Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DICHROMATS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def _linear(colours: list[str]) -> np.ndarray[Any, Any]:
    values = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)


@pytest.mark.parametrize(("theme", "paper"), [("light", "#ffffff"), ("dark", "#10161d")])
def test_twelve_heads_can_be_told_apart_by_everybody(theme: str, paper: str) -> None:
    source = (_FOLDER / "util.js").read_text(encoding="utf-8")
    block = re.search(rf"const HEADS = {{.*?{theme}: \[(.*?)\]", source, re.S)
    assert block
    colours = re.findall(r"#[0-9a-f]{6}", block[1])
    assert len(colours) == 12
    linear = _linear(colours)
    for kind, matrix in DICHROMATS.items():
        lab = _lab(np.clip(linear @ np.transpose(matrix), 0, 1))
        distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1000 * np.eye(12)
        assert distances.min() > 20, kind
    light = linear @ [0.2126, 0.7152, 0.0722]
    (behind,) = _linear([paper]) @ [0.2126, 0.7152, 0.0722]
    ratio = (np.maximum(light, behind) + 0.05) / (np.minimum(light, behind) + 0.05)
    assert ratio.min() >= 2.3
