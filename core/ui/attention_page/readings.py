"""What the models computed, kept for all visitors: thirty students who type one sentence cost one computation."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar, cast

import cachetools
import numpy as np
import streamlit as st

from core.lens.attention import AttentionMap
from core.lens.attention_forms import hide_special, mean_heads, merge_words, norm_weighted, rollout
from core.lens.attention_heads import HeadStatistics, head_statistics
from core.lens.attention_hiding import Hiding, HidingRequest
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import Reading
from core.lens.attention_survey import Survey, SurveyRequest
from core.lens.attention_trace import HeadRequest, HeadVectors
from core.ui.resources import engine

T = TypeVar("T")

# Three maps of the longest text a 12 × 12 model reads, or some two hundred of a sentence.
_KEPT_BYTES: Final = 480 * 2**20


def _size(value: Any) -> int:
    if isinstance(value, Reading):
        return _size(value.map)
    if isinstance(value, AttentionMap):
        return int(value.weights.nbytes) + 4096
    inner = getattr(value, "values", None)
    if isinstance(inner, np.ndarray):
        return int(inner.nbytes) + 4096
    if isinstance(value, HeadVectors):
        return int(value.query.nbytes + value.key.nbytes) + (0 if value.bias is None else int(value.bias.nbytes))
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    held = [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else []
    return 16_384 + sum(int(item.nbytes) for item in held if isinstance(item, np.ndarray))


class Shelf:
    """A cache in bytes; whoever asks for what another is computing waits for it."""

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._kept: cachetools.LRUCache[Hashable, Any] = cachetools.LRUCache(limit, getsizeof=_size)
        self._lock = threading.Lock()
        self._busy: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was kept under ``key``, or what ``make`` gives. An error is not kept."""
        with self._lock:
            if key in self._kept:
                return cast(T, self._kept[key])
            own = self._busy.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                if key in self._kept:
                    return cast(T, self._kept[key])
            try:
                made = make()
                with self._lock:
                    if _size(made) <= self._kept.maxsize:
                        self._kept[key] = made
                return made
            finally:
                with self._lock:
                    self._busy.pop(key, None)


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf()


def reading(model: str, pair: TextPair) -> Reading:
    """What ``model`` looked at.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.attention_reading import TASK

    return _shelf().get(("reading", model, pair), lambda: engine().run(TASK, pair, model=model).result)


def _again(pair: TextPair, read: Reading) -> TextPair:
    """The same texts; a decoder that wrote by itself need not write again."""
    return replace(pair, kind=read.map.kind, written=read.written)


def shown_map(model: str, pair: TextPair, form: str, special: str, words: bool) -> AttentionMap:
    """The matrix in the form that was asked for: the very same object from run to run.

    Args:
        model: catalogue key.
        pair: the texts.
        form: a key of ``state.FORMS``.
        special: a key of ``state.SPECIALS``.
        words: merge pieces into words.

    Raises:
        TallerError: what the reader should be told.
    """

    def made() -> AttentionMap:
        from core.lens.attention_trace import NORMS_TASK

        read = reading(model, pair)
        amap = read.map
        if form == "norms":
            amap = norm_weighted(amap, engine().run(NORMS_TASK, _again(pair, read), model=model).result)
        elif form == "mean":
            amap = mean_heads(amap)
        elif form == "rollout":
            amap = rollout(amap)
        if special != "keep":
            amap = hide_special(amap, renormalize=special == "rescale")
        return merge_words(amap) if words else amap

    if form == "weights" and special == "keep" and not words:
        return reading(model, pair).map
    return _shelf().get(("map", model, pair, form, special, words), made)


def statistics(model: str, pair: TextPair) -> HeadStatistics:
    """Numbers of all heads on this text."""
    return _shelf().get(("statistics", model, pair), lambda: head_statistics(reading(model, pair).map))


def vectors(model: str, pair: TextPair, layer: int, head: int) -> HeadVectors:
    """Queries and keys of one head.

    Raises:
        TallerError: the model doesn't show them.
    """
    from core.lens.attention_trace import HEAD_TASK

    def made() -> HeadVectors:
        request = HeadRequest(_again(pair, reading(model, pair)), layer, head)
        return engine().run(HEAD_TASK, request, model=model).result

    return _shelf().get(("vectors", model, pair, layer, head), made)


def hiding(
    model: str,
    pair: TextPair,
    row: tuple[int, ...],
    words: tuple[tuple[int, ...], ...],
    hidden: int,
    only: tuple[int, int] | None,
) -> Hiding:
    """What hiding a word does.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.attention_hiding import TASK

    def made() -> Hiding:
        request = HidingRequest(_again(pair, reading(model, pair)), row, words, hidden, only)
        return engine().run(TASK, request, model=model).result

    return _shelf().get(("hiding", model, pair, row, words, hidden, only), made)


def survey(model: str, texts: tuple[str, ...]) -> Survey:
    """Numbers of all heads over many texts.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.attention_survey import TASK

    return _shelf().get(("survey", model, texts), lambda: engine().run(TASK, SurveyRequest(texts), model=model).result)
