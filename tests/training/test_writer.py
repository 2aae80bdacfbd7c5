"""The writer's recipe: what it may read, its rows, that its adapter learns and is merged as it was trained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from core.catalog import entry
from core.runtime import loading
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.training.data import Question
from core.training.recipes import adapters, mini_mt, questions, writer
from core.training.recipes.corpora import HeldOutIndex
from core.training.recipes.loop import Schedule, train

ASKED = [
    Question("Where does Ana live?", "Ana lives in Lima with her dog.", ((13, "Lima"),)),
    Question("Who lives in Lima?", "Ana lives in Lima with her dog.", ((0, "Ana"),)),
    Question("Who barks?", "Ana lives in Lima with her dog.", ((23, "her dog"),)),
]


def test_no_article_that_is_measured_on_is_read_in_either_language(shared_dir: Path) -> None:
    data = shared_dir / "data"
    held, found = writer.tests(data), writer.training(data)
    assert len(held["es"]) > 1_000 and len(held["en"]) > 1_000
    assert len(found["es"]) > 3_000 and len(found["en"]) > 18_000
    originals = questions.originals(data)
    own = {language: {q.group for q in asked if q.group} for language, asked in held.items()}
    # The same articles in both, which no part of the model has read: the encoder's adapter is that of questions-es.
    assert own["en"] == {originals[group] for group in own["es"] if group in originals}
    for language, asked in found.items():
        assert not own[language] & {q.group for q in asked if q.group}
    seen = {q.context for q in questions.training(data, "es")}
    assert not seen & {q.context for asked in held.values() for q in asked}
    index = HeldOutIndex({q.context for asked in held.values() for q in asked})
    assert not any(index.repeats(q.context) for q in found["en"][::50])


def test_no_abstract_that_is_measured_on_is_learnt_from(shared_dir: Path) -> None:
    data = shared_dir / "data"
    found, test = writer.training_abstracts(data), writer.abstracts(data, "test")
    assert len(found) > 1_900 and len(test) == 618
    assert max(len(item.summaries) for item in test) > 1
    assert not {item.text for item in found} & {item.text for item in test}
    assert all(item.text.startswith(item.first) for item in test)
    assert 0.2 < writer.first_sentences(data)["f1"] < 0.4


def test_a_row_reads_question_and_text_and_writes_the_answer() -> None:
    words = Tokenizer.from_file(str(adapters.base_folder(writer.BASE) / "tokenizer.json"))
    mark = words.token_to_id(mini_mt.WANTED["en"])
    first, *_others = writer.answered(ASKED, adapters.load_tokenizer(writer.READS), words, mark)
    assert first["ids"].tolist() == words.encode(ASKED[0].question, ASKED[0].context).ids
    assert first["labels"][0] == mark and first["labels"][-1] == mini_mt.END
    assert words.decode(first["labels"].tolist()) == "Lima"


def test_scores_by_hand() -> None:
    assert questions.answer_scores(["lima", "the dog"], ASKED[:2]) == {"exact": 0.5, "f1": 0.5, "n": 2}
    item = writer.Abstract("…", "…", ("We train a small model.", "A model."))
    assert writer.summary_scores(["a small model"], [item])["f1"] == pytest.approx(2 * 2 / (2 + 4), abs=1e-4)


def test_what_is_read_is_computed_once_and_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    model, words = writer.load_base()
    mark = words.token_to_id(mini_mt.WANTED["en"])
    # More than are read at once.
    asked = [replace(ASKED[0], question=f"Where does number {n} live?") for n in range(100)]
    found = list(writer.answered(asked, adapters.load_tokenizer(writer.READS), words, mark))
    encoder = model.encoder.eval()
    whole = writer.Batches(found, 1_000, 1, encoder, tmp_path / "whole.bin", "cpu")
    content = (tmp_path / "whole.bin").read_bytes()
    assert len(content) == sum(len(row["ids"]) for row in found) * encoder.config.hidden_size * 2
    (tmp_path / "cut.bin").write_bytes(content[:-100])
    writer.Batches(found, 1_000, 1, encoder, tmp_path / "cut.bin", "cpu")
    assert (tmp_path / "cut.bin").read_bytes() == content
    batch = whole.collate(found[:2])
    ids = torch.from_numpy(found[1]["ids"].astype(int))[None]
    with torch.inference_mode():
        states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
    read = torch.from_numpy(batch["read"][1, : ids.shape[1]])
    # Read beside others, and perhaps in bf16.
    assert torch.nn.functional.cosine_similarity(read.float(), states, dim=-1).min() > 0.999


def test_it_learns_and_what_ships_is_merged_as_it_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, words = writer.build_model()
    encoder = model.get_base_model().encoder.eval()
    before = encoder.encoder.layer[11].output.dense.weight.clone()
    mark = words.token_to_id(mini_mt.WANTED["en"])
    found = list(writer.answered(ASKED, adapters.load_tokenizer(writer.READS), words, mark))
    batches = writer.Batches(found, 1_000, 1, encoder, tmp_path / "states.bin", "cpu")
    schedule = Schedule(steps=60, learning_rate=2e-3, warmup=0.1)
    train(model, batches, mini_mt.losses, schedule, tmp_path / "run", device="cpu")
    model.eval()
    assert torch.equal(encoder.encoder.layer[11].output.dense.weight, before)
    right = ["Lima", "Ana", "her dog"]
    assert writer.answer(model, words, ASKED, "en", "cpu", beams=1) == right
    adapters.export(model, writer.BASE, tmp_path / "model")
    assert json.loads((tmp_path / "model/adapter_config.json").read_text())["base_model_name_or_path"]
    real, mini_mt_entry = loading.locate_model, entry(writer.BASE)
    assert mini_mt_entry.weights is not None
    weights = replace(
        mini_mt_entry.weights,
        base=writer.BASE,
        encoder=None,
        encoder_layers=writer.READING,
        encoder_also=writer.ALSO,
        encoder_adapter=writer.START,
        start=mini_mt.WANTED["en"],
    )
    own = replace(mini_mt_entry, key="writer-en", weights=weights)

    def located(wanted: Any, settings: Settings) -> Any:
        return loading.Located(tmp_path / "model", "embedded") if wanted is own else real(wanted, settings)

    monkeypatch.setattr(loading, "locate_model", located)
    bundle = load_bundle(own, Settings(offline=True, device="cpu"), CPU)
    assert writer.answer(bundle.model, words, ASKED, "en", "cpu", beams=1) == right
