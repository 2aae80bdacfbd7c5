"""Zero-shot classification: labels that the visitor makes up.

Where the model was trained on entailment (NLI), each label becomes a sentence ("Este ejemplo es deporte.") and its
probability is that of the text entailing it (Yin et al. 2019). Where it wasn't, the text's vector is compared with
the labels' sentences: similarity, not entailment, and ``method`` says which of the two it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.errors import InputInvalid, InputTooLong
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.tasks.common import Clock, Timing, require_text
from core.tasks.similarity import sentence_vectors

Method = Literal["entailment", "similarity"]
TEMPLATES: Final = {"es": "Este ejemplo es {}.", "en": "This example is {}."}
MAX_LABELS: Final = 50
# Cosines of a text with a handful of labels differ by tenths: this spreads them to readable shares.
TEMPERATURE: Final = 0.05


@dataclass(frozen=True, slots=True)
class ZeroShotRequest:
    """A text, the labels, and the sentence that a label is put into.

    Attributes:
        text: what is classified.
        labels: at least two, all different.
        template: with ``{}`` where the label goes.
        several: more than one label may be true: each gets a probability of its own, entailment against
            contradiction; judged by similarity, which has no such figure, nothing changes.
    """

    text: str
    labels: tuple[str, ...]
    template: str = TEMPLATES["es"]
    several: bool = False


@dataclass(frozen=True, slots=True)
class ScoredLabel:
    """A label, its share or probability, and the figure behind it: an entailment logit or a cosine."""

    name: str
    share: float
    raw: float


@dataclass(frozen=True, slots=True)
class ZeroShotResult:
    """The labels, the best first; how they were judged; whether each on its own; what was read; and the time.

    Attributes:
        labels: the best first.
        method: by entailment or by similarity.
        several: the shares don't add up to 1: each label was judged on its own.
        cut: the text was longer than the model's window and only its beginning was read.
        timing: where the time went.
    """

    labels: tuple[ScoredLabel, ...]
    method: Method
    several: bool
    cut: bool
    timing: Timing


def check_labels(request: ZeroShotRequest) -> list[str]:
    """The labels, trimmed.

    Raises:
        InputInvalid: fewer than two, an empty or a repeated one, or a template without ``{}``.
        InputTooLong: more than fifty.
    """
    labels = [label.strip() for label in request.labels if label.strip()]
    if len(labels) < 2:
        raise InputInvalid(_("Escribe al menos dos etiquetas distintas."))
    if len(labels) > MAX_LABELS:
        raise InputTooLong(
            _("Hay {n} etiquetas y aquí caben {limit}. Quita algunas.").format(
                n=format_number(len(labels)), limit=format_number(MAX_LABELS)
            )
        )
    repeated = {label for label in labels if sum(label.casefold() == other.casefold() for other in labels) > 1}
    if repeated:
        raise InputInvalid(_("Hay etiquetas repetidas: {labels}.").format(labels=", ".join(sorted(repeated))))
    if "{}" not in request.template:
        raise InputInvalid(_("La plantilla debe llevar {} donde va la etiqueta."))
    return labels


def entailment_class(bundle: ModelBundle) -> int | None:
    """The number of the model's "entailment" label; ``None`` if it wasn't trained on entailment."""
    names: Any = getattr(bundle.model.config, "id2label", None) or {}
    return next((int(index) for index, name in names.items() if str(name).lower().startswith("entail")), None)


class ZeroShot:
    """The task."""

    name = "zero-shot"
    attention = False
    max_batch = 4

    def run(self, bundle: ModelBundle, requests: Sequence[ZeroShotRequest]) -> list[ZeroShotResult]:
        """Judges each text by its labels.

        Raises:
            InputInvalid: as ``check_labels``, or an empty text.
            InputTooLong: too many labels, or more than 50,000 characters.
        """
        return [self._one(bundle, request) for request in requests]

    def _one(self, bundle: ModelBundle, request: ZeroShotRequest) -> ZeroShotResult:
        import torch

        clock = Clock()
        labels = check_labels(request)
        text = require_text(request.text)
        sentences = [request.template.replace("{}", label) for label in labels]
        entails = entailment_class(bundle)
        if entails is None:
            vectors, cuts = sentence_vectors(bundle, [text, *sentences], "mean", clock)
            raw = vectors[1:] @ vectors[0]  # (labels,)
            shares = (raw / TEMPERATURE).softmax(0)
            method: Method = "similarity"
            several, cut = False, cuts[0]
        else:
            method, several = "entailment", request.several
            with clock.part("tokenize"):
                longest = max(map(len, bundle.token_ids(sentences)))
                if longest > bundle.entry.window // 2:
                    raise InputTooLong(_("Una etiqueta, con su plantilla, es demasiado larga. Acórtala."))
                # Only the text may be cut: a label that was not read could not be judged.
                cut = len(bundle.token_ids([text])[0]) + longest - 1 > bundle.entry.window
                encoded = bundle.encode([text] * len(sentences), sentences, truncate="only_first")
                inputs = {name: value.to(bundle.device.name) for name, value in encoded.items()}
            with clock.part("model"):
                logits = bundle.model(**inputs).logits.float().cpu()  # (labels, classes)
            raw = logits[:, entails]
            names: Any = bundle.model.config.id2label
            against = next((int(i) for i, name in names.items() if str(name).lower().startswith("contra")), None)
            if not several:
                shares = raw.softmax(0)
            elif against is not None:
                shares = torch.stack([logits[:, against], raw], dim=-1).softmax(-1)[:, 1]
            else:
                # Two classes alone: entailed or not.
                shares = logits.softmax(-1)[:, entails]
        scored = [
            ScoredLabel(label, share, figure)
            for label, share, figure in zip(labels, shares.tolist(), raw.tolist(), strict=True)
        ]
        return ZeroShotResult(
            tuple(sorted(scored, key=lambda label: -label.share)), method, several, cut, clock.timing()
        )


TASK: Final = ZeroShot()
