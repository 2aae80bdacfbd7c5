"""Many dimensions drawn in two or three, and how much of the truth the drawing keeps.

PCA (Pearson 1901) looks from the side on which the points spread most, and can say which share of the spread is
seen. t-SNE (van der Maaten & Hinton 2008) tries to keep neighbours together and gives that up: its axes, distances
between groups and sizes of groups mean nothing, and another seed gives another picture. For both the share of
neighbours kept is counted.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import InputInvalid
from core.i18n import gettext as _

Method = Literal["pca", "tsne"]
METHODS: Final[tuple[Method, ...]] = ("pca", "tsne")
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Projection:
    """Points to draw.

    Attributes:
        method: how they were made.
        points: ``(n, dimensions)``; columns of zeros where the vectors have fewer directions.
        explained: share of the variance along each axis, for PCA; empty for t-SNE.
        k: how many neighbours of each point were compared.
        kept: of each point's ``k`` nearest in full dimension (by Euclidean distance), the share that is among its
            ``k`` nearest in the drawing, as a mean over all points.
        perplexity: t-SNE's, else 0.
    """

    method: Method
    points: npt.NDArray[np.float64]
    explained: tuple[float, ...]
    k: int
    kept: float
    perplexity: float


def nearest(vectors: npt.NDArray[np.floating], k: int) -> list[set[int]]:
    """The ``k`` nearest other rows of each row, by Euclidean distance; the lower index wins a tie."""
    wide = vectors.astype(np.float64)
    squares = (wide**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * wide @ wide.T
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(np.round(distances, 9), axis=1, kind="stable")[:, :k]
    return [set(map(int, row)) for row in order]


def neighbours_kept(vectors: Vectors, points: npt.NDArray[np.float64], k: int) -> float:
    """The mean share of each row's ``k`` nearest that are among its ``k`` nearest in ``points``; from 0 to 1."""
    before, after = nearest(vectors, k), nearest(points, k)
    return float(np.mean([len(a & b) / k for a, b in zip(before, after, strict=True)]))


def project(vectors: Vectors, dimensions: Literal[2, 3], method: Method = "pca", seed: int = 0) -> Projection:
    """Draws vectors in two or three dimensions.

    Args:
        vectors: ``(n, width)``.
        dimensions: of the drawing.
        method: PCA or t-SNE.
        seed: where t-SNE begins; PCA needs none.

    Raises:
        InputInvalid: fewer than three vectors (five for t-SNE).
    """
    n = len(vectors)
    if n < 3:
        raise InputInvalid(_("Hacen falta al menos tres puntos para proyectarlos. Añade frases."))
    k = max(1, min(5, (n - 1) // 2))
    if method == "tsne":
        from sklearn.manifold import TSNE

        if n < 5:
            raise InputInvalid(_("t-SNE necesita al menos cinco puntos. Añade frases o usa PCA."))
        perplexity = min(30.0, (n - 1) / 3)
        # "exact": the faster approximation can't draw in three dimensions well, and the points are few.
        made = TSNE(
            n_components=dimensions, perplexity=perplexity, init="random", random_state=seed, method="exact"
        ).fit_transform(vectors.astype(np.float64))
        points = np.asarray(made, dtype=np.float64)
        return Projection("tsne", points, (), k, neighbours_kept(vectors, points, k), perplexity)
    from sklearn.decomposition import PCA

    wanted = min(dimensions, n, vectors.shape[1])
    fitted = PCA(n_components=wanted, svd_solver="full")
    with np.errstate(invalid="ignore", divide="ignore"):  # equal vectors have no variance to share out
        seen = fitted.fit_transform(vectors.astype(np.float64))
    shares = np.nan_to_num(fitted.explained_variance_ratio_)
    points = np.zeros((n, dimensions))
    points[:, :wanted] = seen
    explained = (*map(float, shares), *[0.0] * (dimensions - wanted))
    return Projection("pca", points, explained, k, neighbours_kept(vectors, points, k), 0.0)
