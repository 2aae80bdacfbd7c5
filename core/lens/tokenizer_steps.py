"""Step by step: what each stage of a tokenizer does to a word in its context, and how its model decides.

A tokenizer is a pipeline: added tokens typed in the text are set apart, the *normalizer* rewrites the rest,
the *pre-tokenizer* cuts it, the *model* (WordPiece, BPE or Unigram) cuts each pre-token into pieces of its
vocabulary, and the *post-processor* adds special tokens. ``stages`` shows all of it for one slice of a
text. The normalizer and the pre-tokenizer are the library's own objects, run one step at a time; the models
are those of ``tokenizer_traces``.

Source: the documentation of ``tokenizers``.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final
from weakref import WeakKeyDictionary

import regex
from tokenizers import NormalizedString, PreTokenizedString, Tokenizer
from tokenizers.normalizers import Normalizer

from core.lens.tokenizer_traces import Trace, TracedToken, token_model
from core.runtime.tokenizer import TokenizerBundle

_CHUNK: Final = 64


@dataclass(frozen=True, slots=True)
class PreToken:
    """A pre-token and what the model did with it.

    Attributes:
        text: what the model saw: normalized, with ``▁`` or as byte characters where the tokenizer does so.
        start: its beginning in the text, in code points.
        end: its end in the text, exclusive.
    """

    text: str
    start: int
    end: int
    trace: Trace

    @property
    def tokens(self) -> tuple[TracedToken, ...]:
        """The tokens it became."""
        return self.trace.tokens


@dataclass(frozen=True, slots=True)
class AddedToken:
    """An added token, such as ``[MASK]``, that stood in the text and was set apart before any model.

    Attributes:
        text: what matched, with the white space that the token takes along.
        content: the token itself.
        normalized: it was looked for after normalization (most are looked for before).
        special: it is one of the special tokens.
    """

    text: str
    content: str
    id: int
    start: int
    end: int
    normalized: bool
    special: bool

    @property
    def tokens(self) -> tuple[TracedToken, ...]:
        """The one token it is."""
        return (TracedToken(self.text, self.id),)


@dataclass(frozen=True, slots=True)
class NormalizerStep:
    """One step of the normalizer, as it touched the slice.

    Attributes:
        name: the library's name for it: a flag of BERT's normalizer (``"clean_text"``,
            ``"handle_chinese_chars"``, ``"strip_accents"``, ``"lowercase"``) or a type (``"NFKC"`` …).
        detail: its argument in short (``"▁"``, ``"' ' → '▁'"``), or an empty string.
        before: the slice before the step.
        after: the slice after it.
    """

    name: str
    detail: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether the step changed the slice."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class PostToken:
    """A special token that the post-processor added, and its index in the finished sequence."""

    piece: str
    id: int
    index: int


@dataclass(frozen=True, slots=True)
class PostProcessing:
    """What the post-processor did to the whole text.

    Attributes:
        name: the library's type (``"TemplateProcessing"``), or an empty string if there is none.
        added: the tokens that it added, in order.
        total: tokens in the finished sequence.
    """

    name: str
    added: tuple[PostToken, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Stages:
    """A slice of a text on its way through a tokenizer.

    Attributes:
        original: the slice itself, ``text[start:end]``.
        added: added tokens that stand in the slice; the other stages leave them alone.
        normalizer: the normalizer's steps in the library's order; empty if the tokenizer has none.
        normalized: the slice after them.
        pretokenizers: the names of the pre-tokenizer's steps.
        pretokens: the pre-tokens that overlap the slice, each with its trace. One may begin before the slice:
            byte-level tokenizers glue the space before a word to it.
        pretoken_total: pre-tokens in the whole text.
        postprocessor: what was added to the whole text at the end.
    """

    text: str
    start: int
    end: int
    original: str
    algorithm: str
    added: tuple[AddedToken, ...]
    normalizer: tuple[NormalizerStep, ...]
    normalized: str
    pretokenizers: tuple[str, ...]
    pretokens: tuple[PreToken, ...]
    pretoken_total: int
    postprocessor: PostProcessing


# --- what is worked out once a tokenizer ------------------------------------------------------------------

_WORD: Final = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"
_ENDS_WITH_WORD: Final = regex.compile(_WORD + r"\Z")
_STARTS_WITH_WORD: Final = regex.compile(_WORD)
_SPACES: Final = regex.compile(r"\p{White_Space}*")


@dataclass(frozen=True, slots=True)
class _AddedSpec:
    content: str
    id: int
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


class _Finder:
    """Finds added tokens in a string: leftmost first, longest among those."""

    def __init__(self, specs: list[tuple[str, _AddedSpec]]) -> None:
        self._specs = {pattern: spec for pattern, spec in specs if pattern}
        longest_first = sorted(self._specs, key=len, reverse=True)
        self._pattern = regex.compile("|".join(map(regex.escape, longest_first))) if longest_first else None

    def cut(self, text: str) -> Iterator[tuple[int, int, _AddedSpec | None]]:
        """Cuts ``text`` from end to end in (start, end, added token or ``None``)."""
        reached = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            start, end = match.span()
            spec = self._specs[match.group()]
            if spec.single_word and (
                (start and _ENDS_WITH_WORD.search(text, max(0, start - 1), start)) or _STARTS_WITH_WORD.match(text, end)
            ):
                continue
            if spec.lstrip:
                while start > reached and _SPACES.fullmatch(text[start - 1]):
                    start -= 1
            if spec.rstrip:
                end = _SPACES.match(text, end).end()
            if reached < start:
                yield reached, start, None
            # White space that the token before took along may reach into this one.
            yield max(start, reached), max(end, reached), spec
            reached = max(end, reached)
        if reached < len(text):
            yield reached, len(text), None


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    detail: str
    normalizer: Normalizer


_BERT_FLAGS: Final = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")


def _normalizer_of(definition: dict[str, Any]) -> Normalizer:
    """The library's own object for a normalizer's definition, by way of a tokenizer with nothing else."""
    shell: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": definition,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    }
    normalizer: Normalizer = Tokenizer.from_str(json.dumps(shell)).normalizer
    return normalizer


def _detail(definition: dict[str, Any]) -> str:
    match definition["type"]:
        case "Prepend":
            return str(definition["prepend"])
        case "Replace":
            pattern = next(iter(definition["pattern"].values()))
            return f"{pattern!r} → {definition['content']!r}"
        case _:
            return ""


def _split_steps(definition: dict[str, Any] | None) -> Iterator[_Step]:
    if definition is None:
        return
    match definition["type"]:
        case "Sequence":
            for part in definition["normalizers"]:
                yield from _split_steps(part)
        case "BertNormalizer":
            flags = {flag: definition[flag] for flag in _BERT_FLAGS}
            if flags["strip_accents"] is None:  # "as lower-casing": the default of BERT's own code
                flags["strip_accents"] = flags["lowercase"]
            off = dict.fromkeys(_BERT_FLAGS, False)
            for flag in _BERT_FLAGS:
                if flags[flag]:
                    yield _Step(flag, "", _normalizer_of({"type": "BertNormalizer", **off, flag: True}))
        case name:
            yield _Step(name, _detail(definition), _normalizer_of(definition))


def _type_names(definition: dict[str, Any] | None, parts: str) -> Iterator[str]:
    if definition is None:
        return
    if definition["type"] == "Sequence":
        for part in definition[parts]:
            yield from _type_names(part, parts)
    else:
        yield str(definition["type"])


class _Parts:
    """A tokenizer taken apart."""

    def __init__(self, bundle: TokenizerBundle) -> None:
        definition = bundle.definition
        with bundle.lock:
            self.normalizer: Normalizer | None = bundle.backend.normalizer
            self.pre_tokenizer = bundle.backend.pre_tokenizer
        self.steps = tuple(_split_steps(definition.get("normalizer")))
        self.pretokenizers = tuple(_type_names(definition.get("pre_tokenizer"), "pretokenizers"))
        self.postprocessors = tuple(_type_names(definition.get("post_processor"), "processors"))
        fields = _AddedSpec.__slots__
        added = [_AddedSpec(**{name: t[name] for name in fields}) for t in definition.get("added_tokens", [])]
        self.before = _Finder([(spec.content, spec) for spec in added if not spec.normalized])
        self.after = _Finder([(self.normalize(spec.content), spec) for spec in added if spec.normalized])
        self.model = token_model(definition["model"], bundle.name)

    def normalize(self, text: str) -> str:
        return str(self.normalizer.normalize_str(text)) if self.normalizer is not None else text


_parts: WeakKeyDictionary[TokenizerBundle, _Parts] = WeakKeyDictionary()
_parts_lock = threading.Lock()


def _parts_of(bundle: TokenizerBundle) -> _Parts:
    with _parts_lock:
        parts = _parts.get(bundle)
    if parts is None:
        # Built outside the lock: a large vocabulary takes a moment, and nobody else should wait for it.
        parts = _Parts(bundle)
        with _parts_lock:
            parts = _parts.setdefault(bundle, parts)
    return parts


class LoneNormalizer:
    """A tokenizer's normalizer for a letter or a word without its context.

    Leaves out the steps that only mark where words begin or tidy the ends of a text (``Prepend``, ``Strip``
    and ``Replace`` of a space): they say nothing about the letters.
    """

    def __init__(self, steps: tuple[_Step, ...]) -> None:
        self._steps = tuple(step for step in steps if not _marks_spaces(step))

    def steps(self, text: str) -> tuple[NormalizerStep, ...]:
        """Every step, in the library's order, with what it makes of ``text``."""
        result = []
        for step in self._steps:
            after = str(step.normalizer.normalize_str(text))
            result.append(NormalizerStep(step.name, step.detail, text, after))
            text = after
        return tuple(result)

    def all(self, text: str) -> str:
        """``text`` after every step."""
        return self.only(text, *(step.name for step in self._steps))

    def only(self, text: str, *names: str) -> str:
        """``text`` after those steps alone that have one of ``names``."""
        for step in self._steps:
            if step.name in names:
                text = str(step.normalizer.normalize_str(text))
        return text


def _marks_spaces(step: _Step) -> bool:
    return step.name in ("Prepend", "Strip") or (step.name == "Replace" and step.detail.startswith("' '"))


def normalizer_alone(bundle: TokenizerBundle) -> LoneNormalizer:
    """The normalizer of ``bundle`` for letters and words by themselves."""
    return LoneNormalizer(_parts_of(bundle).steps)


# --- the pipeline -----------------------------------------------------------------------------------------


def _slice(string: NormalizedString, start: int, end: int) -> NormalizedString:
    """A part of a normalized string that remembers where it comes from."""
    part = string[start:end]
    if part is None:
        raise IndexError(f"no slice {start}:{end}")
    return part


def _keep(parts: list[NormalizedString], _index: int, _split: NormalizedString) -> list[NormalizedString]:
    return parts


def _offsets(text: str, parts: list[NormalizedString]) -> list[tuple[str, int, int]]:
    """Each of ``parts`` (normalized slices of ``text``) with its offsets in ``text``; empty ones left out."""
    frame = PreTokenizedString(text)
    frame.split(partial(_keep, parts))
    return [(part, start, end) for part, (start, end), _tokens in frame.get_splits("original", "char")]


@dataclass(frozen=True, slots=True)
class _Raw:
    """A pre-token before the model has seen it."""

    text: str
    start: int
    end: int


def _pretokenize(text: str, parts: _Parts) -> list[_Raw | AddedToken]:
    """The text cut in added tokens and pre-tokens, in order, with offsets in ``text``."""
    if not text:
        return []
    whole = NormalizedString(text)
    added: list[AddedToken] = []
    plain: list[NormalizedString] = []
    for start, end, spec in parts.before.cut(text):
        if spec is not None:
            added.append(_added(text[start:end], spec, start, end))
            continue
        segment = _slice(whole, start, end)
        if parts.normalizer is not None:
            parts.normalizer.normalize(segment)
        cuts = list(parts.after.cut(segment.normalized))
        slices = [_slice(segment, a, b) for a, b, _spec in cuts] if len(cuts) > 1 else [segment]
        if any(cut[2] for cut in cuts):
            places = _offsets(text, slices)
            for (_a, _b, found), (matched, a, b) in zip(cuts, places, strict=True):
                if found is not None:
                    added.append(_added(matched, found, a, b))
        plain += [piece for piece, cut in zip(slices, cuts, strict=False) if cut[2] is None]
    frame = PreTokenizedString(text)
    frame.split(partial(_keep, plain))
    if parts.pre_tokenizer is not None:
        parts.pre_tokenizer.pre_tokenize(frame)
    splits = [_Raw(part, *offsets) for part, offsets, _tokens in frame.get_splits("original", "char")]
    return _interleave(splits, added)


def _interleave(splits: list[_Raw], added: list[AddedToken]) -> list[_Raw | AddedToken]:
    """Merges two lists that are in order; a pre-token without width stays on the left of what follows it."""
    merged: list[_Raw | AddedToken] = []
    waiting = iter(added)
    following = next(waiting, None)
    for split in splits:
        while following is not None and following.start < split.start:
            merged.append(following)
            following = next(waiting, None)
        merged.append(split)
    while following is not None:
        merged.append(following)
        following = next(waiting, None)
    return merged


def _added(text: str, spec: _AddedSpec, start: int, end: int) -> AddedToken:
    return AddedToken(text, spec.content, spec.id, start, end, spec.normalized, spec.special)


def trace_all(text: str, bundle: TokenizerBundle) -> list[PreToken | AddedToken]:
    """Every added token and traced pre-token of ``text``, in order.

    The pieces of their ``tokens``, one after the other, are what
    ``backend.encode(text, add_special_tokens=False).tokens`` returns.

    Args:
        text: cleaned text (no lone surrogates).
        bundle: a tokenizer whose model is WordPiece, BPE or Unigram.

    Raises:
        InputInvalid: the tokenizer uses another algorithm.
    """
    parts = _parts_of(bundle)
    traces: dict[str, Trace] = {}
    result: list[PreToken | AddedToken] = []
    for item in _pretokenize(text, parts):
        if isinstance(item, AddedToken):
            result.append(item)
            continue
        trace = traces.get(item.text)
        if trace is None:
            trace = traces[item.text] = parts.model.trace(item.text)
        result.append(PreToken(item.text, item.start, item.end, trace))
    return result


def stages(text: str, bundle: TokenizerBundle, start: int, end: int) -> Stages:
    """What each stage does to ``text[start:end]``, in the context of the whole text.

    The context matters: a space before the word or the beginning of the text can change its pieces.

    Args:
        text: cleaned text (no lone surrogates).
        bundle: a tokenizer whose model is WordPiece, BPE or Unigram.
        start: beginning of the slice, in code points.
        end: its end, exclusive.

    Raises:
        ValueError: ``start`` and ``end`` don't mark a non-empty slice of the text.
        InputInvalid: the tokenizer uses another algorithm.
    """
    if not 0 <= start < end <= len(text):
        raise ValueError(f"no slice {start}:{end} in a text of {len(text)} characters")
    parts = _parts_of(bundle)
    cut = _pretokenize(text, parts)
    rows = _normalizer_rows(text, parts, start, end)
    normalizer = tuple(
        NormalizerStep(step.name, step.detail, before, after)
        for step, (before, after) in zip(parts.steps, pairwise(rows), strict=True)
    )
    inside = [item for item in cut if item.start < end and item.end > start]
    return Stages(
        text=text,
        start=start,
        end=end,
        original=text[start:end],
        algorithm=bundle.algorithm,
        added=tuple(item for item in inside if isinstance(item, AddedToken)),
        normalizer=normalizer,
        normalized=rows[-1],
        pretokenizers=parts.pretokenizers,
        pretokens=tuple(
            PreToken(item.text, item.start, item.end, parts.model.trace(item.text))
            for item in inside
            if isinstance(item, _Raw)
        ),
        pretoken_total=sum(isinstance(item, _Raw) for item in cut),
        postprocessor=_post_processing(text, bundle, parts),
    )


def _normalizer_rows(text: str, parts: _Parts, start: int, end: int) -> list[str]:
    """The slice at the beginning and after each step: ``len(steps) + 1`` strings.

    Steps run on the whole stretch between two added tokens, as in the library; only the part that is aligned
    with the slice is returned.
    """
    whole = NormalizedString(text)
    segments = [
        (a, _slice(whole, a, b)) for a, b, spec in parts.before.cut(text) if spec is None and a < end and b > start
    ]
    rows = ["".join(text[max(a, start) : min(a + len(s.original), end)] for a, s in segments)]
    for step in parts.steps:
        for _a, segment in segments:
            step.normalizer.normalize(segment)
        rows.append("".join(_visible(text, segment, start, end) for _a, segment in segments))
    return rows


def _visible(text: str, segment: NormalizedString, start: int, end: int) -> str:
    """The part of a normalized segment that comes from ``text[start:end]``."""

    def overlapping(pieces: list[NormalizedString]) -> list[bool]:
        # A character that a step inserted may have no width of its own: it counts where it stands.
        places = [(a, b) for _part, a, b in _offsets(text, pieces)]
        return [a < end and (b > start or (a == b and a >= start)) for a, b in places]

    def cut(piece: NormalizedString, size: int) -> list[NormalizedString]:
        length = len(piece.normalized)
        return [_slice(piece, i, min(i + size, length)) for i in range(0, length, size)]

    # Coarse pieces first, single characters only around the slice: a long text has thousands of them.
    coarse = cut(segment, _CHUNK)
    fine = [
        character for piece, hit in zip(coarse, overlapping(coarse), strict=True) if hit for character in cut(piece, 1)
    ]
    hits = overlapping(fine)
    return "".join(character.normalized for character, hit in zip(fine, hits, strict=True) if hit)


def _post_processing(text: str, bundle: TokenizerBundle, parts: _Parts) -> PostProcessing:
    encoding = bundle.encode(text)
    # A token without sequence comes from the post-processor; padding isn't attended to.
    sequence, attended = encoding.sequence_ids, encoding.attention_mask
    added = [i for i, (seq, seen) in enumerate(zip(sequence, attended, strict=True)) if seq is None and seen]
    return PostProcessing(
        name=" + ".join(parts.postprocessors),
        added=tuple(PostToken(encoding.tokens[i], encoding.ids[i], i) for i in added),
        total=sum(attended),
    )
