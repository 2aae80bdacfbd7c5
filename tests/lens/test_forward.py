"""The recomputed pass against each model's own output, and every value against the numbers said to make it."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from core.catalog import entry
from core.errors import InputInvalid, InputTooLong, ModelUnavailable
from core.lens.attention_inputs import TextPair, prepare
from core.lens.forward import Applied, Node, Origin
from core.lens.forward_models import Unsupported, stacks_of
from core.lens.forward_reading import (
    ORIGIN_TASK,
    VALUES_TASK,
    WALK_TASK,
    ForwardRequest,
    OriginRequest,
    ValuesRequest,
)
from core.lens.forward_source import source_of
from core.lens.forward_walk import Walk, walk_model
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from tests.lens.attention_models import SENTENCE, byte_tokenizer, minilm, reference
from tests.lens.forward_models import NEW, OLD, forward_family, text_of

FAMILIES = (*OLD, *NEW)
# "Within 1e-5" is meant of values of the size of one: a logit of 30 in 32 bits has steps of 2e-6 itself.
WITHIN = 1e-5


def walk_of(bundle: ModelBundle, pair: TextPair, **options: Any) -> tuple[Walk, Any]:
    """The walk and the model's own output with all hidden states."""
    with torch.inference_mode():
        inputs = prepare(bundle, pair)
        segments = inputs.segments[0].tolist() if inputs.segments is not None else None
        head = bundle.entry.weights.head if bundle.entry.weights is not None else None
        walk = walk_model(bundle.model, head, inputs.ids[0].tolist(), segments, inputs.written, **options)
        arguments = inputs.arguments("cpu")
        if bundle.model.config.model_type == "distilbert":
            arguments.pop("token_type_ids", None)
        return walk, bundle.model(**arguments, output_hidden_states=True)


def near(mine: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, in units of the largest value where that is more than one."""
    assert mine.shape == theirs.shape
    return float((mine - theirs.float()).abs().max()) / max(1.0, float(theirs.abs().max()))


def check_whole(bundle: ModelBundle, pair: TextPair) -> None:
    walk, out = walk_of(bundle, pair)
    compared = 0
    for name, node in walk.outputs.items():
        if name not in out:
            continue
        mine = node.values
        if name in ("start_logits", "end_logits"):
            mine = mine[:, int(name == "end_logits")]
        assert near(mine, out[name][0]) < WITHIN, name
        compared += 1
    assert compared >= 1
    for stack, mine in walk.hidden.items():
        field = "hidden_states" if f"{stack}_hidden_states" not in out else f"{stack}_hidden_states"
        theirs = out[field]
        assert len(theirs) == len(mine)
        # The library counts the last one after the final normalization, where there is one.
        last = walk.nodes.get(f"{stack}.final.norm") or walk.nodes.get(f"{stack}.final.rms-norm") or mine[-1]
        for place, node in enumerate([*mine[:-1], last]):
            assert near(node.values, theirs[place][0]) < WITHIN, (stack, place)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_pass_is_the_models_own(name: str) -> None:
    check_whole(forward_family(name), TextPair(text_of(name)))


def test_the_encoder_that_ships() -> None:
    check_whole(minilm(), TextPair(SENTENCE))
    check_whole(minilm(), TextPair(SENTENCE, "The cat sleeps."))


@pytest.mark.parametrize("key", ["sentiment-en", "entities-en"])
def test_heads_that_ship(key: str) -> None:
    check_whole(
        load_bundle(entry(key), Settings(offline=True), CPU), TextPair("Ada Lovelace liked the film in London.")
    )


@pytest.mark.parametrize("key", ["tinystories", "g2p-en"])
def test_real_small_models(shared_dir: Path, key: str) -> None:
    check_whole(reference(key, shared_dir), TextPair("transformer"))


def test_the_smallest_llama(shared_dir: Path) -> None:
    """Five layers, grouped queries: another real decoder, which the catalogue doesn't list."""
    from dataclasses import replace

    folder = shared_dir / "hub/karpathy/tinyllamas-260K"
    if not (folder / "model.safetensors").is_file() or not (folder / "tokenizer.json").is_file():
        pytest.skip("tinyllamas-260K is not in ../shared with a fast tokenizer")
    item = replace(entry("tinystories"), key="llama-260k", id="karpathy/tinyllamas-260K")
    check_whole(load_bundle(item, Settings(offline=True, models_dir=shared_dir / "hub"), CPU), TextPair("Once upon"))


def test_two_texts_take_both_rows_of_the_segment_table() -> None:
    walk, _out = walk_of(minilm(), TextPair("One.", "Two."))
    types = walk.nodes["encoder.embeddings.types"].values
    assert torch.equal(types[0], types[2]) and torch.equal(types[-1], types[-2])
    assert not torch.equal(types[0], types[-1])


def test_a_decoder_sees_nothing_of_what_comes_later() -> None:
    walk, _out = walk_of(forward_family("llama"), TextPair("El perro"))
    masked = walk.nodes["decoder.0.attention.mask"].values
    weights = walk.nodes["decoder.0.attention.weights"].values
    count = masked.shape[-1]
    above = torch.ones(count, count).triu(1).bool()
    assert torch.isneginf(masked[:, above]).all() and torch.isfinite(masked[:, ~above]).all()
    assert (weights[:, above] == 0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_shapes_without_values() -> None:
    for name in FAMILIES:
        bundle, pair = forward_family(name), TextPair(text_of(name))
        full, _out = walk_of(bundle, pair)
        bare, _out = walk_of(bundle, pair, shapes_only=True)
        assert [(n.id, n.values.shape) for n in bare.nodes.values()] == [
            (n.id, n.values.shape) for n in full.nodes.values()
        ]
        assert all(node.values.is_meta for node in list(bare.nodes.values()) if node.op != "ids")
        assert all(len(node.axes) == node.values.ndim for node in full.nodes.values())


# --- origins ----------------------------------------------------------------------------------------------


def _check_origin(node: Node, origin: Origin, index: tuple[int, ...], nodes: dict[str, Node]) -> None:
    value = float(node.values[index])
    if value == float("-inf"):
        assert origin.result == value and any(term.value == value for term in origin.terms)
        return
    assert origin.result == pytest.approx(value, rel=1e-4, abs=2e-5), (node.id, index)
    if isinstance(node.rule, Applied):
        assert len(origin.terms) == 1 and origin.name
    else:
        assert origin.total == pytest.approx(value, rel=1e-4, abs=2e-5), (node.id, index)
    for term in origin.terms:
        product = 1.0
        for factor in term.factors:
            product *= factor.value
            assert factor.step or factor.weight or origin.way == "id"
            if factor.step:
                assert float(nodes[factor.step].values[factor.index]) == factor.value
        if origin.way in ("dot", "copy", "mean"):
            assert term.value == pytest.approx(product, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", [*FAMILIES, "minilm"])
def test_every_value_comes_from_the_numbers_that_are_named(name: str) -> None:
    bundle = minilm() if name == "minilm" else forward_family(name)
    walk, _out = walk_of(bundle, TextPair(SENTENCE if name == "minilm" else text_of(name)))
    pick = random.Random(7)
    with torch.inference_mode():
        for node in walk.nodes.values():
            for _try in range(3):
                index = tuple(pick.randrange(size) for size in node.values.shape)
                _check_origin(node, node.rule.origin(index), index, walk.nodes)


def test_an_activation_is_the_function_of_its_number() -> None:
    from transformers.activations import ACT2FN

    walk, _out = walk_of(minilm(), TextPair(SENTENCE))
    node = walk.nodes["encoder.2.feed-forward.activation"]
    origin = node.rule.origin((3, 100))
    own = torch.tensor(origin.terms[0].factors[0].value)
    assert origin.name == "gelu"
    assert float(ACT2FN["gelu"](own)) == pytest.approx(float(node.values[3, 100]), abs=1e-6)


def test_weights_are_named_as_the_model_names_them() -> None:
    for name in ("bert", "gpt2", "llama", "bart"):
        bundle = forward_family(name)
        walk, _out = walk_of(bundle, TextPair(text_of(name)))
        for op in ("query", "value"):
            node = next(node for node in walk.nodes.values() if node.op == op)
            origin = node.rule.origin((1, 0, 2))
            for term in origin.terms:
                weight = term.factors[1]
                path, _bracket, place = weight.weight.partition("[")
                row, column = (int(part) for part in place.rstrip("]").split(","))
                tensor = dict(bundle.model.named_parameters())[path]
                assert float(tensor[row, column]) == pytest.approx(weight.value, abs=1e-7)


def test_largest_first_and_the_rest_summed_up() -> None:
    walk, _out = walk_of(minilm(), TextPair(SENTENCE))
    origin = walk.nodes["encoder.0.attention.query"].rule.origin((2, 4, 11))
    sizes = [abs(term.value) for term in origin.terms]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 12 and origin.rest_count == 384 - 12


# --- lines of the library ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_every_step_has_its_line_in_the_installed_library(name: str) -> None:
    import transformers

    bundle = forward_family(name)
    walk, _out = walk_of(bundle, TextPair(text_of(name)))
    root = Path(transformers.__file__).parents[1]
    for node in walk.nodes.values():
        if node.code is None:
            assert node.op in ("ids", "mean", "unit", "probabilities", "follows")
            continue
        source = source_of(bundle.model, node.code)
        assert source is not None, node.id
        lines = (root / source.file).read_text(encoding="utf-8").splitlines()
        assert all(lines[number - 1].strip() == text for number, text in source.lines), node.id
        assert source.url.endswith(f"#L{source.lines[0][0]}")


@pytest.mark.parametrize(
    ("step", "piece"),
    [
        ("encoder.embeddings.words", "self.word_embeddings("),
        ("encoder.embeddings.norm", "self.LayerNorm("),
        ("encoder.3.attention.query", "self.query("),
        ("encoder.3.attention.scores", "torch.matmul(query"),
        ("encoder.3.attention.weights", "softmax("),
        ("encoder.3.attention.mixed", "torch.matmul(attn_weights, value)"),
        ("encoder.3.attention.residual", "+ input_tensor"),
        ("encoder.3.feed-forward.activation", "self.intermediate_act_fn("),
    ],
)
def test_the_line_is_the_right_one(step: str, piece: str) -> None:
    walk, _out = walk_of(minilm(), TextPair("Hello."))
    code = walk.nodes[step].code
    assert code is not None
    source = source_of(minilm().model, code)
    assert source is not None and any(piece in text for _number, text in source.lines)


# --- the tasks --------------------------------------------------------------------------------------------


def outline(bundle: ModelBundle, request: ForwardRequest) -> Any:
    with torch.inference_mode():
        return WALK_TASK.run(bundle, [request])[0]


def test_the_outline_says_what_agrees_and_what_is_likely() -> None:
    found = outline(forward_family("llama"), ForwardRequest("El perro"))
    assert found.agreements[0].output == "logits" and found.agreements[0].difference < 1e-5
    last = found.candidates[len(found.rows) - 1]
    chances = [item.probability for item in last]
    assert len(last) == 10 and chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1.0001
    assert found.step("decoder.0.attention.query").shape == (1, 4, len(found.rows), 8)
    assert found.step("decoder.0.attention.key").shape == (1, 2, len(found.rows), 8), "keys are shared by two heads"


def test_greedy_writing_step_by_step_is_generate() -> None:
    bundle = forward_family("gpt2")
    ids: tuple[int, ...] = ()
    for _step in range(5):
        found = outline(bundle, ForwardRequest("El perro", added=ids))
        ids += (found.candidates[len(found.rows) - 1][0].id,)
        assert found.kept is None or found.kept < 1e-4
    with torch.inference_mode():
        read = bundle.encode(["El perro"])["input_ids"]
        made = bundle.model.generate(read, max_new_tokens=5, do_sample=False, eos_token_id=None, pad_token_id=1)
    assert tuple(made[0, read.shape[1] :].tolist()) == ids


def test_an_encoder_decoder_writes_by_itself_or_as_told() -> None:
    bundle = forward_family("bart")
    whole = outline(bundle, ForwardRequest("El perro"))
    assert whole.written and len(whole.rows) == len(whole.written) + 1
    first = outline(bundle, ForwardRequest("El perro", added=()))
    assert len(first.rows) == 1 and first.candidates[0][0].id == whole.written[0]
    second = outline(bundle, ForwardRequest("El perro", added=whole.written[:1]))
    assert second.candidates[1][0].id == whole.written[1]
    assert second.step("decoder.0.cross.weights").shape == (1, 2, 2, len(whole.source))


def test_a_long_text_is_walked_in_shapes_alone() -> None:
    long = "dog " * 300
    found = outline(minilm(), ForwardRequest(long))
    assert not found.detailed and not found.agreements and not found.candidates
    assert found.step("encoder.5.attention.weights").shape == (1, 12, 302, 302)
    with pytest.raises(InputTooLong, match="64"), torch.inference_mode():
        VALUES_TASK.run(minilm(), [ValuesRequest(ForwardRequest(long), "encoder.0.attention.query")])
    exact = outline(minilm(), ForwardRequest("dog " * 62))
    assert len(exact.rows) == 64 and exact.detailed


def test_the_whole_window_and_not_more() -> None:
    assert outline(minilm(), ForwardRequest("dog " * 510)).steps[0].shape == (1, 512)
    with pytest.raises(InputTooLong, match="513"):
        outline(minilm(), ForwardRequest("dog " * 511))
    # A decoder's window holds what it has written, too.
    bundle = forward_family("gpt2")
    with pytest.raises(InputTooLong, match="64"):
        outline(bundle, ForwardRequest("hola", added=(5,) * 70))


def test_bad_requests() -> None:
    bundle = forward_family("llama")
    with pytest.raises(InputInvalid, match="vacío"):
        outline(bundle, ForwardRequest("  \n"))
    with pytest.raises(InputInvalid, match="tokens que este modelo no tiene"):
        outline(bundle, ForwardRequest("hola", added=(10**6,)))
    with torch.inference_mode():
        with pytest.raises(InputInvalid, match="no tiene ese paso"):
            VALUES_TASK.run(bundle, [ValuesRequest(ForwardRequest("hola"), "encoder.9.nothing")])
        for index in ((0, 0), (99, 0, 0), (0, 0, -1)):
            with pytest.raises(InputInvalid, match="ningún valor"):
                ORIGIN_TASK.run(bundle, [OriginRequest(ForwardRequest("hola"), "decoder.0.attention.query", index)])


def test_values_and_the_pieces_that_are_drawn() -> None:
    bundle = forward_family("gpt2")
    request = ForwardRequest("El perro")
    with torch.inference_mode():
        found = VALUES_TASK.run(bundle, [ValuesRequest(request, "head.probabilities", 123)])[0]
        walk = outline(bundle, request)
    assert found.values.shape == (len(walk.rows), len(found.columns)) and 123 in found.columns
    assert walk.candidates[len(walk.rows) - 1][0].id == found.columns[0], "the last token's best comes first"
    assert found.step.shape[-1] == len(byte_tokenizer())


def test_a_family_that_is_not_described_is_refused() -> None:
    import transformers as tf

    from tests.lens.attention_models import _bundle

    config = tf.MambaConfig(vocab_size=len(byte_tokenizer()), hidden_size=32, num_hidden_layers=1, state_size=4)
    mamba = _bundle(tf.MambaForCausalLM(config), byte_tokenizer(), "mamba", "CausalLM", "decoder")
    with pytest.raises(Unsupported):
        stacks_of(mamba.model, lambda tensor: tensor)
    with pytest.raises(ModelUnavailable, match="mamba"):
        outline(mamba, ForwardRequest("hola"))


def test_the_shared_model_is_left_alone() -> None:
    bundle = minilm()
    before = {name: weight.clone() for name, weight in bundle.model.named_parameters()}
    outline(bundle, ForwardRequest(SENTENCE))
    assert all(torch.equal(before[name], weight) for name, weight in bundle.model.named_parameters())
