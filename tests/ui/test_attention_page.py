"""The page's code in a fresh interpreter, its files, and its words."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from core.lens.attention import AttentionMap
from core.lens.attention_heads import head_statistics, rank_heads
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import TASK
from core.lens.attention_survey import TASK as SURVEY
from core.lens.attention_survey import SurveyRequest
from core.runtime.bundle import ModelBundle
from core.ui.attention_page.code import code, compare_code, find_code, map_code
from core.ui.attention_page.files import statistics_bytes, tensor_bytes
from core.ui.attention_page.words import captions
from tests.lens.attention_models import SENTENCE, minilm, minilm_eager
from tests.tasks.causal import decoder
from tests.tasks.translators import translator
from tests.ui.test_task_code import run, tiny


def printed(program: str) -> tuple[list[str], np.ndarray]:
    lines = [line.split(" ") for line in run(program)]
    return [line[0] for line in lines], np.array([[float(value) for value in line[1:]] for line in lines])


def check(bundle: ModelBundle, pair: TextPair, layer: int, head: int, *, folder: str | None = None) -> None:
    eager = bundle if bundle.eager else bundle.with_attention()
    with torch.inference_mode():
        read = TASK.run(eager, [pair])[0]
    program = code(bundle.entry, pair, read.map, read.written, layer, head)
    if folder is not None:
        program = program.replace(repr(bundle.entry.id), repr(folder))
    tokens, weights = printed(program)
    assert tokens == [token.piece for token in read.map.rows]
    assert np.abs(weights - read.map.weights[layer, head]).max() < 2e-4


@pytest.mark.parametrize("pair", [TextPair(SENTENCE), TextPair('A "quoted" text.', "It's the second\\one.")])
def test_code_of_an_encoder(pair: TextPair) -> None:
    check(minilm(), pair, 3, 1)


def test_code_of_a_model_with_a_head(tmp_path: Path) -> None:
    bundle, folder = tiny(tmp_path, "MaskedLM")
    check(bundle, TextPair("hola mundo . el niño"), 1, 0, folder=folder)


def test_code_of_a_decoder_with_two_texts(tmp_path: Path) -> None:
    bundle = decoder(tmp_path)
    check(bundle, TextPair("ElPerro", "yUnGato."), 1, 1, folder=str(tmp_path / bundle.entry.id))


@pytest.mark.parametrize("kind", ["cross", "encoder", "decoder"])
def test_code_of_an_encoder_decoder(tmp_path: Path, kind: str) -> None:
    bundle = translator(tmp_path)
    check(bundle, TextPair("The dog runs.", kind=kind), 0, 1, folder=str(tmp_path / bundle.entry.id))  # type: ignore[arg-type]


def test_code_that_finds_heads() -> None:
    amap = real()
    program = find_code(minilm().entry, TextPair(SENTENCE), amap, (), [2, 3], [5])
    lines = [line.split() for line in run(program)]
    wanted = rank_heads(amap, [2, 3], [5])[:10]
    assert [(int(layer) - 1, int(head) - 1) for layer, head, _link in lines] == [(w.layer, w.head) for w in wanted]
    assert [float(line[2]) for line in lines] == pytest.approx([link.most for link in wanted], abs=2e-4)


def test_code_that_finds_heads_of_a_translator(tmp_path: Path) -> None:
    bundle = translator(tmp_path)
    pair = TextPair("The dog runs.", kind="cross")
    with torch.inference_mode():
        read = TASK.run(bundle.with_attention(), [pair])[0]
    program = find_code(bundle.entry, pair, read.map, read.written, [1], [2])
    lines = run(program.replace(repr(bundle.entry.id), repr(str(tmp_path / bundle.entry.id))))
    assert float(lines[0].split()[2]) == pytest.approx(rank_heads(read.map, [1], [2])[0].most, abs=2e-4)


def test_code_that_compares_a_whole_square_with_a_triangle(tmp_path: Path) -> None:
    gpt = decoder(tmp_path)
    pair = TextPair("ElPerro")
    with torch.inference_mode():
        reads = [TASK.run(bundle, [pair])[0] for bundle in (minilm_eager(), gpt.with_attention())]
    program = compare_code(
        [(bundle.entry, read.map, read.written) for bundle, read in zip((minilm(), gpt), reads, strict=True)], pair
    )
    whole, triangle = (
        line.split() for line in run(program.replace(repr(gpt.entry.id), repr(str(tmp_path / gpt.entry.id))))
    )
    assert [int(size) for size in whole[:4]] == list(reads[0].map.weights.shape)
    assert float(whole[4]) == pytest.approx(
        float(np.triu(reads[0].map.weights, 1).sum() / reads[0].map.weights.sum()), abs=2e-4
    )
    assert float(whole[4]) > 0.1 and float(triangle[4]) == 0


TEXTS = ("The keys to the cabinet are on the table.", "She didn't laugh.")


MEASURES = ("previous", "next", "itself", "first", "separators", "entropy", "distance", "pattern")


def test_code_of_each_measure_over_texts() -> None:
    # One interpreter for all: starting it takes longer than what it computes.
    programs = [map_code(minilm().entry, TEXTS, measure) or "" for measure in MEASURES]
    lines = [line.split() for line in run("\n".join(programs))]
    with torch.inference_mode():
        found = SURVEY.run(minilm_eager(), [SurveyRequest(TEXTS)])[0].statistics
    assert len(lines) == 6 * len(MEASURES)
    for index, measure in enumerate(MEASURES[:-1]):
        values = np.array([[float(value) for value in line] for line in lines[6 * index : 6 * index + 6]])
        assert np.abs(values - getattr(found, measure)).max() < 2e-4, measure
    named = 0
    for layer, line in enumerate(lines[-6:]):
        for head, cell in enumerate(line):
            kind, share = found.pattern(layer, head)
            if cell == "-":
                assert kind in ("broad", "near", "mixed")
            else:
                named += 1
                assert cell.split(":")[0] == kind and float(cell.split(":")[1]) == pytest.approx(share, abs=2e-4)
    assert named > 5


def test_code_of_a_measure_leaves_out_a_decoders_first_row(tmp_path: Path) -> None:
    bundle = decoder(tmp_path)
    texts = ("ElPerro", "yUnGato.")
    program = map_code(bundle.entry, texts, "previous")
    assert program is not None
    lines = run(program.replace(repr(bundle.entry.id), repr(str(tmp_path / bundle.entry.id))))
    with torch.inference_mode():
        found = SURVEY.run(bundle.with_attention(), [SurveyRequest(texts)])[0].statistics
    values = np.array([[float(value) for value in line.split()] for line in lines])
    assert np.abs(values - found.previous).max() < 2e-4


def real() -> AttentionMap:
    with torch.inference_mode():
        return TASK.run(minilm_eager(), [TextPair(SENTENCE)])[0].map


def test_the_tensor_comes_home_whole() -> None:
    amap = real()
    with np.load(io.BytesIO(tensor_bytes(amap))) as file:
        assert np.array_equal(file["weights"], amap.weights)
        assert file["rows"].tolist() == [token.text for token in amap.rows]


def test_the_numbers_as_a_table() -> None:
    statistics = head_statistics(real())
    lines = statistics_bytes(statistics).decode("utf-8-sig").splitlines()
    assert len(lines) == 1 + 6 * 12
    header, third = lines[0].split(","), lines[3].split(",")
    assert third[:3] == ["1", "3", "previous"]
    assert float(third[header.index("previous")]) == pytest.approx(float(statistics.previous[0, 2]), abs=1e-6)


def test_captions_say_the_number_behind_them() -> None:
    amap = real()
    said = captions(amap, head_statistics(amap), "weights")
    assert (len(said), len(said[0])) == (6, 12)
    assert said[0][2] == "mira al token anterior: 1,00"
