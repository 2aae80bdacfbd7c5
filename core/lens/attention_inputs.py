"""What a model reads: one or two texts as ids, and as tokens that know their word and their place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InputInvalid, InputTooLong, ModelUnavailable
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.lens.attention import MAX_TOKENS, Kind, Token
from core.lens.tokenization import clean_text, ordered_spans, piece_table, place, unit_spans
from core.runtime.bundle import ModelBundle
from core.runtime.tokenizer import TokenizerBundle

if TYPE_CHECKING:
    import torch

# A decoder may write so many tokens for each one read, and a few more.
_LONGER = 2
_MORE = 20
# How far a piece is looked for when the tokenizer gives no offsets, in code points.
_REACH = 60


@dataclass(frozen=True, slots=True)
class TextPair:
    """What to look at.

    Attributes:
        first: the text.
        second: a second text, or none. An encoder reads both as a pair; a decoder reads one after the other; for an
            encoder-decoder it is what the decoder has written, and without one the decoder writes it itself.
        kind: which attention; ``None`` for the model's most telling one (cross-attention where there is one).
        written: ids that the decoder of an encoder-decoder reads, from an earlier answer; used instead of ``second``.
    """

    first: str
    second: str = ""
    kind: Kind | None = None
    written: tuple[int, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """A text made ready for one model.

    Attributes:
        kind: the attention to look at.
        rows: who looks.
        columns: who is looked at.
        ids: ``(1, tokens)``: what the encoder, or the only stack, reads; on the CPU.
        segments: ``token_type_ids`` of the same shape, for models that take them; else ``None``.
        written: ids that the decoder of an encoder-decoder reads; empty for other models.
        decoded: the decoder's text, for encoder-decoders.
    """

    kind: Kind
    rows: tuple[Token, ...]
    columns: tuple[Token, ...]
    ids: "torch.Tensor"
    segments: "torch.Tensor | None"
    written: tuple[int, ...]
    decoded: str

    def arguments(self, device: str, batch: int = 1) -> dict[str, Any]:
        """The arguments of the model's call, ``batch`` times the same text."""
        import torch

        ids = self.ids.expand(batch, -1).to(device)
        arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if self.segments is not None:
            arguments["token_type_ids"] = self.segments.expand(batch, -1).to(device)
        if self.written:
            arguments["decoder_input_ids"] = torch.tensor([self.written] * batch, device=device)
        if self.written or self.kind == "decoder":
            arguments["use_cache"] = False
        return arguments


def kinds_of(bundle: ModelBundle) -> tuple[Kind, ...]:
    """The attentions that a model has, the most telling one first."""
    if getattr(bundle.model.config, "is_encoder_decoder", False):
        return ("cross", "encoder", "decoder")
    return ("decoder",) if bundle.entry.architecture == "decoder" else ("encoder",)


def _checked(raw: str) -> str:
    return clean_text(raw)[0].strip("\n")


def prepare(bundle: ModelBundle, pair: TextPair) -> Inputs:
    """Makes one or two texts ready for a model.

    Raises:
        InputInvalid: no text.
        InputTooLong: more tokens than the model's window, or than ``MAX_TOKENS``.
        ModelUnavailable: the model has no attention of the kind asked for.
    """
    first, second = _checked(pair.first), _checked(pair.second)
    if not first.strip():
        raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
    kinds = kinds_of(bundle)
    kind = pair.kind or kinds[0]
    if kind not in kinds:
        name = bundle.entry.name(get_language())
        raise ModelUnavailable(_("{name} no tiene esa clase de atención. Elige otra u otro modelo.").format(name=name))
    if "cross" in kinds:
        return _encoder_decoder(bundle, kind, first, second, pair.written)
    if kinds[0] == "decoder":
        tokens, ids, _segments = _read(bundle, f"{first} {second}" if second.strip() else first, "")
        if second.strip():
            tokens = _split(tokens, len(first))
        _check_length(bundle, tokens)
        return Inputs(kind, tokens, tokens, ids, None, (), "")
    tokens, ids, segments = _read(bundle, first, second)
    _check_length(bundle, tokens)
    return Inputs(kind, tokens, tokens, ids, segments, (), "")


def read_source(
    bundle: ModelBundle, first: str, second: str = ""
) -> tuple[tuple[Token, ...], "torch.Tensor", "torch.Tensor | None"]:
    """What the encoder, or the only stack, reads of one or two texts; nothing is generated.

    Returns:
        The tokens, their ids ``(1, tokens)`` on the CPU, and ``token_type_ids`` of that shape or ``None``.

    Raises:
        InputInvalid: no text.
        InputTooLong: more tokens than the model's window, or than ``MAX_TOKENS``.
    """
    first, second = _checked(first), _checked(second)
    if not first.strip():
        raise InputInvalid(_("Escribe algo primero: el texto está vacío."))
    pairs = bundle.entry.architecture == "encoder"
    if second.strip() and not pairs:
        tokens, ids, segments = _read(bundle, f"{first} {second}", "")
        tokens = _split(tokens, len(first))
    else:
        tokens, ids, segments = _read(bundle, first, second)
    _check_length(bundle, tokens)
    return tokens, ids, segments


def _check_length(bundle: ModelBundle, tokens: Sequence[Token]) -> None:
    limit = min(bundle.entry.window, MAX_TOKENS)
    if len(tokens) <= limit:
        return
    counts = [sum(token.segment == side and not token.special for token in tokens) for side in (0, 1)]
    name = bundle.entry.name(get_language())
    numbers = {
        "name": name,
        "limit": format_number(limit),
        "n": format_number(len(tokens)),
        "a": format_number(counts[0]),
        "b": format_number(counts[1]),
    }
    if counts[1]:
        raise InputTooLong(
            _(
                "Los dos textos suman {n} tokens con los especiales (A: {a}, B: {b}), y aquí {name} lee {limit} como "
                "máximo. Acorta uno de los dos."
            ).format(**numbers)
        )
    raise InputTooLong(
        _("El texto tiene {n} tokens con los especiales, y aquí {name} lee {limit} como máximo. Acórtalo.").format(
            **numbers
        )
    )


def _read(
    bundle: ModelBundle, first: str, second: str, *, target: bool = False
) -> tuple[tuple[Token, ...], "torch.Tensor", "torch.Tensor | None"]:
    """Tokens, ids and segments of one text or a pair."""
    import torch

    texts = (first, second) if second.strip() else (first,)
    fast = bool(getattr(bundle.tokenizer, "is_fast", False))
    options = {"return_offsets_mapping": True} if fast else {}
    with bundle.lock:
        tokenizer: Any = bundle.tokenizer
        encoded = (
            tokenizer(text_target=first, padding=False, truncation=False, verbose=False, **options)
            if target
            else tokenizer(
                *texts, padding=False, truncation=False, verbose=False, return_special_tokens_mask=True, **options
            )
        )
        ids: list[int] = list(encoded["input_ids"])
        added = encoded.get("special_tokens_mask")
        if fast:
            added = encoded.encodings[0].special_tokens_mask
            sides = [side or 0 for side in _filled(encoded.sequence_ids(0))]
        else:
            sides = _filled_types(encoded.get("token_type_ids"), len(ids))
    special = list(map(bool, added)) if added is not None else _special(bundle, ids)
    spans = [tuple(span) for span in encoded["offset_mapping"]] if fast else None
    tokens: list[Token | None] = [None] * len(ids)
    for side, text in enumerate(texts):
        own = [index for index in range(len(ids)) if sides[index] == side]
        made = place_tokens(
            bundle,
            text,
            [ids[index] for index in own],
            [special[index] for index in own],
            None if spans is None else [spans[index] for index in own],
            side,
        )
        for index, token in zip(own, made, strict=True):
            tokens[index] = token
    types = encoded.get("token_type_ids")
    segments = torch.tensor([types]) if types is not None else None
    return tuple(token for token in tokens if token is not None), torch.tensor([ids]), segments


def _filled(sides: Sequence[int | None]) -> list[int]:
    """A special token belongs to the text that it closes; one before all text to the first."""
    filled, last = [], 0
    for side in sides:
        last = last if side is None else side
        filled.append(last)
    return filled


def _filled_types(types: Sequence[int] | None, count: int) -> list[int]:
    return [min(int(kind), 1) for kind in types] if types is not None else [0] * count


def _special(bundle: ModelBundle, ids: Sequence[int]) -> list[bool]:
    with bundle.lock:
        # An unknown piece stands for something in the text.
        special = set(bundle.tokenizer.all_special_ids) - {bundle.tokenizer.unk_token_id}
    return [token in special for token in ids]


def shown_pieces(bundle: ModelBundle, ids: Sequence[int]) -> list[tuple[str, str]]:
    """Each id's piece as the vocabulary writes it, and what a person sees of it."""
    backend = getattr(bundle.tokenizer, "backend_tokenizer", None)
    if backend is None:
        with bundle.lock:
            pieces = bundle.tokenizer.convert_ids_to_tokens(list(ids))
        return [(piece, piece.replace("▁", " ").strip() or "␣") for piece in pieces]
    kept = vars(bundle).get("_token_bundle")
    if kept is None:
        kept = TokenizerBundle(bundle.entry.key, bundle.entry.key, backend, lock=bundle.lock)
        # On the bundle itself, so that both go together.
        vars(bundle)["_token_bundle"] = kept
    entries = piece_table(kept).entries(kept, ids)
    found = []
    for token in ids:
        piece, text, _kind = entries[token]
        bare = text.removeprefix("##") if piece.startswith("##") and len(piece) > 2 else text
        found.append((piece, bare.strip() or _visible(bare) or piece))
    return found


def _visible(space: str) -> str:
    return space.replace("\r", "").replace("\n", "⏎").replace("\t", "→").replace(" ", "␣")


def _walk(text: str, shown: Sequence[str], special: Sequence[bool]) -> list[tuple[int, int]]:
    """Where each piece stands in the text, for tokenizers that don't say it; empty where it isn't found."""
    spans, at = [], 0
    lower = text.lower() if len(text.lower()) == len(text) else text
    for piece, apart in zip(shown, special, strict=True):
        found = -1 if apart else text.find(piece, at, at + _REACH)
        if found < 0 and not apart:
            found = lower.find(piece.lower(), at, at + _REACH)
        if found < 0:
            spans.append((at, at))
        else:
            spans.append((found, found + len(piece)))
            at = found + len(piece)
    return spans


def place_tokens(
    bundle: ModelBundle,
    text: str,
    ids: Sequence[int],
    special: Sequence[bool],
    spans: Sequence[tuple[int, ...]] | None,
    side: int,
) -> list[Token]:
    """Tokens of one text with their words.

    Args:
        bundle: the model.
        text: what was read.
        ids: the tokens.
        special: which of them the model's format added.
        spans: first code point and the one after the last of each; ``None`` if the tokenizer doesn't say.
        side: 0 for the first text, 1 for the second.
    """
    shown = shown_pieces(bundle, ids)
    if spans is None:
        spans = _walk(text, [name for _piece, name in shown], special)
    table = np.array(spans, dtype=np.int64).reshape(-1, 2)
    starts, ends = ordered_spans(table[:, 0], table[:, 1])
    unit_starts, unit_ends, _is_word = unit_spans(text)
    first, last = place(starts, ends, unit_starts, unit_ends)
    tokens: list[Token] = []
    word, reached = -1, -1
    for index, (piece, name) in enumerate(shown):
        if special[index]:
            tokens.append(Token(piece, piece, 0, 0, side, True, -1, False))
            continue
        unit = int(first[index])
        # A piece that begins where the last one's unit goes on belongs to the same word; what stands for no
        # letter at all (a space, a mark that was cut off) is a word of its own.
        continues = unit >= 0 and unit <= reached
        if not continues:
            word += 1
        reached = max(reached, int(last[index]))
        tokens.append(Token(name, piece, int(starts[index]), int(ends[index]), side, False, word, continues))
    return tokens


def _split(tokens: Sequence[Token], length: int) -> tuple[Token, ...]:
    """Tokens of two texts that were read as one, joined by a space: those of the second get their own places."""
    found: list[Token] = []
    base = None
    for token in tokens:
        # Byte-level tokens hold the space before them.
        if token.special or (token.start < length if base is None else False):
            found.append(token)
            continue
        if base is None:
            base = token.word
        offset = length + 1
        found.append(
            Token(
                token.text,
                token.piece,
                max(0, token.start - offset),
                max(0, token.end - offset),
                1,
                False,
                token.word - base,
                token.continues and token.word > base - 1 and any(other.segment == 1 for other in found),
            )
        )
    return tuple(found)


# --- encoder-decoders -------------------------------------------------------------------------------------


def _encoder_decoder(bundle: ModelBundle, kind: Kind, first: str, second: str, written: tuple[int, ...]) -> Inputs:
    source, ids, _segments = _read(bundle, first, "")
    _check_length(bundle, source)
    if not written:
        written = _given(bundle, second) if second.strip() else _generate(bundle, ids)
    special = _special(bundle, written)
    text, spans = _decoded(bundle, written)
    target = tuple(
        # What a person sees is what was written, not the vocabulary's sign for it.
        replace(token, text=text[token.start : token.end].strip() or token.text)
        for token in place_tokens(bundle, text, list(written), special, spans, 1)
    )
    _check_length(bundle, target)
    rows, columns = {
        "cross": (target, source),
        "encoder": (source, source),
        "decoder": (target, target),
    }[kind]
    return Inputs(kind, rows, columns, ids, None, written, text.strip())


def _decoded(bundle: ModelBundle, written: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """The text that ids stand for, and which part of it each one adds."""
    spans, text = [], ""
    with bundle.lock:
        for end in range(1, len(written) + 1):
            longer = str(bundle.tokenizer.decode(list(written[:end]), skip_special_tokens=True))
            spans.append((min(len(text), len(longer)), len(longer)))
            text = longer
    return text, spans


def _given(bundle: ModelBundle, second: str) -> tuple[int, ...]:
    """What a decoder reads when it has to write ``second``: the start token, then all but the last of its ids."""
    _tokens, ids, _segments = _read(bundle, second, "", target=True)
    start = bundle.model.config.decoder_start_token_id
    own = [int(token) for token in ids[0].tolist()]
    if bundle.entry.weights is not None and bundle.entry.weights.start:
        # It stands where the tokenizer puts <s>.
        own = own[1:]
    return (int(start), *own[:-1])


def _generate(bundle: ModelBundle, ids: "torch.Tensor") -> tuple[int, ...]:
    import torch

    model: Any = bundle.model
    source = ids.to(bundle.device.name)
    room = min(bundle.entry.window, MAX_TOKENS) - 1
    out = model.generate(
        input_ids=source,
        attention_mask=torch.ones_like(source),
        num_beams=1,
        do_sample=False,
        max_length=None,
        max_new_tokens=min(room, _LONGER * source.shape[1] + _MORE),
    )
    row = [int(token) for token in out[0].tolist()]
    end = model.generation_config.eos_token_id
    ends = set(end if isinstance(end, list) else [end])
    # The end sign is written, never read.
    stop = next((at for at, token in enumerate(row) if at and token in ends), len(row))
    return tuple(row[:stop])
