"""The attention of a model, drawn: all heads, lines, a heat map, the arithmetic of one pair, a tinted sentence.

A Streamlit component v2 of ours. ``core.lens.attention`` computes the ``AttentionMap``; ``packing`` turns it into
one message of bytes; the JavaScript files of this folder, joined into one module, draw it. What a person chooses
comes back as an ``AttentionSelection``; what the browser has received already is not sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
import streamlit as st

from core.lens.attention import AttentionMap
from core.ui.attention.labels import view_labels
from core.ui.attention.packing import Have, Planes, add_map, identity, token_lists
from core.ui.scripts import script

View = Literal["model", "head", "matrix", "neuron", "text"]
VIEWS: Final[tuple[View, ...]] = get_args(View)
# Which lines of a text pair the head view draws: all, or those from one text to one.
Only = Literal["all", "aa", "ab", "ba", "bb"]
ONLY: Final[tuple[Only, ...]] = get_args(Only)

_FOLDER: Final = Path(__file__).parent
# In this order: each file uses what the ones before it define.
_SCRIPTS: Final = ("util", "store", "pens", "model", "head", "matrix", "neuron", "text", "attention")
SCRIPT: Final = script(*(_FOLDER / f"{name}.js" for name in _SCRIPTS))
STYLE: Final = (_FOLDER / "attention.css").read_text(encoding="utf-8")

_COMPONENT = st.components.v2.component(
    "taller_attention",
    css=STYLE,
    js=f"{SCRIPT}\nexport default attentionComponent\n",
)


class NeuronVectors(Protocol):
    """Query and key vectors of one head; the softmax of its scores are the head's weights.

    ``score(i, j) = query[i] · key[j] * scale + bias[i, j]``, with ``bias`` ``None`` for zeros and −∞ where masked.
    """

    @property
    def layer(self) -> int:
        """The layer, from 0."""

    @property
    def head(self) -> int:
        """The head, from 0."""

    @property
    def query(self) -> npt.NDArray[np.float32]:
        """``(rows, dimensions)``."""

    @property
    def key(self) -> npt.NDArray[np.float32]:
        """``(columns, dimensions)``."""

    @property
    def scale(self) -> float:
        """What the products are multiplied by: 1/√dimensions in most models."""

    @property
    def bias(self) -> npt.NDArray[np.float32] | None:
        """``(rows, columns)``, or ``None``."""


@dataclass(frozen=True, slots=True)
class AttentionSelection:
    """What the view shows. Layers, heads and tokens count from 0 (on screen, from 1).

    Attributes:
        view: the view that is open.
        layer: the layer.
        heads: the heads, in ascending order; at least one. Matrix and neuron show the first.
        row: the token that looks, if one is isolated.
        column: the token that is looked at, if one is isolated; with ``row``, a cell of the matrix.
        only: of a text pair, the lines that the head view draws; ``"all"`` for a single text.
    """

    view: View
    layer: int
    heads: tuple[int, ...]
    row: int | None = None
    column: int | None = None
    only: Only = "all"


@dataclass(slots=True)
class _Memory:
    """What is kept from run to run: the arguments and the answer of the last one, and how many commands there were."""

    asked: AttentionSelection | None = None
    answered: AttentionSelection | None = None
    id: str = ""
    commands: int = 0


@dataclass(frozen=True, slots=True)
class _Report:
    """What the browser last said."""

    chosen: AttentionSelection | None = None
    applied: int = -1
    have: Have = field(default_factory=Have)


def _whole(value: Any, below: int) -> int | None:
    """``value`` if it is an index; whatever else a browser may send is ``None``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below else None


def _is_pair(amap: AttentionMap) -> bool:
    """Whether two texts look at one another, so that lines can be chosen by who looks at whom."""
    return amap.columns == amap.rows and len({token.segment for token in amap.rows}) > 1


def _selection(
    amap: AttentionMap,
    view: Any,
    layer: Any,
    heads: Any,
    token: tuple[Any, Any] | None,
    views: Sequence[View] = VIEWS,
    only: Any = "all",
) -> AttentionSelection:
    """The arguments as a selection that this map has: what lies outside is brought in or left out."""
    layers, count, rows, columns = amap.weights.shape
    inside = sorted({head for item in (heads or ()) if (head := _whole(item, count)) is not None})
    row, column = token or (None, None)
    return AttentionSelection(
        view=view if view in views else views[0],
        layer=min(max(layer, 0), layers - 1) if isinstance(layer, int) else 0,
        heads=tuple(inside) or (0,),
        row=_whole(row, rows),
        column=_whole(column, columns),
        only=only if only in ONLY and _is_pair(amap) else "all",
    )


def _report(amap: AttentionMap, key: str, views: Sequence[View]) -> _Report:
    said = (st.session_state.get(key) or {}).get("selection")
    if not isinstance(said, Mapping):
        return _Report()
    have = said.get("have")
    have = have if isinstance(have, Mapping) else {}
    layers, heads = amap.weights.shape[:2]
    listed = have.get("layers")
    vectors = have.get("vectors")
    pair = (
        (_whole(vectors[0], layers), _whole(vectors[1], heads))
        if isinstance(vectors, Sequence) and len(vectors) == 2
        else (None, None)
    )
    applied = said.get("applied")
    return _Report(
        chosen=_selection(
            amap,
            said.get("view"),
            said.get("layer"),
            said.get("heads"),
            (said.get("row"), said.get("column")),
            views,
            said.get("only"),
        ),
        applied=int(applied) if isinstance(applied, (int, float)) else -1,
        have=Have(
            id=str(have.get("id", "")),
            thumbnails=have.get("thumbnails") is True,
            layers=frozenset(
                n
                for item in (listed if isinstance(listed, Sequence) else ())
                if (n := _whole(item, layers)) is not None
            ),
            wants=_whole(have.get("wants"), layers),
            vectors=None if pair[0] is None or pair[1] is None else (pair[0], pair[1]),
        ),
    )


def _answer(
    asked: AttentionSelection, memory: _Memory, report: _Report, map_id: str
) -> tuple[AttentionSelection, bool]:
    """What is to be shown, and whether that is news to the browser (a command).

    The arguments are a command when they are neither those of the last run, nor its answer (which a page that keeps
    the selection hands back), nor what the browser says it shows. Until the browser has carried one out, its word is
    an old one.
    """
    known = report.chosen
    if known is None:
        return asked, memory.asked is not None and asked not in (memory.asked, memory.answered)
    if asked not in (memory.asked, memory.answered, known):
        return asked, True
    if report.applied < memory.commands and memory.answered is not None:
        return (memory.answered if map_id == memory.id else asked), False
    if report.have.id != map_id:
        # Another text: its tokens are other ones, so the page says which of them, if any.
        return replace(known, row=asked.row, column=asked.column), False
    return known, False


def selection_of(
    amap: AttentionMap,
    *,
    key: str,
    view: View = "model",
    layer: int = 0,
    heads: Sequence[int] = (0,),
    token: tuple[int | None, int | None] | None = None,
    only: Only = "all",
    views: Sequence[View] = VIEWS,
) -> AttentionSelection:
    """What ``attention_view`` will answer in this run with these arguments; for what must be computed before it."""
    asked = _selection(amap, view, layer, heads, token, views, only)
    memory = st.session_state.get(f"_{key}_memory") or _Memory()
    return _answer(asked, memory, _report(amap, key, views), identity(amap))[0]


def _causal(amap: AttentionMap) -> bool:
    """Whether nothing looks at what comes after it: then the upper triangle is drawn as masked."""
    rows, columns = amap.weights.shape[2:]
    if amap.kind != "decoder" or rows != columns:
        return False
    above = np.triu(np.ones((rows, columns), dtype=bool), 1)
    return not any(np.any(layer[:, above]) for layer in amap.weights)


def header_of(
    amap: AttentionMap,
    chosen: AttentionSelection,
    *,
    command: int,
    captions: Sequence[Sequence[str]] | None,
    name: str,
    views: Sequence[View],
    available: Sequence[int] | None = None,
) -> dict[str, Any]:
    """The message's header but for the planes: tokens, what is chosen, captions and all that is said."""
    same = amap.columns == amap.rows
    return {
        "id": identity(amap),
        "kind": amap.kind,
        "title": name,
        "shape": list(amap.weights.shape),
        "rows": token_lists(amap.rows),
        "columns": None if same else token_lists(amap.columns),
        "causal": _causal(amap),
        "pairs": _is_pair(amap),
        "available": list(range(amap.weights.shape[0])) if available is None else list(available),
        "captions": None if captions is None else [list(layer) for layer in captions],
        "views": list(views),
        "labels": view_labels(),
        "select": {
            "n": command,
            "view": chosen.view,
            "layer": chosen.layer,
            "heads": list(chosen.heads),
            "row": chosen.row,
            "column": chosen.column,
            "only": chosen.only,
        },
        "no_vectors": False,
        "neuron": None,
    }


def add_vectors(planes: Planes, header: dict[str, Any], vectors: NeuronVectors) -> None:
    """Adds the vectors of one head."""
    planes.floats("query", vectors.query)
    planes.floats("key", vectors.key)
    if vectors.bias is not None:
        planes.floats("bias", vectors.bias)
    header["neuron"] = {
        "layer": vectors.layer,
        "head": vectors.head,
        "dimensions": int(vectors.query.shape[1]),
        "scale": float(vectors.scale),
    }


def message(
    amap: AttentionMap,
    chosen: AttentionSelection,
    *,
    have: Have | None = None,
    command: int = 0,
    captions: Sequence[Sequence[str]] | None = None,
    neuron: NeuronVectors | None = None,
    name: str = "",
    views: Sequence[View] = VIEWS,
) -> bytes:
    """All that a browser which has ``have`` needs to show ``chosen``."""
    if have is None or have.id != identity(amap):
        have = Have()
    planes = Planes()
    header = header_of(amap, chosen, command=command, captions=captions, name=name, views=views)
    add_map(planes, amap, layer=chosen.layer, have=have, row=chosen.row)
    if chosen.view == "neuron":
        here = (chosen.layer, chosen.heads[0])
        if neuron is None:
            header["no_vectors"] = True
        elif (neuron.layer, neuron.head) == here and have.vectors != here:
            add_vectors(planes, header, neuron)
    return planes.behind(header)


def _ignore() -> None:
    """Declares the state to Streamlit; its value is read from the session."""


def attention_view(
    amap: AttentionMap,
    *,
    key: str,
    view: View = "model",
    layer: int = 0,
    heads: Sequence[int] = (0,),
    token: tuple[int | None, int | None] | None = None,
    only: Only = "all",
    captions: Sequence[Sequence[str]] | None = None,
    neuron: NeuronVectors | None = None,
    name: str = "",
    views: Sequence[View] = VIEWS,
) -> AttentionSelection:
    """Draws a map and says what is chosen in it.

    ``view``, ``layer``, ``heads``, ``token`` and ``only`` are what is shown at first. Later they count in a
    run in which they change to something that the browser doesn't show already, so a page may pass constants as well
    as hand the last answer back. Indices outside the map are brought in or left out.

    Every choice runs the script again a quarter of a second later: call this inside an ``st.fragment`` with what
    depends on the choice. Keep the same ``AttentionMap`` object from run to run: what is packed is kept with it.

    Args:
        amap: the map; weights ``(layers, heads, rows, columns)``.
        key: Streamlit's key.
        view: the view.
        layer: the layer, from 0.
        heads: the heads, from 0.
        token: ``(row, column)``; ``(row, None)`` isolates who looks, ``(None, column)`` who is looked at.
        only: of a text pair, the lines to draw.
        captions: a sentence for each ``[layer][head]``.
        neuron: vectors of the selection's layer and first head; sent while the neuron view is open. ``None`` where
            there are none.
        name: what the map is of, for titles of files.
        views: the views on offer, in this order.

    Returns:
        What the browser shows, as far as it has told.
    """
    memory_key = f"_{key}_memory"
    memory: _Memory = st.session_state.get(memory_key) or _Memory()
    asked = _selection(amap, view, layer, heads, token, views, only)
    report = _report(amap, key, views)
    map_id = identity(amap)
    chosen, news = _answer(asked, memory, report, map_id)
    commands = memory.commands + int(news)
    st.session_state[memory_key] = _Memory(asked, chosen, map_id, commands)
    _COMPONENT(
        data=message(
            amap,
            chosen,
            have=report.have,
            command=commands,
            captions=captions,
            neuron=neuron,
            name=name,
            views=views,
        ),
        key=key,
        on_selection_change=_ignore,
    )
    return chosen
