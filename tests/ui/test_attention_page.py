"""The page's code in a fresh interpreter, its files, its words and its shelf."""

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from core.lens.attention import AttentionMap
from core.lens.attention_heads import head_statistics
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import TASK
from core.runtime.bundle import ModelBundle
from core.ui.attention_page.code import code
from core.ui.attention_page.files import statistics_bytes, tensor_bytes
from core.ui.attention_page.readings import Shelf
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


# --- the shelf --------------------------------------------------------------------------------------------


def test_one_computation_for_all_who_ask_at_once() -> None:
    shelf, made, found = Shelf(), [], []

    def make() -> str:
        made.append(1)
        time.sleep(0.05)
        return "it"

    threads = [threading.Thread(target=lambda: found.append(shelf.get("key", make))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["it"] * 20 and made == [1]


def test_errors_are_not_kept_and_what_is_too_large_is_given_all_the_same() -> None:
    shelf = Shelf(limit=40_000)
    with pytest.raises(ValueError, match="no"):
        shelf.get("key", lambda: (_ for _ in ()).throw(ValueError("no")))
    assert shelf.get("key", lambda: "yes") == "yes"
    large = np.zeros(10_000)
    assert shelf.get("large", lambda: large) is large
    assert shelf.get("large", lambda: 7) == 7, "it was never kept"
    assert shelf.get("key", lambda: "other") == "yes"
