"""Whether everything for a workshop is on this machine: per page, models and how fast they answer here."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from core.catalog import ModelEntry, entries
from core.runtime.hub import locate
from core.runtime.loading import locate_model
from core.runtime.pool import ModelPool
from core.settings import Settings

Part = Literal["tokenizer", "model"]

# What each page uses: pairs of what is needed and the catalogue's tasks it comes from. A new page adds a line.
NEEDS: Final[Mapping[str, tuple[Part, tuple[str, ...]]]] = {
    "tokenization": ("tokenizer", ("tokenization",)),
    "tasks": (
        "model",
        (
            "sentiment",
            "ner",
            "question-answering",
            "similarity",
            "fill-mask",
            "next-sentence",
            "coreference",
            "zero-shot",
            "text-generation",
        ),
    ),
}
# Thirty words, what a visitor types into a form.
SENTENCES: Final = {
    "es": "Los niños del pueblo nunca habían visto el mar, así que cuando la vieja maestra prometió llevarlos allí "
    "en primavera, ya nadie en la clase pudo pensar en otra cosa.",
    "en": "The children of the village had never seen the sea, so when the old teacher promised to take them there "
    "in spring, nobody in class could think of anything else.",
}
REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class Need:
    """One model that a page uses.

    Attributes:
        entry: the model.
        part: all of it, or its tokenizer alone.
        here: whether that is on this machine.
        missing_mib: about how much would have to be fetched.
    """

    entry: ModelEntry
    part: Part
    here: bool
    missing_mib: float


@dataclass(frozen=True, slots=True)
class PageNeeds:
    """One page and what it uses. It works (``works``) as soon as one model is here for each language."""

    page: str
    needs: tuple[Need, ...]

    @property
    def works(self) -> bool:
        """Whether visitors get results in both languages."""
        served = {language for need in self.needs if need.here for language in need.entry.languages}
        return {"es", "en"} <= served

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return all(need.here for need in self.needs)


def _need(entry: ModelEntry, part: Part, settings: Settings) -> Need:
    if part == "tokenizer":
        here = locate(entry, settings) is not None
        return Need(entry, part, here, 0.0 if here else entry.tokenizer.download_mib)
    here = locate_model(entry, settings) is not None
    size = entry.weights.download_mib if entry.weights else 0.0
    return Need(entry, part, here, 0.0 if here else size)


def check(settings: Settings) -> list[PageNeeds]:
    """What each page needs and whether it is here; looks at the disk only."""
    found = []
    for page, (part, tasks) in NEEDS.items():
        users = [entry for entry in entries().values() if set(tasks) & set(entry.tasks)]
        found.append(PageNeeds(page, tuple(_need(entry, part, settings) for entry in users)))
    return found


def measure(pool: ModelPool, key: str) -> float:
    """How long the model ``key`` takes for a sentence of thirty words on this machine, in milliseconds.

    The median of ``REPEATS`` forward passes after one that doesn't count; tokenization is part of it.

    Raises:
        TallerError: it can't be loaded, or doesn't fit.
    """
    import torch

    with pool.use(key) as bundle:
        text = SENTENCES["es" if "es" in bundle.entry.languages else "en"]
        times = []
        for _turn in range(REPEATS + 1):
            began = time.perf_counter()
            with torch.inference_mode():
                inputs = bundle.encode([text], truncate=True).to(bundle.device.name)
                if bundle.entry.architecture == "encoder-decoder":
                    bundle.model(**inputs, decoder_input_ids=inputs["input_ids"][:, :1])
                else:
                    bundle.model(**inputs)
                # Both answer before they have computed.
                if bundle.device.kind == "cuda":
                    torch.cuda.synchronize()
                elif bundle.device.kind == "mps":
                    torch.mps.synchronize()
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[1:])
