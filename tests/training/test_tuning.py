"""Fine-tuning: every task by every method learns, and the shortcuts change no number."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.catalog import entry
from core.errors import InputInvalid, ModelUnavailable
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.training.data import DataSet
from core.training.recipes.loop import Schedule, tensors
from core.training.tuning import scores
from core.training.tuning.answering import Answer, Asking
from core.training.tuning.fit import Hooks, Learning, Stopped
from core.training.tuning.models import (
    HEADS,
    Finished,
    SmallVocabulary,
    add_averaging_layer,
    build,
    freeze_body,
    load_tokenizer,
    logits,
    with_lora,
)
from core.training.tuning.request import (
    METHODS,
    TuningRequest,
    bases,
    check,
    defaults,
    preset,
    tuning_request,
)
from core.training.tuning.rows import Order, collate, question_rows, rows_of
from core.training.tuning.tune import body_vectors, forecast, tune
from tests.training import tiny

SETS: dict[str, Callable[[], DataSet]] = {
    "classification": tiny.colours,
    "entities": tiny.animals,
    "questions": tiny.where,
}
RATES = {"head": 2e-2, "full": 3e-3, "lora": 1e-2}
EPOCHS = {"head": 40, "full": 20, "lora": 30}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny.write_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def settings(hub: Path) -> Settings:
    return tiny.settings(hub)


def request_of(task: str, method: str = "full", **changes: Any) -> TuningRequest:
    first = TuningRequest(
        task,  # type: ignore[arg-type]
        tiny.BASE,
        method,  # type: ignore[arg-type]
        epochs=EPOCHS[method],
        learning_rate=RATES[method],
        batch=8,
        max_length=32,
    )
    return replace(first, **changes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model/model.safetensors")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", SETS)
def test_each_task_learns_by_each_method(task: str, method: str, settings: Settings, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    own = {"sentences": ("que ve luis ?" if task == "questions" else "hay un loro en casa",)}
    request = request_of(task, method, **own, context="luis ve un pez en la casa")
    result = tune(request, SETS[task](), tmp_path, settings, Hooks(report=lines.append))
    first, *_rest, last = (line for line in lines if line["kind"] == "epoch")
    assert result["value"] > first["value"] + 0.2
    assert result["value"] >= 0.8
    assert result["low"] <= result["value"] <= result["high"]
    assert last["epoch"] == EPOCHS[method]
    assert len(last["own"]) == 1
    assert (result["trained"] < result["parameters"]) == (method != "full")
    steps = [line for line in lines if line["kind"] == "step"]
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert steps[-1]["left_s"] == 0


@pytest.mark.parametrize("task", SETS)
def test_the_written_model_opens_and_says_what_the_run_said(task: str, settings: Settings, tmp_path: Path) -> None:
    import transformers

    data = SETS[task]()
    result = tune(request_of(task, "lora", epochs=2), data, tmp_path, settings)
    folder = tmp_path / "model"
    heads = {"classification": "SequenceClassification", "entities": "TokenClassification"}
    auto = getattr(transformers, f"AutoModelFor{heads.get(task, 'QuestionAnswering')}")
    model, info = auto.from_pretrained(str(folder), output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    model.eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    rows = rows_of(data, data.test, tokenizer, 32, every=True)
    if task == "classification":
        again = scores.class_scores(scores.class_chances(model, rows, "cpu"), data)
        assert model.config.id2label == {0: "color", 1: "animal"}
    elif task == "entities":
        again = scores.tag_scores(scores.word_tags(model, rows, "cpu"), data)
    else:
        contexts = [q.context for q in data.test]  # type: ignore[union-attr]
        again = scores.answer_scores(scores.answers(model, rows, contexts, "cpu", may_be_none=False), data)
    assert again["value"] == result["value"]
    told = [[(m["text"], m["wanted"], m["got"]) for m in part["mistakes"]] for part in (again, result)]
    assert sorted(told[0]) == sorted(told[1])
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "base_model: dccuchile/bert-base-spanish-wwm-cased" in card
    request = tuning_request(json.loads((folder / "request.json").read_text(encoding="utf-8")))
    assert request == request_of(task, "lora", epochs=2)


@pytest.mark.parametrize("task", SETS)
def test_the_box_to_try_it_marks_what_the_model_finds(task: str, settings: Settings, tmp_path: Path) -> None:
    data, request = SETS[task](), request_of(task)
    tune(request, data, tmp_path, settings)
    base = entry(tiny.BASE)
    assert base.weights is not None
    weights = replace(base.weights, head=HEADS[data.task], format="safetensors", download_mib=0.0)
    model = load_bundle(replace(base, embedded=f"folder:{tmp_path / 'model'}", weights=weights), settings, CPU)

    def ask(text: str, context: str = "") -> Answer:
        return Asking(request, data).run(model, [(text, context)])[0]

    if task == "classification":
        found = ask("veo mi loro")
        assert found.classes[0][0] == "animal"
        assert sum(chance for _name, chance in found.classes) == pytest.approx(1)
    elif task == "entities":
        found = ask("veo  mi\tgato")
        ((start, end, kind, sure),) = found.marks
        assert (found.text[start:end], kind) == ("gato", "ANIMAL")
        assert 0 < sure <= 1
    else:
        context = "luis ve el pez . hay un azul"
        ((start, end, _kind, _sure),) = ask("que ve luis ?", context).marks
        assert context[start:end] == "pez"
    with pytest.raises(InputInvalid):
        ask("  ", "x")


def test_the_same_seed_gives_the_same_weights_and_another_one_others(settings: Settings, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        tune(request_of("classification", epochs=2, seed=seed), tiny.colours(), tmp_path / name, settings)
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_cut_at_any_checkpoint_ends_as_one_that_was_not(method: str, settings: Settings, tmp_path: Path) -> None:
    request = request_of("classification", method, epochs=3)
    whole = tune(request, tiny.colours(), tmp_path / "whole", settings)
    cut: dict[str, Any] = {}
    for stop_at in (2, 7, 100):
        count = 0

        def stop(stop_at: int = stop_at) -> bool:
            nonlocal count
            count += 1
            return count == stop_at

        try:
            cut = tune(request, tiny.colours(), tmp_path / "cut", settings, Hooks(stop=stop))
        except Stopped:
            assert (tmp_path / "cut/checkpoint.pt").is_file()
    assert cut["value"] == whole["value"]
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not (tmp_path / "cut/checkpoint.pt").exists()


def _rows(settings: Settings, data: DataSet) -> list[dict[str, Any]]:
    return rows_of(data, data.train, load_tokenizer(tiny.BASE, settings), 32)


@pytest.mark.parametrize("task", SETS)
def test_the_head_on_kept_vectors_says_what_the_whole_model_says(
    task: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Equal to the last digits only in single precision, which processors with bf16 don't take by themselves.
    monkeypatch.setattr("core.training.recipes.loop.multiplies_bf16", lambda _device: False)
    data = SETS[task]()
    rows = _rows(settings, data)[:6]
    model = build(request_of(task, "head"), data.labels, settings).eval()
    batch = tensors(collate(rows), "cpu")
    with torch.inference_mode():
        whole = logits(model, batch)
        vectors = body_vectors(model, rows, "cpu", first_only=task == "classification")
        kept = tensors(collate([{**row, "hidden": v} for row, v in zip(rows, vectors, strict=True)]), "cpu")
        with Finished(model) as finished:
            finished.hidden = kept["hidden"]
            head = logits(model, kept)
        after = logits(model, batch)
    mask = batch["attention"].bool()
    for name in ("logits",) if task != "questions" else ("start_logits", "end_logits"):
        one, other, again = (getattr(out, name) for out in (whole, head, after))
        if task != "classification":
            one, other, again = one[mask], other[mask], again[mask]
        torch.testing.assert_close(one, other)
        assert torch.equal(one, again)


def test_only_the_head_moves(settings: Settings) -> None:
    model = build(request_of("classification", "head"), ("a", "b"), settings)
    freeze_body(model)
    moving = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert moving == {f"{part}.{kind}" for part in ("bert.pooler.dense", "classifier") for kind in ("weight", "bias")}


def test_a_small_vocabulary_trains_the_very_weights_of_the_whole_table(settings: Settings, tmp_path: Path) -> None:
    data = tiny.colours()
    found = []
    for small in (True, False):
        request = request_of("classification")
        model = build(request, data.labels, settings)
        for dropout in (part for part in model.modules() if isinstance(part, torch.nn.Dropout)):
            dropout.p = 0.0
        rows = _rows(settings, data)
        tables = SmallVocabulary(model, {i for row in rows for i in row["ids"]}) if small else None
        if tables is not None:
            assert len(tables.ids) < len(tiny.VOCABULARY)
            rows = [{**row, "ids": tables.places(row["ids"])} for row in rows]
        order = Order([len(row["ids"]) for row in rows], 8, 1)
        Learning("train", model, rows, Schedule(10, 1e-3), order, "cpu", tmp_path / f"{small}.pt").run(Hooks())
        if tables is not None:
            tables.restore()
        found.append(model.state_dict())
    for key, weight in found[0].items():
        torch.testing.assert_close(weight, found[1][key], atol=2e-6, rtol=1e-5)


def test_lora_merges_without_a_change(settings: Settings) -> None:
    data = tiny.colours()
    rows = _rows(settings, data)
    batch = tensors(collate(rows[:8]), "cpu")
    model = with_lora(build(request_of("classification", "lora"), data.labels, settings))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1)
    model.eval()
    with torch.inference_mode():
        before = logits(model, batch).logits
        merged = model.merge_and_unload()
        after = logits(merged, batch).logits
    torch.testing.assert_close(before, after, atol=1e-5, rtol=1e-4)
    assert type(merged).__name__ == "BertForSequenceClassification"


@pytest.mark.parametrize("base", ["minilm", "mini-beto"])
def test_the_averaging_layer_brings_the_mean_to_cls(base: str) -> None:
    settings = Settings(device="cpu", offline=True)
    request = defaults("classification", "head", base)
    model = build(request, ("a", "b"), settings).eval()
    tokenizer = load_tokenizer(base, settings)
    batch = tokenizer(
        ["A short one.", "A much longer sentence about nothing at all."], padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        states = model.bert(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None]
        mean = (states * mask).sum(1) / mask.sum(1)
        wanted = torch.nn.functional.layer_norm(mean, mean.shape[-1:])
        assert add_averaging_layer(model, request, settings)
        got = model.eval().bert(**batch).last_hidden_state[:, 0]
    # The residual is a thousandth of what is written over it.
    assert torch.nn.functional.cosine_similarity(got, wanted).min() > 0.9999
    assert model.config.num_hidden_layers == 7


def test_what_the_averaging_layer_says_is_known_without_running_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.recipes.loop.multiplies_bf16", lambda _device: False)
    settings = Settings(device="cpu", offline=True)
    request = defaults("classification", "head", "minilm")
    model = build(request, ("a", "b"), settings)
    assert add_averaging_layer(model, request, settings)
    tokenizer = load_tokenizer("minilm", settings)
    texts = ["A short one.", "A much longer sentence about nothing at all.", "Words"]
    rows = [{"ids": ids, "label": 0} for ids in tokenizer(texts)["input_ids"]]
    layers: list[int] = []
    for place, layer in enumerate(model.bert.encoder.layer):
        layer.register_forward_hook(lambda *_given, place=place: layers.append(place))
    whole, apart = (
        np.stack(body_vectors(model, rows, "cpu", first_only=True, averages=averages)) for averages in (False, True)
    )
    np.testing.assert_allclose(apart, whole, atol=1e-5)
    assert layers == [*range(7), *range(6)]
    assert len(model.bert.encoder.layer) == 7


def test_other_encoders_get_no_averaging_layer(settings: Settings) -> None:
    model = build(request_of("classification"), ("a", "b"), settings)
    assert not add_averaging_layer(model, request_of("classification"), settings)


def test_a_random_body_is_another_one_and_an_adapted_body_guesses_better(settings: Settings, tmp_path: Path) -> None:
    data = tiny.colours()
    published = build(request_of("classification"), data.labels, settings)
    random = build(request_of("classification", start="random"), data.labels, settings)
    key = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(published.state_dict()[key], random.state_dict()[key])
    lines: list[dict[str, Any]] = []
    request = request_of("classification", "head", start="adapted", adapt_epochs=15, epochs=2)
    tune(request, data, tmp_path, settings, Hooks(report=lines.append))
    losses = [line["loss"] for line in lines if line["kind"] == "step" and line["stage"] == "adapt"]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert torch.equal(
        published.state_dict()[key], build(request_of("classification"), data.labels, settings).state_dict()[key]
    )


def test_adaptation_that_was_cut_goes_on_exactly(settings: Settings, tmp_path: Path) -> None:
    request = request_of("classification", "head", start="adapted", adapt_epochs=4, epochs=2)
    tune(request, tiny.colours(), tmp_path / "whole", settings)
    for at in (5, 12):
        count = 0

        def stop(at: int = at) -> bool:
            nonlocal count
            count += 1
            return count == at

        with pytest.raises(Stopped):
            tune(request, tiny.colours(), tmp_path / "cut", settings, Hooks(stop=stop))
    tune(request, tiny.colours(), tmp_path / "cut", settings)
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_every_row_stands_once_in_an_epoch_and_neighbours_are_of_like_length() -> None:
    lengths = [int(x) for x in np.random.default_rng(0).integers(3, 60, 203)]
    order = Order(lengths, 8, 5)
    assert order.per_epoch == 26
    for epoch in (0, 1):
        batches = order.epoch(epoch)
        assert sorted(row for batch in batches for row in batch) == list(range(203))
    assert order.epoch(0) != order.epoch(1)
    assert Order(lengths, 8, 5).epoch(0) == order.epoch(0)
    in_order = sum(max(lengths[s : s + 8]) * len(lengths[s : s + 8]) for s in range(0, 203, 8))
    assert sum(order.tokens()) < 0.75 * in_order


def test_an_answer_is_found_in_whatever_window_it_stands(settings: Settings) -> None:
    from core.training.data import Question

    context = "luis ve un gato " + "en la casa " * 30 + "hay un pez ."
    question = Question("que ve luis ?", context, ((context.index("pez"), "pez"),))
    tokenizer = load_tokenizer(tiny.BASE, settings)
    windows = question_rows([question], tokenizer, 32, every=True)
    assert len(windows) > 3
    assert all(len(window["ids"]) <= 32 for window in windows)
    (best,) = question_rows([question], tokenizer, 32)
    low, high = best["offsets"][best["first"]][0], best["offsets"][best["last"]][1]
    assert context[low:high] == "pez"


def test_a_forecast_changes_nothing_and_counts_the_steps(settings: Settings, hub: Path) -> None:
    for method in METHODS:
        found = forecast(request_of("classification", method, epochs=3), tiny.colours(), settings)
        assert found.steps == 27
        assert 0 < found.seconds < 120
        assert found.memory_mib > 50
        assert found.tokens >= 3 * 72 * 4


def test_wilsons_interval_and_the_measures_have_their_known_values() -> None:
    low, high = scores.wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)  # Brown, Cai & DasGupta 2001
    assert scores.wilson(0, 0) == (0.0, 1.0)
    assert scores.answer_f1("the red house", "Red house.") == 1.0
    assert scores.answer_f1("casa roja", "la casa de la abuela") == pytest.approx(0.4)
    assert scores.answer_f1("", "") == 1.0
    assert scores.answer_f1("", "x") == 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "épocas"),
        ({"learning_rate": 1.0}, "tasa"),
        ({"batch": 1000}, "lote"),
        ({"max_length": 4}, "longitud"),
        ({"task": "translation"}, "tarea"),
        ({"base": "nobody"}, "catálogo"),
        ({"sentences": ("x",) * 9}, "frases"),
        ({"start": "adapted", "raw_text": "corto"}, "caracteres"),
    ],
)
def test_requests_that_cannot_be_run_say_why(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputInvalid, match=words):
        check(replace(request_of("classification"), **changes))


def test_defaults_and_presets_can_be_run_and_a_request_survives_json(settings: Settings) -> None:
    for task in SETS:
        for name in ("quick", "balanced", "thorough"):
            request = check(preset(name, task, "minilm"))  # type: ignore[arg-type]
            assert tuning_request(json.loads(json.dumps(request.to_dict()))) == request
    # Those of the language come first, in the catalogue's order.
    assert {entry.key for entry in list(bases(settings, "es"))[:3]} == {tiny.BASE, "mini-beto", "mini-e5"}
    assert [entry.key for entry in bases(settings, "es")][:2] == ["mini-beto", "mini-e5"]
    # What is known not to learn a task comes last of its language.
    assert [entry.key for entry in bases(settings, "es", "questions")][2] == "mini-beto"
    assert "minilm" in [entry.key for entry in bases(settings)]
    assert not [entry for entry in bases(settings) if entry.key.startswith("sentiment")]


def test_a_base_that_is_not_here_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        tune(request_of("classification"), tiny.colours(), tmp_path, tiny.settings(tmp_path / "empty"))
