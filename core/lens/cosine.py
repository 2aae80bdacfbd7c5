"""Cosine similarity worked out by hand: every product, both lengths, the division and the angle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InputInvalid
from core.i18n import gettext as _


@dataclass(frozen=True, slots=True)
class CosineSteps:
    """The steps from two vectors to their cosine.

    Attributes:
        products: u₁v₁, u₂v₂ …
        dot: their sum, u·v.
        norm_u: length of u.
        norm_v: length of v.
        cosine: from −1 to 1.
        degrees: the angle between them.
        distance: Euclidean distance, for comparison: it does depend on the lengths.
    """

    products: tuple[float, ...]
    dot: float
    norm_u: float
    norm_v: float
    cosine: float
    degrees: float
    distance: float


def cosine_steps(u: Sequence[float], v: Sequence[float]) -> CosineSteps:
    """The cosine of two vectors, step by step.

    Raises:
        InputInvalid: not of one length, a number that isn't finite, or a vector of zeros, which has no direction.
    """
    if len(u) != len(v) or not u:
        raise InputInvalid(_("Los vectores tienen que tener las mismas dimensiones, al menos una."))
    if not all(map(math.isfinite, (*u, *v))):
        raise InputInvalid(_("Falta un número, o no es un número corriente. Rellena todas las casillas."))
    products = tuple(a * b for a, b in zip(u, v, strict=True))
    norm_u, norm_v = math.hypot(*u), math.hypot(*v)
    if norm_u == 0 or norm_v == 0:
        raise InputInvalid(
            _("Un vector de ceros no apunta a ninguna parte: su coseno no existe (sería dividir entre cero).")
        )
    # Dividing first keeps very long and very short vectors from overflowing.
    cosine = math.fsum((a / norm_u) * (b / norm_v) for a, b in zip(u, v, strict=True))
    cosine = max(-1.0, min(1.0, cosine))
    return CosineSteps(
        products, math.fsum(products), norm_u, norm_v, cosine, math.degrees(math.acos(cosine)), math.dist(u, v)
    )
