"""Draws vectors as patches of colour that add up: word + position + segment = input (a component v2 of ours).

A vector of 384 numbers is a patch of 24 × 16 squares, one a dimension. Pointing at a square, or moving the slider,
shows the sum of that dimension in numbers. Everything shown goes through ``textContent``.
"""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import streamlit as st

from core.i18n import get_language
from core.i18n import gettext as _
from core.ui.scripts import script
from core.ui.triggers import sent_index

_FOLDER: Final = Path(__file__).parent
_VIEW = st.components.v2.component(
    "taller_vector_sum",
    html="<div class='vs'></div>",
    css=(_FOLDER / "vector_sum.css").read_text(encoding="utf-8"),
    js=script(_FOLDER / "vector_sum.js"),
)
#: Tokens that travel to the browser: 64 tokens of BERT-base are 1.2 MB.
MOST_TOKENS: Final = 64


@dataclass(frozen=True, slots=True)
class Patch:
    """One vector a token.

    Attributes:
        label: what it is.
        note: a smaller line under it, one for each token, such as the row of its table.
        vectors: ``(tokens, width)``.
        sign: what stands before it: ``""``, ``"+"``, ``"="`` or ``"→"``.
        own_scale: whether its colours have a scale of their own instead of that of what is added.
    """

    label: str
    note: Sequence[str]
    vectors: npt.NDArray[np.float32]
    sign: str = ""
    own_scale: bool = False


def message(tokens: Sequence[tuple[str, bool]], patches: Sequence[Patch], token: int) -> bytes:
    """What JavaScript receives: the header's length, the header as JSON, and the vectors as 32-bit floats.

    Args:
        tokens: text and whether it is a special token.
        patches: what is drawn.
        token: the one that is chosen.
    """
    count = min(len(tokens), MOST_TOKENS)
    header: dict[str, Any] = {
        "tokens": [[text, special] for text, special in tokens[:count]],
        "patches": [[p.label, list(p.note[:count]), p.sign, p.own_scale] for p in patches],
        "width": int(patches[0].vectors.shape[1]),
        "token": token,
        "language": get_language(),
        "labels": {
            "tokens": _("Tokens: elige uno"),
            "dimension": _("Dimensión"),
            "norm": _("longitud"),
            "scale": _("negativo · cero · positivo"),
            "patch": _("{name}: {n} números, longitud {norm}"),
        },
    }
    raw = json.dumps(header, ensure_ascii=False).encode()
    raw += b" " * (-(4 + len(raw)) % 4)
    planes = b"".join(np.ascontiguousarray(p.vectors[:count], dtype="<f4").tobytes() for p in patches)
    return struct.pack("<I", len(raw)) + raw + planes


def vector_sum(
    tokens: Sequence[tuple[str, bool]],
    patches: Sequence[Patch],
    *,
    token: int,
    key: str,
    on_choose: Callable[[int], None],
) -> None:
    """Draws the sum for one token.

    Args:
        tokens: text and whether it is a special token; beyond ``MOST_TOKENS`` they are left out.
        patches: all with vectors of one width.
        token: the chosen one, from 0.
        key: Streamlit's key, unique on the page.
        on_choose: called with the token that was clicked, before the page runs again.
    """

    def changed() -> None:
        chosen = sent_index(key, "token", min(len(tokens), MOST_TOKENS))
        if chosen is not None:
            on_choose(chosen)

    _VIEW(data=message(tokens, patches, token), key=key, on_token_change=changed)
