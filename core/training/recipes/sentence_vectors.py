"""Spanish sentence vectors: mini-e5 learns to put a sentence where MiniLM puts its English translation.

    python -m core.training.recipes.sentence_vectors --data DIR --out DIR [--epochs N]

A LoRA on the upper layers of the encoder; mean pooling, vectors of length one. mini-e5 knows by itself which
sentence translates another; what it learns here is to spread its vectors as MiniLM does, whose cosines say how much
two sentences have in common, and to look less at shared words. Each Spanish sentence is drawn to the vector that
all-MiniLM-L6-v2 gives its translation (Reimers & Gurevych 2020), and away from those of the batch's other sentences.
So heads that were learnt in English work on Spanish, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.training.recipes import adapters, mini_mt
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, tensors, train

if TYPE_CHECKING:
    import torch

TEACHER: Final = "minilm"
STUDENT: Final = "mini-e5"
# Below it the layers stay as they are, and nothing is computed backwards.
FIRST_LAYER: Final = 4
LONGEST: Final = 64
# How sharply a sentence's own vector must stand out among the batch's (Henderson et al. 2017; Gao et al. 2021).
TEMPERATURE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run."""

    epochs: int = 1
    batch: int = 64
    learning_rate: float = 6e-4
    rank: int = 16
    seed: int = 1


def pooled(model: Any, batch: Mapping[str, "torch.Tensor"]) -> "torch.Tensor":
    """Mean of the token vectors, of length one: ``(batch, 384)``."""
    import torch.nn.functional as F

    states = adapters.scores(model, batch).last_hidden_state.float()
    mask = batch["attention"][:, :, None].float()
    return F.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


def collate(part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """``ids``, ``segments``, ``attention`` ``(batch, tokens)``; ``target`` ``(batch, 384)`` where there are some."""
    ids = padded([row["ids"] for row in part], 0)
    found: dict[str, npt.NDArray[Any]] = {
        "ids": ids,
        "segments": np.zeros_like(ids),
        "attention": padded([[1] * len(row["ids"]) for row in part], 0),
    }
    if "target" in part[0]:
        found["target"] = np.stack([row["target"] for row in part]).astype(np.float32)
    return found


def vectors(model: Any, tokenizer: Any, texts: Sequence[str], device: str) -> npt.NDArray[np.float16]:
    """Vectors of many texts, ``(texts, 384)``, in order."""
    import torch

    encoded = tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"]
    order = np.argsort([len(ids) for ids in encoded], kind="stable")
    found = np.zeros((len(texts), 384), dtype=np.float16)
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(order), 128):
            part = order[start : start + 128]
            batch = tensors(collate([{"ids": encoded[index]} for index in part]), device)
            found[part] = pooled(model, batch).cpu().numpy()
    return found


def teacher(device: str) -> Any:
    """MiniLM, in evaluation mode."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(adapters.base_folder(TEACHER)), dtype=torch.float32)
    return model.to(device).eval()


def targets(pairs: Sequence[tuple[str, str]], file: Path, device: str) -> npt.NDArray[np.float16]:
    """MiniLM's vectors of the English sides, computed once and kept in ``file``."""
    if not file.is_file():
        found = vectors(teacher(device), adapters.load_tokenizer(TEACHER), [en for en, _es in pairs], device)
        partial = file.with_suffix(".partial.npy")
        np.save(partial, found)
        partial.replace(file)
    kept: npt.NDArray[np.float16] = np.load(file, mmap_mode="r")
    return kept


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """How far each sentence is from its target, and how hard its target is to tell from the others'."""
    import torch
    import torch.nn.functional as F

    ours = pooled(model, batch)
    goals = F.normalize(batch["target"].float(), dim=-1)
    near = (1 - (ours * goals).sum(-1)).mean()
    own = torch.arange(len(ours), device=ours.device)
    apart = F.cross_entropy(ours @ goals.T / TEMPERATURE, own)
    return {"near": 4 * near, "apart": apart}


def retrieval(english: npt.NDArray[Any], spanish: npt.NDArray[Any]) -> dict[str, Any]:
    """Share of English sentences whose translation is the nearest of all Spanish ones, and the other way."""
    scores = english.astype(np.float32) @ spanish.astype(np.float32).T  # (English, Spanish)
    own = np.arange(len(scores))
    return {
        "en→es": round(float((scores.argmax(1) == own).mean()), 4),
        "es→en": round(float((scores.argmax(0) == own).mean()), 4),
        "pairs": len(scores),
    }


def tests(data: Path) -> dict[str, list[tuple[str, str]]]:
    """A thousand pairs of everyday sentences and a thousand of documentation, each sentence once."""
    found = {}
    for name, test in mini_mt.tests(data).items():
        if name.endswith("en→es"):
            seen: set[str] = set()
            pairs = []
            for english, references in zip(test.sources, test.references, strict=True):
                if references[0] not in seen:
                    seen.add(references[0])
                    pairs.append((english, references[0]))
            found[name.removesuffix(" en→es")] = pairs[:1000]
    return found


def score(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], device: str, *, bilingual: bool = False
) -> dict[str, Any]:
    """``retrieval`` on pairs; the English side by the teacher, or by the model itself if it is ``bilingual``."""
    reader, words = (model, tokenizer) if bilingual else (teacher(device), adapters.load_tokenizer(TEACHER))
    english = vectors(reader, words, [en for en, _es in pairs], device)
    return retrieval(english, vectors(model, tokenizer, [es for _en, es in pairs], device))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("sentence_vectors", Options, arguments)
    data, out, device = given.data, given.out, given.device
    tokenizer = adapters.load_tokenizer(STUDENT)
    pairs = mini_mt.training(data)
    goals = targets(pairs, out / "targets.npy", device)
    encoded: Any = tokenizer([es for _en, es in pairs], truncation=True, max_length=LONGEST)
    rows = [{"ids": ids, "target": goal} for ids, goal in zip(encoded["input_ids"], goals, strict=True)]
    log(out, {"pairs": len(rows)})
    batches = adapters.Shuffled(rows, options.batch, collate, options.seed)
    schedule = Schedule(options.epochs * batches.per_epoch, options.learning_rate, warmup=0.05, seed=options.seed)
    # Each pair is seen about once.
    model = adapters.build(STUDENT, None, rank=options.rank, seed=options.seed, dropout=False, first=FIRST_LAYER)
    held = tests(data)

    def check(trained: "torch.nn.Module") -> dict[str, Any]:
        return score(trained, tokenizer, held["Tatoeba"], device)

    kept = {"batch": options.batch, "rank": options.rank, "rows": len(rows)}
    train(model, batches, losses, schedule, out, device=device, options=kept, check=check)
    adapters.export(model, STUDENT, out / "model")
    model.eval()
    for name, pairs_of_test in held.items():
        log(out, {"test": name, **score(model, tokenizer, pairs_of_test, device)})


if __name__ == "__main__":
    main()
