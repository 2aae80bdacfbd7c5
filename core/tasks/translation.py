"""Translation with an encoder-decoder: the text, what beam search nearly wrote instead, and which word looked where.

A text is translated sentence by sentence, as these models were trained. The alignment is the decoder's
cross-attention, one pass over the best translation (Bahdanau et al. 2015; Vaswani et al. 2017): it shows where
the model looked, which is not always what a person would call a word's translation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.errors import InputTooLong, ModelUnavailable
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text
from core.tasks.extractive_summary import split_sentences

if TYPE_CHECKING:
    import torch

# Tokens that tell a model of both directions which language is wanted; models of one direction lack them.
WANTED: Final = {"es": ">>es<<", "en": ">>en<<"}
MAX_TEXT: Final = 5_000
_AT_ONCE: Final = 8
# A translation may be longer than its source by so much, and a little.
_LONGER: Final = 2


@dataclass(frozen=True, slots=True)
class TranslationRequest:
    """A text to translate.

    Attributes:
        text: one or more sentences.
        target: the language wanted, ``"es"`` or ``"en"``.
        beams: how many beginnings beam search keeps.
        alternatives: how many translations of each sentence are kept, the best one included.
    """

    text: str
    target: str
    beams: int = 4
    alternatives: int = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A translation and the mean log-probability of its tokens, in nats, as beam search ranks it."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the decoder looked.

    Attributes:
        source: words of the sentence, in order.
        target: words of its translation.
        weights: ``weights[layer][i][j]``: attention of target word i to source word j, the mean over heads and
            over the target word's pieces, added up over the source word's; rows add up to 1 or, where special
            tokens were looked at, to less.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: tuple[tuple[tuple[float, ...], ...], ...]

    def mean(self) -> tuple[tuple[float, ...], ...]:
        """The mean over layers ``(target, source)``."""
        layers = len(self.weights)
        return tuple(
            tuple(sum(layer[i][j] for layer in self.weights) / layers for j in range(len(self.source)))
            for i in range(len(self.target))
        )


@dataclass(frozen=True, slots=True)
class TranslatedSentence:
    """One sentence: where it stands (code points), its candidates, the best first, its alignment, and whether cut."""

    start: int
    end: int
    candidates: tuple[Candidate, ...]
    alignment: Alignment
    cut: bool


@dataclass(frozen=True, slots=True)
class TranslationResult:
    """The whole text translated, with the source's white space; its sentences; and the time."""

    text: str
    sentences: tuple[TranslatedSentence, ...]
    timing: Timing


def words_of(pieces: Sequence[str], special: Sequence[bool]) -> tuple[list[list[str]], list[int]]:
    """Pieces as words.

    A piece that begins with the vocabulary's mark for a space (``▁`` or ``Ġ``) begins a word; special ones belong
    to none.

    Returns:
        The pieces of each word, and for each piece the number of its word, −1 for special ones.
    """
    words: list[list[str]] = []
    numbers: list[int] = []
    for piece, apart in zip(pieces, special, strict=True):
        if apart:
            numbers.append(-1)
            continue
        if piece.startswith(("▁", "Ġ")) or not words:
            words.append([])
        words[-1].append(piece)
        numbers.append(len(words) - 1)
    return words, numbers


def merge(weights: "torch.Tensor", targets: Sequence[int], sources: Sequence[int]) -> "torch.Tensor":
    """Attention of words to words: mean over a target word's pieces, sum over a source word's.

    Args:
        weights: ``(target pieces, source pieces)``.
        targets: each target piece's word, −1 for none.
        sources: the same for the source.

    Returns:
        ``(target words, source words)``.
    """
    import torch

    rows, columns = max(targets, default=-1) + 1, max(sources, default=-1) + 1
    found = torch.zeros(rows, columns)
    for number in range(rows):
        own = [place for place, word in enumerate(targets) if word == number]
        row = weights[own].mean(0)
        for place, word in enumerate(sources):
            if word >= 0:
                found[number, word] += row[place]
    return found


class Translation:
    """The task."""

    name = "translation"
    attention = True
    max_batch = 2

    def run(self, bundle: ModelBundle, requests: Sequence[TranslationRequest]) -> list[TranslationResult]:
        """Translates each text.

        Raises:
            InputInvalid: an empty text.
            InputTooLong: more than 5,000 characters.
            ModelUnavailable: the model is no encoder-decoder.
        """
        if not getattr(bundle.model.config, "is_encoder_decoder", False):
            raise ModelUnavailable(_("Este modelo no traduce: le falta la parte que escribe. Elige otro."))
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: TranslationRequest) -> TranslationResult:
        clock = Clock()
        text = require_text(request.text)
        if len(text) > MAX_TEXT:
            raise InputTooLong(
                _("El texto tiene {n} caracteres y aquí caben {limit}. Acórtalo o divídelo en partes.").format(
                    n=format_number(len(text)), limit=format_number(MAX_TEXT)
                )
            )
        spans = split_sentences(text)
        with clock.part("tokenize"):
            rows, cut = _encode(bundle, [text[start:end] for start, end in spans], request.target)
        candidates: list[tuple[Candidate, ...]] = [()] * len(rows)
        best: list[list[int]] = [[]] * len(rows)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        for at in range(0, len(order), _AT_ONCE):
            part = order[at : at + _AT_ONCE]
            with clock.part("model"):
                found = _generate(bundle, [rows[index] for index in part], request)
            with clock.part("decode"):
                for index, beams in zip(part, found, strict=True):
                    candidates[index] = _texts(bundle, beams)
                    best[index] = beams[0][0]
        with clock.part("model"):
            alignments = [_align(bundle, source, target) for source, target in zip(rows, best, strict=True)]
        sentences = tuple(
            TranslatedSentence(start, end, own, alignment, short)
            for (start, end), own, alignment, short in zip(spans, candidates, alignments, cut, strict=True)
        )
        whole, at = "", 0
        for sentence in sentences:
            whole += text[at : sentence.start] + sentence.candidates[0].text
            at = sentence.end
        return TranslationResult(whole + text[at:], sentences, clock.timing())


def _encode(bundle: ModelBundle, sentences: Sequence[str], target: str) -> tuple[list[list[int]], list[bool]]:
    with bundle.lock:
        encoded: Any = bundle.tokenizer(list(sentences), padding=False, truncation=False, verbose=False)
        vocabulary = bundle.tokenizer.get_vocab()
    mark = vocabulary.get(WANTED[target])
    rows, cut = [], []
    for ids in encoded["input_ids"]:
        row = [mark, *ids] if mark is not None else list(ids)
        cut.append(len(row) > bundle.entry.window)
        # What ends a sentence must end the shortened one, too.
        rows.append(row if len(row) <= bundle.entry.window else [*row[: bundle.entry.window - 1], row[-1]])
    return rows, cut


def _generate(
    bundle: ModelBundle, rows: Sequence[list[int]], request: TranslationRequest
) -> list[list[tuple[list[int], float]]]:
    import torch

    model: Any = bundle.model
    pad = int(model.config.pad_token_id)
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=bundle.device.name)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=bundle.device.name)
    count = max(1, min(request.alternatives, request.beams))
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        num_beams=max(1, request.beams),
        num_return_sequences=count,
        do_sample=False,
        max_length=None,
        max_new_tokens=min(bundle.entry.window - 1, _LONGER * longest + 20),
        return_dict_in_generate=True,
        output_scores=True,
    )
    scores = out.sequences_scores.tolist() if out.get("sequences_scores") is not None else [0.0] * len(out.sequences)
    end = model.generation_config.eos_token_id
    ends = {int(one) for one in (end if isinstance(end, list) else [end]) if one is not None}
    found: list[list[tuple[list[int], float]]] = []
    for index in range(len(rows)):
        beams = []
        for place in range(index * count, (index + 1) * count):
            row = out.sequences[place].tolist()
            # Up to its end; what follows is padding.
            stop = next((at for at, token in enumerate(row) if at and token in ends), len(row) - 1)
            beams.append((row[: stop + 1], float(scores[place])))
        found.append(beams)
    return found


def _texts(bundle: ModelBundle, beams: Sequence[tuple[list[int], float]]) -> tuple[Candidate, ...]:
    found: dict[str, float] = {}
    for ids, score in beams:
        with bundle.lock:
            text = str(bundle.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        found.setdefault(text, score)
    return tuple(Candidate(text, score) for text, score in found.items())


def _align(bundle: ModelBundle, source: Sequence[int], target: Sequence[int]) -> Alignment:
    import torch

    model: Any = bundle.model
    place = bundle.device.name
    out = model(
        input_ids=torch.tensor([source], device=place),
        attention_mask=torch.ones(1, len(source), dtype=torch.long, device=place),
        # At position i the decoder has read target[i] and writes target[i + 1]: that is the row of target[i + 1].
        decoder_input_ids=torch.tensor([target[:-1]], device=place),
        output_attentions=True,
    )
    assert out.cross_attentions, "cross-attentions are empty: the model must be loaded with eager attention"
    with bundle.lock:
        special = set(bundle.tokenizer.all_special_ids)
        pieces = [bundle.tokenizer.convert_ids_to_tokens(list(ids)) for ids in (source, target[1:])]
    marks = set(WANTED.values())
    sides = [
        words_of(own, [token in special or piece in marks for token, piece in zip(ids, own, strict=True)])
        for own, ids in zip(pieces, (source, target[1:]), strict=True)
    ]
    (sources, source_numbers), (targets, target_numbers) = sides
    layers = tuple(
        tuple(map(tuple, merge(layer[0].float().mean(0).cpu(), target_numbers, source_numbers).tolist()))
        for layer in out.cross_attentions
    )
    with bundle.lock:
        texts = [
            tuple(str(bundle.tokenizer.convert_tokens_to_string(word)).strip() for word in words)
            for words in (sources, targets)
        ]
    return Alignment(texts[0], texts[1], layers)


TASK: Final = Translation()
