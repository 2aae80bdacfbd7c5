"""Adapters: what is written and merged again answers as what was trained; batches; what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import ModelUnavailable
from core.runtime.loading import with_adapter
from core.training.recipes import adapters
from core.training.recipes.adapters import Shuffled, collate_text


@pytest.fixture(scope="module")
def trained() -> Any:
    model = adapters.build("minilm", "SequenceClassification", ("no", "yes"), rank=4)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:  # zero before training, which would prove nothing
                weight.normal_(0, 0.1)
            if "modules_to_save" in name:  # a fresh head hardly says anything
                weight.mul_(30)
    return model.eval()


def answer(model: Any, text: str) -> torch.Tensor:
    tokenizer = adapters.load_tokenizer("minilm")
    with torch.inference_mode():
        return model(**tokenizer([text], return_tensors="pt")).logits  # type: ignore[no-any-return]


def test_what_was_written_answers_as_what_was_trained(trained: Any, tmp_path: Path) -> None:
    adapters.export(trained, "minilm", tmp_path)
    merged = with_adapter(adapters.base_folder("minilm"), tmp_path, "SequenceClassification").eval()
    text = "The film was a delight from beginning to end."
    assert torch.allclose(answer(merged, text), answer(trained, text), atol=2e-2)
    assert merged.config.id2label == {0: "no", 1: "yes"}
    # The fresh head alone must not give the same: the adapter has to count.
    with trained.disable_adapter():
        assert not torch.allclose(answer(merged, text), answer(trained, text), atol=0.1)


def test_the_files_are_small_and_are_pefts_own(trained: Any, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    adapters.export(trained, "minilm", tmp_path)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 1_000_000
    plain = AutoModelForSequenceClassification.from_pretrained(str(adapters.base_folder("minilm")), num_labels=2)
    loaded = PeftModel.from_pretrained(plain, str(tmp_path)).eval()
    text = "A dull, lifeless film."
    assert torch.allclose(answer(loaded, text), answer(trained, text), atol=2e-2)


def test_lower_layers_may_stay_as_they_are_and_then_take_no_backward_pass(tmp_path: Path) -> None:
    model = adapters.build("minilm", "SequenceClassification", ("no", "yes"), rank=4, dropout=False, first=4)
    learnt = {
        int(n.split(".layer.")[1].split(".")[0]) for n, w in model.named_parameters() if w.requires_grad and "lora" in n
    }
    assert learnt == {4, 5}
    assert not any(module.p for module in model.modules() if isinstance(module, torch.nn.Dropout))
    adapters.export(model, "minilm", tmp_path)
    merged = with_adapter(adapters.base_folder("minilm"), tmp_path, "SequenceClassification").eval()
    text = "Neither good nor bad."
    assert torch.allclose(answer(merged, text), answer(model.eval(), text), atol=2e-2)


def test_an_adapter_without_its_head_is_refused(trained: Any, tmp_path: Path) -> None:
    adapters.export(trained, "minilm", tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    save_file({n: w for n, w in load_file(file).items() if "classifier" not in n}, file)
    with pytest.raises(ModelUnavailable, match="faltan pesos"):
        with_adapter(adapters.base_folder("minilm"), tmp_path, "SequenceClassification")


def test_an_adapter_of_another_encoder_is_refused(trained: Any, tmp_path: Path) -> None:
    adapters.export(trained, "minilm", tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    save_file({n: torch.cat([w, w]).contiguous() for n, w in load_file(file).items()}, file)
    with pytest.raises(ModelUnavailable, match="modelo base"):
        with_adapter(adapters.base_folder("minilm"), tmp_path, "SequenceClassification")


def test_no_pickle_and_no_personal_path_is_written(trained: Any, tmp_path: Path) -> None:
    adapters.export(trained, "minilm", tmp_path)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors", "config.json"]
    for name in ("adapter_config.json", "config.json"):
        text = (tmp_path / name).read_text()
        json.loads(text)
        assert "/" not in text.replace("sentence-transformers/all-MiniLM-L6-v2", "")


def rows(count: int) -> list[dict[str, Any]]:
    return [{"ids": [1] * (1 + n % 7), "label": n} for n in range(count)]


def test_every_row_comes_once_an_epoch() -> None:
    batches = Shuffled(rows(64), 8, collate_text)
    assert batches.per_epoch == 8
    epochs = [np.concatenate([batches[e * 8 + i]["label"] for i in range(8)]).tolist() for e in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(64))
    assert epochs[0] != epochs[1]
    # Any batch can be asked for alone, which is what a resumed run does.
    again = Shuffled(rows(64), 8, collate_text)
    assert again[11]["label"].tolist() == batches[11]["label"].tolist()


def test_neighbours_are_of_like_length() -> None:
    batches = Shuffled(rows(700), 10, collate_text)
    waste = sum(int((batch["attention"] == 0).sum()) for batch in (batches[i] for i in range(70)))
    assert waste < 0.1 * 700 * 4


def test_an_adapter_is_a_model_like_any_other(trained: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    from core.catalog import entry
    from core.runtime.device import CPU
    from core.runtime.loading import load_bundle, locate_model, missing_files
    from core.settings import Settings

    folder = tmp_path / "test/head"
    adapters.export(trained, "minilm", folder)
    weights = entry("minilm").weights
    assert weights is not None
    head = replace(
        entry("minilm"),
        key="head",
        id="test/head",
        embedded=None,
        tier="reference",
        weights=replace(weights, base="minilm", head="SequenceClassification", download_mib=1.0),
    )
    settings = Settings(models_dir=tmp_path)
    bundle = load_bundle(head, settings, CPU)
    assert bundle.model.config.id2label == {0: "no", 1: "yes"}
    assert bundle.encode(["hello world"])["input_ids"].shape == (1, 4)
    (folder / "adapter_config.json").unlink()
    assert missing_files(folder, head) == ["adapter_config.json"]
    assert locate_model(head, settings) is None
