"""The recipe of next sentence: which pairs it makes, the easy ones first, what it trains, and that no test leaks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from core.catalog import entry
from core.runtime.device import CPU
from core.runtime.loading import load_bundle
from core.settings import Settings
from core.training import samples
from core.training.recipes import adapters, next_sentence
from core.training.recipes.corpora import Document
from core.training.recipes.mini_beto import Text, read_text
from core.training.recipes.next_sentence import EASY_STEPS, Pairs, Places


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found: Tokenizer = adapters.load_tokenizer(next_sentence.BASE).backend_tokenizer  # type: ignore[attr-defined]
    return found


def novels(name: str, many: int = 6) -> Iterator[Document]:
    """Each has words of its own, and each sentence its number."""
    for number in range(many):
        sentences = [f"{name} {number} cuenta la parte {place} ahora." for place in range(30)]
        yield Document(name, str(number), tuple(" ".join(sentences[at : at + 3]) for at in range(0, 30, 3)))


@pytest.fixture(scope="module")
def texts(tokenizer: Tokenizer) -> dict[str, Text]:
    return {
        "es-novels": read_text(novels("Rosa"), tokenizer),
        "en-novels": read_text(novels("Walter"), tokenizer),
    }


def parts(ids: list[int], tokenizer: Tokenizer) -> tuple[str, str]:
    """The two texts of a row."""
    row = [token for token in ids if token != 1]
    assert row[0] == 0 and row[-1] == 2
    cut = row.index(2)
    assert row[cut + 1] == 2
    return tokenizer.decode(row[1:cut]).strip(), tokenizer.decode(row[cut + 2 : -1]).strip()


@pytest.mark.parametrize("index", [0, 1])
def test_a_true_second_is_the_next_one_and_a_random_one_is_of_another_document(
    texts: dict[str, Text], tokenizer: Tokenizer, index: int
) -> None:
    pairs = Pairs(texts, 64 * 64, lengths=(64,))
    labels = []
    for at in range(index, index + 6, 2):
        batch = pairs[at]
        assert batch["ids"].shape[1] <= 64
        for ids, label in zip(batch["ids"].tolist(), batch["label"].tolist(), strict=True):
            first, second = parts(ids, tokenizer)
            end, begin = first.split(".")[-2].split(), second.split(".")[0].split()
            number, last = end[1], int(end[-2])
            assert first.split()[0] == begin[0], "a random one is of the same source"
            if label == 0:
                assert (begin[1], int(begin[-2])) == (number, last + 1)
            else:
                assert begin[1] != number
            if index == 0:
                assert first.count(".") == second.count(".") == 1, "even batches have single sentences"
            labels.append(label)
    assert 0.3 < np.mean(labels) < 0.7


def test_easy_ones_come_from_another_source_and_most_of_them_first(
    texts: dict[str, Text], tokenizer: Tokenizer
) -> None:
    def foreign(index: int) -> float:
        pairs = Pairs(texts, 300 * 64, lengths=(64,), easy=True)
        batch = pairs[index]
        found = []
        for ids, label in zip(batch["ids"].tolist(), batch["label"].tolist(), strict=True):
            first, second = parts(ids, tokenizer)
            if label:
                found.append(first.split()[0] != second.split()[0])
            else:
                assert first.split()[0] == second.split()[0]
        return float(np.mean(found))

    assert foreign(0) == 1.0
    assert 0.3 < foreign(EASY_STEPS // 2) < 0.7
    assert 0.02 < foreign(EASY_STEPS * 3) < 0.2


def test_a_batch_depends_on_its_number_alone(texts: dict[str, Text]) -> None:
    one, other = Pairs(texts, 512), Pairs(texts, 512)
    assert all(np.array_equal(one[3][name], other[3][name]) for name in one[3])
    assert not np.array_equal(one[3]["ids"], one[5]["ids"])


def test_long_sentences_are_cut_at_their_far_ends(tokenizer: Tokenizer) -> None:
    long = " ".join(f"palabra{number}" for number in range(200))
    documents = [Document("es-novels", str(n), (f"Antes {long} fin.", f"Luego {long} fin.")) for n in range(2)]
    places = Places(read_text(iter(documents), tokenizer))
    assert tokenizer.decode(places.before(0, 6, 1).tolist()).endswith("fin.")
    assert tokenizer.decode(places.after(1, 6, 1).tolist()).strip().startswith("Luego")
    assert len(places.before(0, 6, 1)) == len(places.after(1, 6, 1)) == 6


def test_the_upper_layers_the_pooler_and_the_head_learn() -> None:
    model = next_sentence.build_model()
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}
    layers = {int(name.split("encoder.layer.")[1].split(".")[0]) for name in learning if "encoder.layer." in name}
    assert layers == set(range(next_sentence.FIRST_LAYER, 12))
    assert any("pooler.modules_to_save" in name for name in learning)
    assert any("classifier.modules_to_save" in name for name in learning)
    # What it begins with is another adapter, whose second matrices are no longer zero.
    assert any("lora_B" in name and float(w.detach().abs().sum()) > 0 for name, w in model.named_parameters())


def test_a_head_for_this_very_task_is_gone_on_from() -> None:
    shipped = load_bundle(entry("next-sentence"), Settings(offline=True, device="cpu"), CPU)
    model = next_sentence.build_model("next-sentence").eval()
    ids = torch.tensor([[0, 52, 64, 2, 2, 95, 24, 2]])
    with torch.inference_mode():
        assert torch.allclose(model(input_ids=ids).logits, shipped.model(input_ids=ids).logits, atol=1e-4)


def test_the_samples_are_pairs_of_both_kinds_and_none_is_written_twice() -> None:
    for language in ("es", "en"):
        pairs = samples.following(language)
        assert len(pairs) >= 20 and sum(follows for _a, _b, follows in pairs) * 2 == len(pairs)
        assert len({(first, second) for first, second, _follows in pairs}) == len(pairs)


def test_no_document_is_in_two_splits(shared_dir: Path) -> None:
    for source in ("es-manuales", "en-novels"):
        own = {
            split: {document.id for document in next_sentence.documents(shared_dir / "data", source, split)}  # type: ignore[arg-type]
            for split in ("train", "dev", "test")
        }
        assert all(own.values())
        assert not own["train"] & (own["dev"] | own["test"]) and not own["dev"] & own["test"]
