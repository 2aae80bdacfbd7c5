"""Coreference in Spanish and English: which mention a pronoun points to, as a LoRA adapter on mini-e5.

    python -m core.training.recipes.coreference --data DIR --out DIR [--epochs N]

The task is asked as a question (Chada 2019): the words around the pronoun, and where in the text the answer
stands; so it begins with the adapter that has learnt to answer questions. English: GAP's development part and
WinoBias's, whose occupations stand with both pronouns alike. Neither has a pronoun that agrees with one candidate
alone, and Spanish has no such set at all: novels in both languages give such pronouns (``pronouns.agreeing``). What is
learnt of the sense in English helps in Spanish, as mini-e5 reads both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.tasks.coreference import CoreferenceRequest, candidate_tokens, question
from core.training.recipes import adapters, pronouns
from core.training.recipes.loop import Schedule, autocast, command_line, log, padded, tensors, train

if TYPE_CHECKING:
    import torch

BASE: Final = "mini-e5"
START: Final = "questions-es"
FIRST_LAYER: Final = 4
LONGEST: Final = 320
# Every so many cases of GAP's development part decide when to stop, and are not learnt.
HELD: Final = 10
_MOST: Final = 24


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a run.

    Attributes:
        epochs: rounds through all cases.
        batch: cases a batch.
        learning_rate: of AdamW.
        spanish: pronouns of Spanish novels.
        english: pronouns of English novels.
        seed: of the draw.
    """

    epochs: float = 3.0
    batch: int = 16
    learning_rate: float = 4e-4
    spanish: int = 4000
    english: int = 1500
    seed: int = 1


def rows(cases: Sequence[CoreferenceRequest], tokenizer: Any) -> list[dict[str, Any]]:
    """``ids`` of question and text, and ``candidates``, their first and last tokens; those of long texts are left out.

    The right candidate is the first; of more than two dozen the last ones are dropped.
    """
    found = []
    for start in range(0, len(cases), 500):
        part = cases[start : start + 500]
        encoded = tokenizer(
            [question(case) for case in part], [case.text for case in part], return_offsets_mapping=True
        )
        found += [
            {
                "ids": encoded["input_ids"][row],
                "candidates": candidate_tokens(encoded, case.candidates[:_MOST], row),
            }
            for row, case in enumerate(part)
            if len(encoded["input_ids"][row]) <= LONGEST
        ]
    return found


def collate(part: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """``ids``, ``segments`` and ``attention`` by tokens; ``first``, ``last`` and ``none`` by candidates."""
    ids = padded([row["ids"] for row in part], 1)
    return {
        "ids": ids,
        "segments": np.zeros_like(ids),
        "attention": padded([[1] * len(row["ids"]) for row in part], 0),
        "first": padded([[first for first, _last in row["candidates"]] for row in part], 0),
        "last": padded([[last for _first, last in row["candidates"]] for row in part], 0),
        "none": padded([[0] * len(row["candidates"]) for row in part], 1),
    }


def candidate_scores(model: Any, batch: Mapping[str, "torch.Tensor"]) -> "torch.Tensor":
    """``(batch, candidates)``: the logit of each one's first token as a start plus that of its last as an end."""
    out = adapters.scores(model, batch)
    starts, ends = out.start_logits.float(), out.end_logits.float()
    found: torch.Tensor = starts.gather(1, batch["first"]) + ends.gather(1, batch["last"])
    return found.masked_fill(batch["none"].bool(), -1e4)


def losses(model: "torch.nn.Module", batch: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Cross-entropy of the right one among the candidates."""
    import torch
    import torch.nn.functional as F

    found = candidate_scores(model, batch)
    return {"loss": F.cross_entropy(found, torch.zeros(len(found), dtype=torch.long, device=found.device))}


def right_share(model: Any, cases: Sequence[CoreferenceRequest], tokenizer: Any, device: str) -> float:
    """The share of cases whose first candidate scores highest."""
    import torch

    asked = rows(cases, tokenizer)
    right = 0
    with torch.inference_mode(), autocast(device):
        for start in range(0, len(asked), 16):
            best = candidate_scores(model, tensors(collate(asked[start : start + 16]), device)).argmax(-1)
            right += int((best == 0).sum())
    return round(right / len(asked), 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given, options = command_line("coreference", Options, arguments)
    data, out, device = given.data, given.out, given.device
    tokenizer = adapters.load_tokenizer(BASE)
    cases = pronouns.training(data, options.spanish, options.english, options.seed)
    held = pronouns.gap(data, "development")[::HELD]
    places = {(case.text, case.pronoun) for case in held}
    learnt = rows([case for case in cases if (case.text, case.pronoun) not in places], tokenizer)
    log(out, {"train": len(learnt), "tokens": sum(len(row["ids"]) for row in learnt)})
    model = adapters.build(BASE, "QuestionAnswering", seed=options.seed, dropout=False, first=FIRST_LAYER)
    adapters.begin_as(model, START)

    def check(trained: Any) -> dict[str, Any]:
        return {"held": right_share(trained, held, tokenizer, device)}

    batches = adapters.Shuffled(learnt, options.batch, collate, options.seed)
    schedule = Schedule(
        round(options.epochs * batches.per_epoch), options.learning_rate, warmup=0.06, seed=options.seed
    )
    kept = {"batch": options.batch, "rows": len(learnt)}
    train(model, batches, losses, schedule, out, device=device, options=kept, check=check)
    adapters.export(model, BASE, out / "model")
    model.eval()
    for name, own in {**pronouns.tests(data), **pronouns.written()}.items():
        log(out, {"test": name, "right": right_share(model, own, tokenizer, device), "n": len(own)})


if __name__ == "__main__":
    main()
