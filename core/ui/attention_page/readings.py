"""What the models computed, kept for all visitors: thirty students who type one sentence cost one computation."""

from dataclasses import replace
from typing import Final

import streamlit as st

from core.lens.attention import AttentionMap
from core.lens.attention_forms import hide_special, mean_heads, merge_words, norm_weighted, rollout
from core.lens.attention_heads import HeadStatistics, head_statistics
from core.lens.attention_hiding import Hiding, HidingRequest
from core.lens.attention_inputs import TextPair
from core.lens.attention_reading import Reading
from core.lens.attention_survey import Survey, SurveyRequest
from core.lens.attention_trace import HeadRequest, HeadVectors
from core.runtime.shelf import Shelf
from core.ui.ask import ask
from core.ui.kept import kept_by

# Three maps of the longest text a 12 × 12 model reads, or some two hundred of a sentence.
_KEPT_BYTES: Final = 480 * 2**20


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf(_KEPT_BYTES)


def reading(model: str, pair: TextPair) -> Reading:
    """What ``model`` looked at.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.attention_reading import TASK

    return _shelf().get(("reading", kept_by(model), pair), lambda: ask(TASK, pair, model=model).result)


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
            amap = norm_weighted(amap, ask(NORMS_TASK, _again(pair, read), model=model).result)
        elif form == "mean":
            amap = mean_heads(amap)
        elif form == "rollout":
            amap = rollout(amap)
        if special != "keep":
            amap = hide_special(amap, renormalize=special == "rescale")
        return merge_words(amap) if words else amap

    if form == "weights" and special == "keep" and not words:
        return reading(model, pair).map
    return _shelf().get(("map", kept_by(model), pair, form, special, words), made)


def statistics(model: str, pair: TextPair) -> HeadStatistics:
    """Numbers of all heads on this text."""
    return _shelf().get(("statistics", kept_by(model), pair), lambda: head_statistics(reading(model, pair).map))


def vectors(model: str, pair: TextPair, layer: int, head: int) -> HeadVectors:
    """Queries and keys of one head.

    Raises:
        TallerError: the model doesn't show them.
    """
    from core.lens.attention_trace import HEAD_TASK

    def made() -> HeadVectors:
        request = HeadRequest(_again(pair, reading(model, pair)), layer, head)
        return ask(HEAD_TASK, request, model=model).result

    return _shelf().get(("vectors", kept_by(model), pair, layer, head), made)


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
        return ask(TASK, request, model=model).result

    return _shelf().get(("hiding", kept_by(model), pair, row, words, hidden, only), made)


def survey(model: str, texts: tuple[str, ...]) -> Survey:
    """Numbers of all heads over many texts.

    Raises:
        TallerError: what the reader should be told.
    """
    from core.lens.attention_survey import TASK

    return _shelf().get(("survey", kept_by(model), texts), lambda: ask(TASK, SurveyRequest(texts), model=model).result)
