"""Loading: whole files are found, half ones refused, and nothing unsafe or random ever answers."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.catalog import entry
from core.errors import InputTooLong, ModelUnavailable
from core.runtime.device import CPU
from core.runtime.loading import (
    is_whole_safetensors,
    load_bundle,
    locate_model,
    missing_files,
    model_files_complete,
    tensor_bytes,
    why_absent,
)
from core.settings import Settings
from tests.runtime.models import tiny_entry, write_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models_dir=tmp_path, offline=True, device="cpu")


def test_the_model_of_the_pip_package_is_loaded_whole() -> None:
    bundle = load_bundle(entry("minilm"), Settings(), CPU)
    assert bundle.source == "embedded"
    assert bundle.dtype == "float32"
    assert not bundle.model.training
    assert sum(p.numel() for p in bundle.model.parameters()) == entry("minilm").weights.parameters
    # The buffers (position ids) come on top of the parameters.
    assert 0 <= bundle.bytes - 4 * entry("minilm").weights.parameters < 10_000


@pytest.mark.parametrize("key", ["minilm", "sentiment-en"])
def test_a_model_that_was_loaded_while_computing_can_be_asked_for_gradients(key: str) -> None:
    with torch.inference_mode():
        bundle = load_bundle(entry(key), Settings(), CPU)
    assert not any(tensor.is_inference() for tensor in bundle.model.state_dict().values())
    ids = bundle.tokenizer("a text", return_tensors="pt")["input_ids"]
    first = bundle.model(input_ids=ids)[0].sum()
    first.backward()
    assert bundle.model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_english_bert_is_not_mistaken_for_the_weights_that_ship() -> None:
    # Its vocabulary is in the same package as MiniLM's weights; the weights are not BERT's.
    found = locate_model(entry("bert-uncased"), Settings(offline=True))
    assert found is None or found.source != "embedded"


def test_sentences_that_mean_the_same_are_near() -> None:
    bundle = load_bundle(entry("minilm"), Settings(), CPU)
    encoded = bundle.encode(["A man plays the guitar.", "Someone is making music.", "The bank raised its rates."])
    with torch.inference_mode():
        states = bundle.model(**encoded).last_hidden_state
    mask = encoded["attention_mask"].unsqueeze(-1)
    means = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    near, far = float(means[0] @ means[1]), float(means[0] @ means[2])
    assert near > 0.4 > 0.2 > far


def test_the_attention_view_shares_the_weights_and_agrees() -> None:
    bundle = load_bundle(entry("minilm"), Settings(), CPU)
    view = bundle.with_attention()
    assert view.eager and view.lock is bundle.lock
    assert all(a is b for a, b in zip(bundle.model.parameters(), view.model.parameters(), strict=True))
    assert tensor_bytes(view.model) == bundle.bytes
    encoded = bundle.encode(["The cat sat on the mat."])
    with torch.inference_mode():
        plain = bundle.model(**encoded)
        looked = view.model(**encoded, output_attentions=True)
        again = bundle.model(**encoded)
    assert len(looked.attentions) == bundle.model.config.num_hidden_layers
    assert torch.allclose(looked.attentions[0].sum(-1), torch.ones(1), atol=1e-5)
    assert torch.allclose(plain.last_hidden_state, looked.last_hidden_state, atol=1e-4)
    # Making the view must not have switched the shared model.
    assert torch.equal(plain.last_hidden_state, again.last_hidden_state)
    assert bundle.model.config._attn_implementation == "sdpa"


def test_a_folder_of_models_is_used(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "test/tiny")
    bundle = load_bundle(tiny_entry(), settings, CPU)
    assert bundle.source == "models_dir"
    assert type(bundle.model).__name__ == "BertForMaskedLM"


def test_bin_files_load_only_where_the_catalogue_says_so(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "test/tiny", as_bin=True)
    plain = tiny_entry()
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors"):
        load_bundle(plain, settings, CPU)
    as_bin = replace(plain, weights=replace(plain.weights, format="bin"))
    assert load_bundle(as_bin, settings, CPU).model.config.hidden_size == 32


class _Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/taller-should-not-exist"),))


def test_a_pickle_that_runs_code_is_refused(settings: Settings, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "test/tiny", as_bin=True)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Evil()}))
    as_bin = tiny_entry()
    as_bin = replace(as_bin, weights=replace(as_bin.weights, format="bin"))
    with pytest.raises(ModelUnavailable, match="seguridad"):
        load_bundle(as_bin, settings, CPU)
    assert not Path("/tmp/taller-should-not-exist").exists()


def test_a_head_that_the_files_lack_never_answers(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "test/tiny", "MaskedLM")
    for head in ("NextSentencePrediction", "PreTraining", "SequenceClassification"):
        with pytest.raises(ModelUnavailable, match="al azar"):
            load_bundle(tiny_entry(head=head), settings, CPU)


def test_a_body_does_without_the_pooler_that_beto_lacks(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "test/tiny", "MaskedLM")
    bundle = load_bundle(tiny_entry(head=None), settings, CPU)
    assert bundle.model.pooler is None
    out = bundle.model(**bundle.encode(["hola mundo"]))
    assert out.pooler_output is None and out.last_hidden_state.shape == (1, 4, 32)


def test_a_model_for_another_task_is_refused(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "test/tiny")
    with pytest.raises(ModelUnavailable, match="no sirve para esta tarea"):
        load_bundle(tiny_entry(head="Seq2SeqLM"), settings, CPU)


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.999])
def test_a_cut_safetensors_file_is_not_a_model(settings: Settings, tmp_path: Path, keep: float) -> None:
    folder = write_model(tmp_path / "test/tiny")
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    assert is_whole_safetensors(file)
    file.write_bytes(whole[: int(len(whole) * keep)])
    assert not is_whole_safetensors(file)
    assert locate_model(tiny_entry(), settings) is None
    with pytest.raises(ModelUnavailable, match=r"incompleto.*model\.safetensors"):
        load_bundle(tiny_entry(), settings, CPU)


@pytest.mark.parametrize("header", [b"\xff" * 64, b"[]", b'{"w": {}}', b'{"w": 3}', b"{}"])
def test_a_damaged_header_is_told_from_a_model(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    assert not is_whole_safetensors(file)


def test_weights_of_another_shape_are_refused(settings: Settings, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "test/tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 128}))
    with pytest.raises(ModelUnavailable, match=r"dañados|al azar"):
        load_bundle(tiny_entry(), settings, CPU)


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
def test_each_missing_file_is_named(settings: Settings, tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "test/tiny")
    assert model_files_complete(folder, tiny_entry())
    (folder / name).unlink()
    lacking = missing_files(folder, tiny_entry())
    assert len(lacking) == 1
    assert lacking[0] == (name if name != "vocab.txt" else "tokenizer.json")
    assert lacking[0] in why_absent(tiny_entry(), settings)


def test_every_shard_counts(settings: Settings, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "test/tiny")
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert load_bundle(tiny_entry(), settings, CPU).model.config.hidden_size == 32
    shards[1].unlink()
    assert missing_files(folder, tiny_entry()) == [shards[1].name]


def test_an_absent_model_says_where_to_put_it(settings: Settings) -> None:
    with pytest.raises(ModelUnavailable, match="«test/tiny» dentro de la carpeta de modelos"):
        load_bundle(tiny_entry(), settings, CPU)


def test_a_tokenizer_that_cant_be_read_is_told(settings: Settings, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "test/tiny")
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelUnavailable, match="tokenizador"):
        load_bundle(tiny_entry(), settings, CPU)


def test_input_longer_than_the_window(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path / "test/tiny")
    bundle = load_bundle(tiny_entry(), settings, CPU)
    with pytest.raises(InputTooLong, match="42 tokens y tiny lee 32"):
        bundle.encode(["hola " * 40])
    cut = bundle.encode(["hola " * 40], truncate=True)
    assert cut["input_ids"].shape == (1, 32)
    # The cut was this call's alone.
    assert bundle.encode(["hola " * 30])["input_ids"].shape == (1, 32)
    assert bundle.encode(["hola " * 5])["input_ids"].shape == (1, 7)


def test_real_models_of_other_families(shared_dir: Path) -> None:
    known = {"tinystories": "raincandy-u/TinyStories-656K", "g2p-en": "PeterReid/graphemes_to_phonemes_en_us"}
    for key, model_id in known.items():
        bundle = load_bundle(entry(key), Settings(models_dir=shared_dir / "hub"), CPU)
        assert bundle.entry.id == model_id
        assert sum(p.numel() for p in bundle.model.parameters()) == entry(key).weights.parameters
        with torch.inference_mode():
            out = bundle.model.generate(bundle.encode(["Once upon a time"])["input_ids"], max_new_tokens=8)
        assert out.shape[1] > 4
