"""Written answers and summaries: an encoder-decoder reads a text and writes another.

Unlike the extractive tasks, nothing binds it to the words of the text: it can put things well, and it can make
them up. Beam search is the library's; the figures of each written token are those of one pass over the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.errors import InputInvalid, ModelUnavailable
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text

Kind = Literal["answer", "summary"]
# What instruction-tuned T5s were taught to read; those made for summaries alone take their own prefix. Two BERTs put
# together read question and text as BERT does, one after the other.
_ANSWER: Final = "Read the text and answer the question.\n\nText: {text}\n\nQuestion: {question}"
_SUMMARY: Final = "summarize: {text}"


@dataclass(frozen=True, slots=True)
class Text2TextRequest:
    """What to write.

    Attributes:
        text: what is read.
        kind: an answer to ``question``, or a summary.
        question: for answers.
        tokens: most tokens to write.
        beams: how many beginnings beam search keeps; 1 takes the likeliest token each time.
        seconds: after which it stops with what there is.
    """

    text: str
    kind: Kind
    question: str = ""
    tokens: int = 80
    beams: int = 4
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Written:
    """A token of the result, its text and its probability given what was read and written before it."""

    piece: str
    probability: float


@dataclass(frozen=True, slots=True)
class Text2TextResult:
    """What was written.

    Attributes:
        text: the answer or summary.
        prompt: what the model was given.
        written: token by token, special ones left out.
        cut: the prompt was longer than the model's window.
        copied: share of the words that stand in the text that was read; ``None`` without words.
        added: the other words, each once, in lower case.
        timing: where the time went.
    """

    text: str
    prompt: str
    written: tuple[Written, ...]
    cut: bool
    copied: float | None
    added: tuple[str, ...]
    timing: Timing


def prompt_for(bundle: ModelBundle, request: Text2TextRequest) -> str:
    """The words that a model is given: T5s need to be told what to do, models of one task only the text.

    Raises:
        InputInvalid: an answer without a question.
    """
    kind = getattr(bundle.model.config, "model_type", "")
    if request.kind == "answer":
        if not request.question.strip():
            raise InputInvalid(_("Escribe una pregunta."))
        if kind == "encoder-decoder":
            gap = str(bundle.tokenizer.sep_token)
            return f"{request.question}{gap}{gap}{request.text}"
        return _ANSWER.format(text=request.text, question=request.question)
    if kind in {"t5", "mt5"}:
        return _SUMMARY.format(text=request.text)
    return request.text


def _words(text: str) -> list[str]:
    import re

    return re.findall(r"\w+", text.lower())


def copied_share(written: str, text: str) -> float | None:
    """Share of the words of ``written`` that stand in ``text``; ``None`` without words."""
    words, known = _words(written), set(_words(text))
    return sum(word in known for word in words) / len(words) if words else None


def added_words(written: str, text: str) -> tuple[str, ...]:
    """The words of ``written`` that don't stand in ``text``, each once, in lower case."""
    known = set(_words(text))
    return tuple(dict.fromkeys(word for word in _words(written) if word not in known))


class Text2Text:
    """The task."""

    name = "text2text"
    attention = False
    max_batch = 1

    def run(self, bundle: ModelBundle, requests: Sequence[Text2TextRequest]) -> list[Text2TextResult]:
        """Writes each answer or summary.

        Raises:
            InputInvalid: an empty text, or no question.
            InputTooLong: more than 50,000 characters.
            ModelUnavailable: the model is no encoder-decoder.
        """
        if not getattr(bundle.model.config, "is_encoder_decoder", False):
            raise ModelUnavailable(_("Este modelo no escribe: le falta el decodificador. Elige otro."))
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: Text2TextRequest) -> Text2TextResult:
        import torch

        clock = Clock()
        require_text(request.text)
        prompt = prompt_for(bundle, request)
        with clock.part("tokenize"):
            whole = len(bundle.token_ids([prompt])[0])
            encoded = bundle.encode([prompt], truncate=True)
            inputs = {name: encoded[name].to(bundle.device.name) for name in ("input_ids", "attention_mask")}
        model: Any = bundle.model
        with clock.part("model"):
            out = model.generate(
                **inputs,
                do_sample=False,
                num_beams=request.beams,
                max_length=None,
                max_new_tokens=request.tokens,
                max_time=request.seconds,
            )
            row = out[0]
            # Position i has read row[:i + 1]: it scores row[i + 1].
            logits = model(**inputs, decoder_input_ids=row[None, :-1]).logits[0].float().cpu()
        with clock.part("decode"):
            chances = logits.softmax(-1)[torch.arange(len(row) - 1), row[1:].cpu()].tolist()
            with bundle.lock:
                special = set(bundle.tokenizer.all_special_ids)
                pieces = bundle.tokenizer.convert_ids_to_tokens(row[1:].tolist())
                text = str(bundle.tokenizer.decode(row, skip_special_tokens=True)).strip()
            written = tuple(
                Written(piece, chance)
                for piece, chance, token in zip(pieces, chances, row[1:].tolist(), strict=True)
                if token not in special
            )
        return Text2TextResult(
            text,
            prompt,
            written,
            whole > bundle.entry.window,
            copied_share(text, request.text),
            added_words(text, request.text),
            clock.timing(),
        )


TASK: Final = Text2Text()
