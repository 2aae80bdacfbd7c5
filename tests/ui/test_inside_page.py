"""The page's code, run; its files, its words, and the two components' messages."""

import contextlib
import copy
import csv
import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalog import Architecture
from core.i18n import set_language
from core.lens.forward import Origin, Term
from core.lens.forward_reading import VALUES_TASK, WALK_TASK, ForwardRequest, Outline, StepValues, ValuesRequest
from core.lens.parameters import count_parameters
from core.lens.race import Lap, Race
from core.runtime.bundle import ModelBundle
from core.ui.heat import Plane, colour_range, message, number
from core.ui.inside import charts
from core.ui.inside.code import code
from core.ui.inside.files import steps_bytes, tensor_bytes
from core.ui.inside.origin import equation
from core.ui.inside.parameters import code as count_code
from core.ui.inside.parameters import table_bytes
from core.ui.inside.race import CODE, laps_bytes, verdict
from core.ui.inside.walk import is_both, plane_of
from core.ui.inside.words import part_name, place_name, shape_text, words_of
from core.ui.tasks.code import load_lines
from tests.lens.attention_models import SENTENCE, minilm
from tests.lens.forward_models import NEW, OLD, forward_family, text_of
from tests.tasks.causal import decoder
from tests.tasks.translators import translator
from tests.ui.test_task_code import run, shipped, tiny


def read(bundle: ModelBundle, request: ForwardRequest, step: str) -> tuple[Outline, StepValues]:
    with torch.inference_mode():
        return WALK_TASK.run(bundle, [request])[0], VALUES_TASK.run(bundle, [ValuesRequest(request, step)])[0]


def expected(found: StepValues, head: int, row: int) -> np.ndarray:
    if found.step.axes[1] == "heads":
        return np.asarray(found.values[head, row])
    return np.asarray(found.values[row] if found.values.ndim == 2 else found.values)


# --- show the code ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["encoder.3.attention.weights", "encoder.0.attention.query", "head.unit"])
def test_the_code_prints_what_is_on_screen(step: str) -> None:
    request = ForwardRequest('A "quoted" text.', "It's the second\\one.")
    outline, found = read(minilm(), request, step)
    program = code(minilm().entry, request, found, outline.written, 2, 4)
    assert program is not None
    (line,) = run(program)
    assert np.abs(np.array([float(part) for part in line.split()]) - expected(found, 2, 4)).max() < 1e-4


def test_the_code_of_a_head_on_an_adapter() -> None:
    bundle = shipped("sentiment-en")
    request = ForwardRequest("I liked it.")
    outline, found = read(bundle, request, "head.probabilities")
    (line,) = run(code(bundle.entry, request, found, outline.written, 0, 0) or "")
    assert [float(part) for part in line.split()] == pytest.approx(found.values.tolist(), abs=2e-3)


def _as(bundle: ModelBundle, architecture: Architecture) -> ModelBundle:
    """What the catalogue would say of a model that a test made."""
    return replace(bundle, entry=replace(bundle.entry, architecture=architecture))


def _all_steps(bundle: ModelBundle, request: ForwardRequest) -> int:
    """Runs the programs of all steps of the first layers and the head in this interpreter; says how many there were.

    On a copy of the model instead of reading it from disk each time: how it is read, the tests above try.
    """
    assert bundle.entry.weights is not None
    start = load_lines(bundle.entry, bundle.entry.weights.head)
    with torch.inference_mode():
        outline = WALK_TASK.run(bundle, [request])[0]
    shown = 0
    for step in outline.steps:
        if step.layer not in (None, 0):
            continue
        _outline, found = read(bundle, request, step.id)
        head = found.values.shape[0] - 1 if step.axes[1] == "heads" else 0
        program = code(bundle.entry, request, found, outline.written, head, 0)
        if program is None:
            continue
        assert program.startswith(start)
        program = "import torch\n" + program.removeprefix(start)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(
                compile(program, step.id, "exec"),
                {"model": copy.deepcopy(bundle.model), "tokenizer": bundle.tokenizer},
            )
        printed = np.array([float(part) for part in out.getvalue().split()])
        wanted = expected(found, head, 0)
        # Numbers are printed with four decimals.
        assert printed.shape == wanted.shape, step.id
        same = (printed == wanted) | (np.abs(printed - wanted) <= 2e-4 * np.maximum(1, np.abs(wanted)))
        assert same.all() or (step.op == "mask" and (wanted == -np.inf).any()), step.id
        shown += 1
    return shown


def test_the_code_of_every_step_of_an_encoder(tmp_path: Path) -> None:
    bundle, _folder = tiny(tmp_path, "PreTraining")
    assert _all_steps(bundle, ForwardRequest("hola mundo . el niño")) >= 25


def test_the_code_of_every_step_of_a_decoder(tmp_path: Path) -> None:
    bundle = _as(decoder(tmp_path), "decoder")
    request = ForwardRequest("ElPerro", added=(40, 41))
    assert _all_steps(bundle, request) >= 20


def test_the_code_of_every_step_of_an_encoder_decoder(tmp_path: Path) -> None:
    bundle = _as(translator(tmp_path), "encoder-decoder")
    request = ForwardRequest("The dog runs.", added=(5, 6))
    assert _all_steps(bundle, request) >= 35


def test_the_code_that_counts() -> None:
    lines = run(count_code(minilm().entry))
    assert lines[-1].split() == ["total", "22713216"]


def test_the_code_of_the_race() -> None:
    lines = run(CODE)
    assert lines[0].split() == ["lstm", "526336", "parameters"]
    assert lines[1].split() == ["transformer", "526591", "parameters"]
    assert len(lines) == 8 and all(line.endswith(" ms") for line in lines[2:])


# --- files ------------------------------------------------------------------------------------------------


def test_the_values_come_home_whole() -> None:
    outline, found = read(minilm(), ForwardRequest(SENTENCE), "encoder.1.attention.scores")
    with np.load(io.BytesIO(tensor_bytes(found, outline))) as file:
        assert np.array_equal(file["values"], found.values)
        assert file["axes"].tolist() == ["heads", "tokens", "keys"]
        assert file["tokens"].tolist()[0] == "[CLS]"


def test_the_list_of_steps() -> None:
    outline, _found = read(minilm(), ForwardRequest("Hi."), "encoder.embeddings.sum")
    rows = list(csv.DictReader(io.StringIO(steps_bytes(outline).decode("utf-8-sig"))))
    assert len(rows) == len(outline.steps)
    query = next(row for row in rows if row["step"] == "encoder.0.attention.query")
    assert query["shape"] == "1 × 12 × 4 × 32" and query["layer"] == "1" and query["values"] == str(12 * 4 * 32)


def test_the_list_of_tensors_adds_up() -> None:
    count = count_parameters(minilm().model)
    rows = list(csv.DictReader(io.StringIO(table_bytes(count).decode("utf-8-sig"))))
    assert sum(int(row["parameters"]) for row in rows) == count.total


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OLD, *NEW])
def test_every_step_has_words_and_a_drawing(name: str) -> None:
    from core.course.glossary import concept

    bundle = forward_family(name)
    request = ForwardRequest(text_of(name), added=(7, 8))
    with torch.inference_mode():
        outline = WALK_TASK.run(bundle, [request])[0]
    both = is_both(outline)
    for step in outline.steps:
        words = words_of(step)
        assert words.title and words.short and words.formula and len(words.text) > 10
        assert all(concept(term) for term in words.terms)
        assert part_name(step.part, both) and place_name(step, both)
        assert shape_text(step).startswith("(lote 1, ")
    for step in outline.steps[:: max(1, len(outline.steps) // 12)]:
        _outline, found = read(bundle, request, step.id)
        plane = plane_of(step, outline, found, 0)
        assert plane.values.ndim == 2 and len(plane.rows) == plane.values.shape[0]
        assert len(plane.columns) in (0, plane.values.shape[1])


def test_a_value_and_its_equation() -> None:
    set_language("es")
    norm = Origin(
        "norm",
        1.5,
        (Term(2.0, ()),),
        numbers={"mean": 1.0, "deviation": 0.5, "gain": 0.5, "bias": 0.5},
    )
    assert norm.total == 1.5
    assert equation(norm) == "(2,000 − media 1,000) / desviación 0,500 × γ 0,500 + β 0,500 = 1,500"
    soft = Origin(
        "softmax", 0.25, (Term(1.0, ()),), numbers={"score": 1.0, "largest": 2.0, "own": 0.5, "denominator": 2.0}
    )
    assert soft.total == 0.25 and equation(soft).startswith("e^(1,000 − 2,000) / suma 2,000 = 0,500 / 2,000 = 0,250")


def test_numbers_as_a_person_reads_them() -> None:
    set_language("es")
    told = [number(value) for value in (0.0, -0.5, 1234.5, 3e-7, float("-inf"), 30522)]
    assert told == ["0", "−0,500", "1234,5", "3,0·10⁻⁷", "−∞", "30\u202f522"]


# --- components -------------------------------------------------------------------------------------------


def test_what_the_browser_receives() -> None:
    values = np.array([[1.0, -2.0, -np.inf], [0.0, 0.5, 4.0]], dtype=np.float32)
    raw = message(Plane(values, ("a", "<b>"), (), "tokens", "oculta"), (1, 2), "mapa")
    (length,) = struct.unpack("<I", raw[:4])
    assert (4 + length) % 4 == 0
    header = json.loads(raw[4 : 4 + length])
    assert header["shape"] == [2, 3] and header["rows"] == ["a", "<b>"] and header["chosen"] == [1, 2]
    assert header["signed"] is True and header["top"] == 4.0
    assert np.array_equal(np.frombuffer(raw[4 + length :], dtype="<f4").reshape(2, 3), values)


def test_one_outlier_does_not_make_the_rest_grey() -> None:
    values = np.full((20, 20), 0.1, dtype=np.float32)
    values[0, 0] = 50.0
    top, signed = colour_range(values)
    assert top == pytest.approx(0.1) and not signed
    assert colour_range(np.full((2, 2), -np.inf, dtype=np.float32)) == (1.0, False)


# --- charts -----------------------------------------------------------------------------------------------


def test_the_rings_add_up() -> None:
    for name in ("bert-pretraining", "t5"):
        count = count_parameters(forward_family(name).model)
        figure, alt = charts.sunburst(count, name)
        rings = figure.data[0]
        children: dict[str, int] = {}
        for parent, value in zip(rings.parents, rings.values, strict=True):
            children[parent] = children.get(parent, 0) + value
        for item, value in zip(rings.ids, rings.values, strict=True):
            assert item not in children or children[item] == value, item
        assert rings.values[0] == count.total and name in alt


def race() -> Race:
    laps = (
        Lap("lstm", "forward", 16, 2.0, 3),
        Lap("transformer", "forward", 16, 4.0, 3),
        Lap("lstm", "forward", 64, 9.0, 3),
        Lap("transformer", "forward", 64, 3.0, 3),
        Lap("lstm", "backward", 16, 3.0, 3),
        Lap("transformer", "backward", 16, 6.0, 3),
        Lap("lstm", "backward", 64, 30.0, 3),
    )
    return Race(laps, {"lstm": 100, "transformer": 101}, "cpu", 2, 1.0, False)


def test_the_verdict_is_of_the_longest_that_both_ran() -> None:
    set_language("es")
    assert verdict(race(), "forward").endswith("tarda 3,00 ms y la LSTM 9,00 ms: 3,0 veces más.")
    assert "gana la LSTM" in verdict(race(), "backward") and "16 tokens" in verdict(race(), "backward")
    rows = list(csv.DictReader(io.StringIO(laps_bytes(race()).decode("utf-8-sig"))))
    assert len(rows) == 7 and rows[0]["milliseconds"] == "2.0"
    figure, alt = charts.race_lines(race(), "forward")
    assert [list(line.y) for line in figure.data] == [[2.0, 9.0], [4.0, 3.0]] and "64" in alt
