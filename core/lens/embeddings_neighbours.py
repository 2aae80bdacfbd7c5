"""The pieces of the vocabulary whose vectors are nearest to a piece's, and what anisotropy does to that.

Word vectors of trained models don't fill their space evenly: most share a direction, so that even unrelated pieces
have a positive cosine (Gao et al. 2019, "Representation Degeneration"; Mu & Viswanath 2018, "All-but-the-Top", who
subtract the mean vector). The dot product besides prefers long vectors.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid
from core.i18n import gettext as _
from core.lens.attention_inputs import read_source, shown_pieces
from core.lens.embeddings import anatomy
from core.runtime.bundle import ModelBundle

if TYPE_CHECKING:
    import torch

Measure = Literal["cosine", "dot", "centred"]
MEASURES: Final[tuple[Measure, ...]] = ("cosine", "dot", "centred")
# Rows that a vocabulary keeps for later: nobody ever trained them.
_UNUSED: Final = re.compile(r"\[unused\d+\]|<unused\d+>|<extra_id_\d+>|<\|?reserved.*\|?>")
_BINS: Final = 60
_ROWS: Final = 16_384


@dataclass(frozen=True, slots=True)
class NeighbourRequest:
    """Which piece, and how nearness is measured.

    Attributes:
        text: a word or piece, cut by the model's own tokenizer.
        pick: which of its pieces, from 0; out of range means the first.
        measure: cosine, dot product, or cosine after the mean vector of the vocabulary is subtracted.
        count: how many neighbours.
        special: special and unused pieces count, too.
    """

    text: str
    pick: int = 0
    measure: Measure = "cosine"
    count: int = 15
    special: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A piece near to another: id, as the vocabulary writes it, and the measures; ``norm`` is its length."""

    id: int
    piece: str
    cosine: float
    dot: float
    centred: float
    norm: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What is near.

    Attributes:
        pieces: ids and pieces of the text that was typed.
        pick: which of them was looked at.
        found: the nearest, nearest first; the piece itself is left out.
        norm: length of its vector.
        vocabulary: how many pieces were compared.
        mean_cosine: of all pairs of the vocabulary, exactly; 0 would be directions without preference.
        mean_centred: the same after the mean vector is subtracted.
        mean_norm: mean length.
        shared: length of the mean vector.
        edges: of the histogram, 61 values.
        counts: how many pieces have a cosine within each of its 60 parts.
        milliseconds: for the whole comparison.
    """

    pieces: tuple[tuple[int, str], ...]
    pick: int
    found: tuple[Neighbour, ...]
    norm: float
    vocabulary: int
    mean_cosine: float
    mean_centred: float
    mean_norm: float
    shared: float
    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    milliseconds: float


def mean_pair_cosine(weight: "torch.Tensor", norms: "torch.Tensor", centre: "torch.Tensor") -> float:
    """The mean cosine over all pairs of different rows of ``weight − centre``, exactly and in one pass.

    The sum of all pairs' products of unit vectors is ‖Σû‖² − n, so no pair has to be looked at.

    Args:
        weight: ``(n, width)``.
        norms: ``(n,)`` lengths of the rows of ``weight − centre``; rows of length 0 are left out.
        centre: ``(width,)``.
    """
    import torch

    total = torch.zeros(weight.shape[1], dtype=torch.float64, device=weight.device)
    for start in range(0, weight.shape[0], _ROWS):
        part = weight[start : start + _ROWS].float() - centre
        lengths = norms[start : start + _ROWS]
        keep = lengths > 0
        total += (part[keep] / lengths[keep, None]).sum(0, dtype=torch.float64)
    n = int((norms > 0).sum())
    return float(((total @ total) - n) / max(1, n * (n - 1)))


class FindNeighbours:
    """The task."""

    name = "embedding-neighbours"
    attention = False
    max_batch = 4

    def run(self, bundle: ModelBundle, requests: Sequence[NeighbourRequest]) -> list[Neighbours]:
        """The neighbours of each request.

        Raises:
            InputInvalid: no text, or nothing but special tokens.
            InputTooLong: more tokens than the model reads.
            ModelUnavailable: a family that isn't known here.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: NeighbourRequest) -> Neighbours:
        import torch

        found = anatomy(bundle)
        own = self._pieces(bundle, request.text)
        pick = request.pick if 0 <= request.pick < len(own) else 0
        began = time.perf_counter()
        weight: torch.Tensor = found.word.weight.detach().float()  # (vocabulary, width)
        # Some tables have more rows than the vocabulary has pieces, to be a round number.
        with bundle.lock:
            size = min(len(bundle.tokenizer), weight.shape[0])
        weight = weight[:size]
        query = weight[own[pick][0]]
        norms = weight.norm(dim=1)
        dots = weight @ query
        cosines = dots / (norms * query.norm()).clamp_min(1e-12)
        mean = weight.mean(0)
        centred_norms = torch.cat([(weight[at : at + _ROWS] - mean).norm(dim=1) for at in range(0, size, _ROWS)])
        centred_query = query - mean
        centred = (dots - weight @ mean - mean @ query + mean @ mean) / (
            centred_norms * centred_query.norm()
        ).clamp_min(1e-12)
        order = {"cosine": cosines, "dot": dots, "centred": centred}[request.measure].clone()
        order[own[pick][0]] = -torch.inf
        chosen = self._nearest(bundle, order, request)
        values = cosines.cpu().numpy()
        counts, edges = np.histogram(
            np.delete(values, own[pick][0]), bins=_BINS, range=(min(-0.2, float(values.min())), 1.0)
        )
        took = (time.perf_counter() - began) * 1000
        return Neighbours(
            pieces=tuple(own),
            pick=pick,
            found=tuple(
                Neighbour(
                    place, piece, float(cosines[place]), float(dots[place]), float(centred[place]), float(norms[place])
                )
                for place, piece in chosen
            ),
            norm=float(query.norm()),
            vocabulary=size,
            mean_cosine=mean_pair_cosine(weight, norms, torch.zeros_like(mean)),
            mean_centred=mean_pair_cosine(weight, centred_norms, mean),
            mean_norm=float(norms.mean()),
            shared=float(mean.norm()),
            edges=edges,
            counts=counts,
            milliseconds=took,
        )

    def _pieces(self, bundle: ModelBundle, text: str) -> list[tuple[int, str]]:
        """Ids and pieces of what was typed: the piece of that very name (``##ing``, ``[MASK]``), or how it is cut."""
        name = text.strip()
        with bundle.lock:
            known = bundle.tokenizer.get_vocab().get(name)
        if known is not None:
            return [(int(known), name)]
        tokens, ids, _segments = read_source(bundle, text)
        own = [(int(ids[0, at]), token.piece) for at, token in enumerate(tokens) if not token.special]
        if not own:
            raise InputInvalid(_("De ese texto no queda ninguna pieza. Escribe una palabra."))
        return own

    def _nearest(self, bundle: ModelBundle, order: Any, request: NeighbourRequest) -> list[tuple[int, str]]:
        with bundle.lock:
            special = set(bundle.tokenizer.all_special_ids)
        # Vocabularies hold up to some hundreds of rows that are left out: enough are taken at first.
        wanted = min(len(order) - 1, request.count if request.special else request.count + 1_100)
        candidates = [int(place) for place in order.topk(wanted).indices]
        kept: list[tuple[int, str]] = []
        for start in range(0, len(candidates), 64):
            batch = candidates[start : start + 64]
            for place, (piece, _text) in zip(batch, shown_pieces(bundle, batch), strict=True):
                if request.special or (place not in special and not _UNUSED.fullmatch(piece)):
                    kept.append((place, piece))
            if len(kept) >= request.count:
                break
        return kept[: request.count]


TASK: Final = FindNeighbours()
