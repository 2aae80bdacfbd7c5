"""Queries, keys and norms against the model's own attention and output."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ModelUnavailable
from core.lens.attention import Kind
from core.lens.attention_inputs import TextPair, prepare
from core.lens.attention_reading import TASK
from core.lens.attention_trace import HEAD_TASK, NORMS_TASK, HeadRequest, HeadVectors, calls_of, head_vectors
from core.runtime.bundle import ModelBundle
from tests.lens.attention_models import SENTENCE, family, minilm, reference

CASES: list[tuple[str, Kind]] = [
    ("bert", "encoder"),
    ("roberta", "encoder"),
    ("electra", "encoder"),
    ("gpt2", "decoder"),
    ("llama", "decoder"),
    ("bart", "cross"),
    ("bart", "encoder"),
    ("bart", "decoder"),
    ("t5", "cross"),
    ("t5", "encoder"),
    ("t5", "decoder"),
]


def largest_difference(bundle: ModelBundle, pair: TextPair) -> float:
    """Between softmax(q·k·scale + bias) and what the model itself returns, over all heads."""
    worst = 0.0
    with torch.inference_mode():
        amap = TASK.run(bundle.with_attention(), [pair])[0].map
        calls = calls_of(bundle, prepare(bundle, pair))[1]
        assert len(calls) == amap.layers
        for layer in range(amap.layers):
            for head in range(amap.heads):
                vectors = head_vectors(calls, layer, head)
                assert vectors.query.shape == (len(amap.rows), vectors.key.shape[1])
                assert vectors.key.shape[0] == len(amap.columns)
                worst = max(worst, float(np.abs(vectors.weights() - amap.weights[layer, head]).max()))
                if amap.kind == "decoder":
                    assert (np.triu(vectors.weights(), 1) == 0).all()
    return worst


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_queries_and_keys_give_the_attention(name: str, kind: Kind) -> None:
    text = "hola mundo . el niños" if family(name).entry.architecture == "encoder" else "El perro come."
    assert largest_difference(family(name), TextPair(text, kind=kind)) < 1e-5


def test_of_the_encoder_that_ships() -> None:
    assert largest_difference(minilm(), TextPair(SENTENCE, "The cat sleeps.")) < 1e-5


@pytest.mark.parametrize("key", ["tinystories", "g2p-en"])
def test_of_real_small_models(shared_dir: Path, key: str) -> None:
    assert largest_difference(reference(key, shared_dir), TextPair("transformer")) < 1e-5


def test_rotary_positions_are_in_the_vectors() -> None:
    """The same piece at two places has two queries in a Llama: without rotary positions it would have one."""
    bundle = family("llama")
    with torch.inference_mode():
        vectors = HEAD_TASK.run(bundle, [HeadRequest(TextPair("aaaa"), 0, 0)])[0]
        tokens = TASK.run(bundle.with_attention(), [TextPair("aaaa")])[0].map.rows
    same = [i for i, token in enumerate(tokens) if token.piece == tokens[-1].piece]
    assert len(same) > 1
    assert np.abs(vectors.query[same[0]] - vectors.query[same[1]]).max() > 1e-3
    assert np.allclose(np.linalg.norm(vectors.query[same[0]]), np.linalg.norm(vectors.query[same[1]]), atol=1e-4)


def test_the_task_gives_the_head_that_was_asked_for() -> None:
    with torch.inference_mode():
        weights = TASK.run(family("gpt2").with_attention(), [TextPair("hola")])[0].map.weights
        vectors = HEAD_TASK.run(family("gpt2"), [HeadRequest(TextPair("hola"), 2, 3)])[0]
    assert (vectors.layer, vectors.head) == (2, 3)
    assert np.abs(vectors.weights() - weights[2, 3]).max() < 1e-5 < np.abs(vectors.weights() - weights[2, 2]).max()


def test_heads_that_share_a_key_have_the_same() -> None:
    with torch.inference_mode():
        heads = [HEAD_TASK.run(family("llama"), [HeadRequest(TextPair("hola"), 0, h)])[0] for h in range(4)]
    assert np.array_equal(heads[0].key, heads[1].key) and np.array_equal(heads[2].key, heads[3].key)
    assert not np.array_equal(heads[1].key, heads[2].key)


def test_the_softmax_by_hand() -> None:
    vectors = HeadVectors(
        0,
        0,
        np.array([[2.0, 0.0]], dtype=np.float32),
        np.array([[1.0, 5.0], [0.0, 1.0], [3.0, 3.0]], dtype=np.float32),
        0.5,
        np.array([[0.0, 0.0, -np.inf]], dtype=np.float32),
    )
    # 2·1·0.5 = 1 and 0; the third is masked: e / (e + 1) = 0.7311
    assert vectors.weights()[0] == pytest.approx([0.7310586, 0.2689414, 0.0], abs=1e-6)


# --- norms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["minilm", "bert", "gpt2", "llama", "t5", "bart"])
def test_norms_are_those_of_what_adds_up_to_the_layers_output(name: str) -> None:
    """Kobayashi et al. 2020, equation 3: the layer's output is the sum of α·f(x) over heads and tokens, and a bias."""
    bundle = minilm() if name == "minilm" else family(name)
    text = SENTENCE if name == "minilm" else "hola mundo" if name == "bert" else "El perro come."
    outputs: list[torch.Tensor] = []
    with torch.inference_mode():
        inputs = prepare(bundle, TextPair(text))
        traced, calls = calls_of(bundle, inputs)
        norms = NORMS_TASK.run(bundle, [TextPair(text)])[0]
        weights = torch.from_numpy(TASK.run(bundle.with_attention(), [TextPair(text)])[0].map.weights)
        module = traced.model.get_submodule(calls[0].module)
        found = [n for n in ("o_proj", "out_proj", "c_proj", "o") if hasattr(module, n)]
        if found:
            projection = getattr(module, found[0])
        else:
            projection = traced.model.get_submodule(calls[0].module.rpartition(".")[0]).output.dense
        handle = projection.register_forward_hook(lambda _module, _inputs, out: outputs.append(out))
        traced.model(**inputs.arguments("cpu"))
        handle.remove()
        matrix = projection.weight if type(projection).__name__ == "Conv1D" else projection.weight.T
        heads, columns, size = calls[0].value.shape
        added = torch.einsum("hcd,hdo->hco", calls[0].value, matrix.reshape(heads, size, -1))  # f(x)
        total = torch.einsum("hrc,hco->ro", weights[0], added)
        bias = getattr(projection, "bias", None)
        if bias is not None:
            total = total + bias
    assert norms.shape == (len(calls), heads, columns)
    assert torch.allclose(total, outputs[0][0], atol=2e-4 * float(outputs[0].abs().max()))
    assert np.allclose(norms[0], added.norm(dim=-1).numpy(), rtol=1e-4)


def test_a_model_whose_attention_can_not_be_traced() -> None:
    import transformers as tf

    from tests.lens.attention_models import _bundle, byte_tokenizer

    config = tf.MambaConfig(vocab_size=len(byte_tokenizer()), hidden_size=32, num_hidden_layers=1, state_size=4)
    mamba = _bundle(tf.MambaForCausalLM(config), byte_tokenizer(), "mamba", "CausalLM", "decoder")
    with pytest.raises(ModelUnavailable, match="q, k y v"), torch.inference_mode():
        HEAD_TASK.run(mamba, [HeadRequest(TextPair("hola"), 0, 0)])


def test_tracing_leaves_the_shared_model_alone() -> None:
    bundle = minilm()
    with torch.inference_mode():
        HEAD_TASK.run(bundle, [HeadRequest(TextPair("hello"), 0, 0)])
        assert bundle.model.config._attn_implementation == "sdpa"
        before = bundle.model(**bundle.encode(["hello"]))[0]
        NORMS_TASK.run(bundle, [TextPair("hello")])
        assert torch.equal(before, bundle.model(**bundle.encode(["hello"]))[0])
