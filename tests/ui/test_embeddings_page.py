"""The Embeddings page's code in a fresh interpreter, its component's message, and how its fields are read."""

import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalog import entry
from core.errors import InputInvalid
from core.i18n import set_language
from core.lens.cosine import cosine_steps
from core.lens.embeddings import TASK as SUM
from core.lens.embeddings import SumRequest
from core.lens.embeddings_batch import TASK as BATCH
from core.lens.embeddings_batch import BatchRequest
from core.lens.embeddings_contexts import TASK as CONTEXTS
from core.lens.embeddings_contexts import ContextRequest
from core.lens.embeddings_neighbours import MEASURES, Measure, NeighbourRequest
from core.lens.embeddings_neighbours import TASK as NEIGHBOURS
from core.lens.embeddings_pooling import TASK as POOLING
from core.lens.embeddings_pooling import PoolingRequest
from core.lens.embeddings_positions import TASK as POSITIONS
from core.lens.embeddings_positions import PositionRequest, cosines, rotary_similarity, sinusoids
from core.runtime.bundle import ModelBundle
from core.ui.embeddings import code
from core.ui.embeddings.by_hand import read_vector
from core.ui.embeddings.files import archive
from core.ui.embeddings.state import split_lines
from core.ui.embeddings.words import power_text
from core.ui.vector_sum import MOST_TOKENS, Patch, message
from tests.lens.attention_models import minilm
from tests.tasks.causal import decoder
from tests.tasks.translators import translator
from tests.ui.test_task_code import run

MINILM = entry("minilm")


def numbers(lines: list[str], skip: int = 0) -> np.ndarray:
    return np.array([[float(value) for value in line.split()[skip:]] for line in lines])


def here(program: str, bundle: ModelBundle, folder: Path) -> str:
    return program.replace(repr(bundle.entry.id), repr(str(folder / bundle.entry.id)))


@pytest.mark.parametrize("second", ["", 'It\'s "another" one\\.'])
def test_code_of_the_sum(second: str) -> None:
    with torch.inference_mode():
        found = SUM.run(minilm(), [SumRequest("A cat sleeps.", second)])[0]
    lines = run(code.sum_code(MINILM, "A cat sleeps.", second, found))
    assert [line.split()[0] for line in lines] == [token.piece for token in found.tokens]
    assert found.normalized is not None
    parts = [*(part.vectors for part in found.parts), found.normalized]
    expected = np.stack([np.linalg.norm(vectors, axis=1) for vectors in parts], axis=1)
    assert np.abs(numbers(lines, 1) - expected).max() < 1e-3


def test_code_of_the_sum_of_other_families(tmp_path: Path) -> None:
    one = decoder(tmp_path)
    two = translator(tmp_path)
    for bundle, text in (
        (replace(one, entry=replace(one.entry, architecture="decoder")), "ElPerro"),
        (two, "The dog."),
    ):
        with torch.inference_mode():
            found = SUM.run(bundle, [SumRequest(text)])[0]
        lines = run(here(code.sum_code(bundle.entry, text, "", found), bundle, tmp_path))
        entered = found.normalized if found.normalized is not None else found.total
        assert np.abs(numbers(lines, 1)[:, -1] - np.linalg.norm(entered, axis=1)).max() < 1e-3


def test_code_of_the_positions(tmp_path: Path) -> None:
    with torch.inference_mode():
        found = POSITIONS.run(minilm(), [PositionRequest(32)])[0]
        bundle = decoder(tmp_path)
        turns = POSITIONS.run(bundle, [PositionRequest(8)])[0]
    lines = run(code.positions_code(MINILM, found, 32, 7))
    assert np.abs(numbers(lines)[:, 1] - cosines(found.vectors)[7]).max() < 1e-3
    lines = run(here(code.positions_code(bundle.entry, turns, 8, 0), bundle, tmp_path))
    assert np.abs(numbers(lines)[:, 1] - rotary_similarity(turns.frequencies, range(8))).max() < 1e-3
    lines = run(code.sinusoids_code(12, 9, 3))
    assert np.abs(numbers(lines)[:, 1] - cosines(sinusoids(12, 9))[3]).max() < 1e-3


@pytest.mark.parametrize(("measure", "special"), [*((measure, False) for measure in MEASURES), ("cosine", True)])
def test_code_of_the_neighbours(measure: Measure, special: bool) -> None:
    with torch.inference_mode():
        found = NEIGHBOURS.run(minilm(), [NeighbourRequest("monday", 0, measure, 8, special)])[0]
    lines = [line.rsplit(" ", 1) for line in run(code.neighbours_code(MINILM, found, measure, special))]
    assert [piece for piece, _value in lines] == [near.piece for near in found.found]
    assert [float(value) for _piece, value in lines] == pytest.approx(
        [getattr(near, measure) for near in found.found], abs=1e-3
    )


@pytest.mark.parametrize("layer", [None, 0, 6])
def test_code_of_the_contexts(layer: int | None) -> None:
    sentences = ["A bank and a bank.", "The tokenization of the bank's money.", "The river bank."]
    with torch.inference_mode():
        found = CONTEXTS.run(minilm(), [ContextRequest("bank", tuple(sentences[::2]))])[0]
    lines = run(code.contexts_code(MINILM, sentences[::2], found, layer))
    assert np.abs(numbers(lines) - cosines(found.at(layer))).max() < 1e-3 and len(lines) == 3


def test_code_of_the_pooling() -> None:
    pairs = (("The dog sleeps.", "A puppy rests."), ("Shares fell.", "Markets closed lower."), ("It rains.", "Wet."))
    with torch.inference_mode():
        found = POOLING.run(minilm(), [PoolingRequest(pairs)])[0]
    lines = dict(line.split() for line in run(code.pooling_code(MINILM, pairs, [one.pooling for one in found])))
    assert {one.pooling: one.first for one in found} == pytest.approx(
        {name: float(value) for name, value in lines.items()}, abs=1e-3
    )


def test_code_of_the_cosine() -> None:
    steps = cosine_steps((1, -2, 2), (2, 4, 3))
    lines = [float(line.split()[1]) for line in run(code.cosine_code((1, -2, 2), (2, 4, 3), steps))]
    assert lines == pytest.approx([steps.dot, steps.norm_u, steps.norm_v, steps.cosine], abs=1e-3)


def test_code_of_the_batch() -> None:
    sentences = ("Hello.", "The cat sleeps on the sofa.")
    with torch.inference_mode():
        found = BATCH.run(minilm(), [BatchRequest(sentences)])[0]
    lines = run(code.batch_code(MINILM, sentences, *(found.padding[0], found.has_padding)))
    assert lines[0] == "one sentence (4,) unsqueeze(0) (1, 4)"
    assert lines[1] == f"batch {tuple(found.ids.shape)}" and lines[2] == f"output {found.output}"
    shown = numbers(lines[3:], 2)
    assert np.abs(shown - np.stack([found.with_mask, found.without_mask], axis=1)).max() < 2e-3


# --- the component, the fields, the files -------------------------------------------------------------------


def test_the_message_holds_the_vectors_behind_its_header() -> None:
    vectors = np.arange(70 * 6, dtype=np.float32).reshape(70, 6)
    tokens = [("<b>ñ</b>", False)] * 70
    raw = message(tokens, [Patch("uno", ["id"] * 70, vectors), Patch("dos", [""] * 70, -vectors, "=", True)], 3)
    (length,) = struct.unpack("<I", raw[:4])
    header = json.loads(raw[4 : 4 + length])
    assert (4 + length) % 4 == 0
    assert len(header["tokens"]) == MOST_TOKENS == 64 and header["tokens"][0] == ["<b>ñ</b>", False]
    assert [patch[2:] for patch in header["patches"]] == [["", False], ["=", True]]
    planes = np.frombuffer(raw[4 + length :], dtype="<f4").reshape(2, 64, 6)
    assert np.array_equal(planes[0], vectors[:64]) and np.array_equal(planes[1], -vectors[:64])


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("es", "3 1", [3, 1]),
        ("es", " 1,5 ; −2;0 ", [1.5, -2, 0]),
        ("es", "1, 2, 3", [1, 2, 3]),
        ("en", "1.5, -2", [1.5, -2]),
        ("en", "1,2,3", [1, 2, 3]),
    ],
)
def test_vectors_are_read_as_people_write_them(language: str, text: str, expected: list[float]) -> None:
    set_language(language)
    assert read_vector(text, "A") == expected


@pytest.mark.parametrize("text", ["", "1", "1 2 3 4", "a b", "nan 1", "inf 1", "1e9 1", "<b>1</b> 2", "1 2 3" * 200])
def test_what_is_no_vector(text: str) -> None:
    with pytest.raises(InputInvalid, match="vector A"):
        read_vector(text, "A")


def test_lines_and_what_stands_after_the_bar() -> None:
    assert split_lines("uno | a\n\n dos \ntres | b | c\n| solo\n") == [
        ("uno", "a"),
        ("dos", ""),
        ("tres | b", "c"),
    ]


def test_small_numbers_as_people_write_them() -> None:
    assert [power_text(value) for value in (0, 2.4e-7, 0.25, 1.756)] == ["0", "2,4 × 10⁻⁷", "0,250", "1,756"]


def test_the_archive_comes_home_whole() -> None:
    with np.load(io.BytesIO(archive(a=np.eye(2), names=np.array(["ñ"])))) as file:
        assert np.array_equal(file["a"], np.eye(2)) and file["names"].tolist() == ["ñ"]
