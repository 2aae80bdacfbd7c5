"""What a person asks for: task, base model, method and every number of a run, with defaults and limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from core.catalog import ModelEntry, entries
from core.errors import InputInvalid
from core.i18n import format_number
from core.i18n import gettext as _
from core.runtime.loading import locate_model
from core.settings import Settings
from core.training.data import TASKS, TuningTask

Method = Literal["head", "full", "lora"]
Start = Literal["pretrained", "random", "adapted"]
Preset = Literal["quick", "balanced", "thorough"]

METHODS: Final[tuple[Method, ...]] = get_args(Method)
STARTS: Final[tuple[Start, ...]] = get_args(Start)
PRESETS: Final[tuple[Preset, ...]] = get_args(Preset)

MOST_SENTENCES: Final = 8
MOST_CHARACTERS: Final = 2_000
MOST_RAW_CHARACTERS: Final = 500_000
LEAST_RAW_CHARACTERS: Final = 200

# Least and most of each number; the form's fields and the check below both read them here.
LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "epochs": (1, 100),
    "learning_rate": (1e-6, 3e-2),
    "batch": (1, 128),
    "max_length": (16, 512),
    "seed": (0, 2**31 - 1),
    "adapt_epochs": (1, 20),
}


@dataclass(frozen=True, slots=True)
class TuningRequest:
    """One run, whole: with the same data and request it gives the same weights on the same machine.

    Attributes:
        task: which of the three.
        base: the encoder's key in the catalogue.
        method: ``"head"`` trains the head on vectors that the frozen body computed once; ``"full"`` every weight;
            ``"lora"`` small matrices beside the body's (Hu et al. 2021) and the head.
        start: the body's weights: as published, drawn at random, or adapted to ``raw_text`` first (the second of
            ULMFiT's three steps, Howard & Ruder 2018).
        epochs: passes over the training examples.
        learning_rate: of AdamW, at its highest.
        batch: examples a step.
        max_length: tokens after which an example is cut.
        seed: of the head's first weights, dropout and the order of the examples.
        adapt_epochs: passes over ``raw_text``; only with ``start="adapted"``.
        sentences: texts of the person's own, answered before training and after each epoch; for questions, the
            questions.
        context: for questions: the text on which ``sentences`` are asked.
        raw_text: unlabelled text to adapt to; empty for the training examples' own texts.
    """

    task: TuningTask
    base: str
    method: Method = "full"
    start: Start = "pretrained"
    epochs: int = 3
    learning_rate: float = 2e-4
    batch: int = 16
    max_length: int = 128
    seed: int = 1
    adapt_epochs: int = 3
    sentences: tuple[str, ...] = ()
    context: str = ""
    raw_text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; ``tuning_request`` reverses it."""
        return asdict(self)


def tuning_request(values: Mapping[str, Any]) -> TuningRequest:
    """A request out of what ``to_dict`` gave, also after a journey through JSON; unknown names are left out."""
    known = {field.name for field in fields(TuningRequest)}
    own = {name: value for name, value in values.items() if name in known}
    own["sentences"] = tuple(own.get("sentences", ()))
    return TuningRequest(**own)


# Epochs, learning rate and batch: found on SNIPS and on our own sets with all-MiniLM-L6-v2, those of entities also with
# mini-BETO and, with LoRA, mini-e5 (F1 after LoRA: 51 %, 31 % and 32 %; at 2e-3 mini-e5 learns nothing). A head on
# finished vectors costs milliseconds an epoch and has few weights: it goes round more often, with longer strides.
_DEFAULTS: Final[Mapping[tuple[TuningTask, Method], tuple[int, float, int]]] = {
    ("classification", "head"): (15, 5e-3, 128),
    ("classification", "full"): (3, 5e-4, 24),
    ("classification", "lora"): (5, 2e-3, 16),
    ("entities", "head"): (30, 3e-3, 32),
    ("entities", "full"): (10, 1e-3, 16),
    ("entities", "lora"): (12, 5e-4, 8),
    ("questions", "head"): (30, 3e-3, 16),
    ("questions", "full"): (8, 3e-4, 8),
    ("questions", "lora"): (10, 2e-3, 8),
}
_LENGTHS: Final[Mapping[TuningTask, int]] = {"classification": 96, "entities": 96, "questions": 224}
_PRESETS: Final[Mapping[Preset, tuple[Method, float]]] = {
    "quick": ("head", 1.0),
    "balanced": ("lora", 1.0),
    "thorough": ("full", 1.5),
}


def defaults(task: TuningTask, method: Method, base: str) -> TuningRequest:
    """A request with the numbers that suit a task and a method."""
    epochs, rate, batch = _DEFAULTS[task, method]
    return TuningRequest(task, base, method, epochs=epochs, learning_rate=rate, batch=batch, max_length=_LENGTHS[task])


def preset(name: Preset, task: TuningTask, base: str) -> TuningRequest:
    """The request behind one of the form's three buttons."""
    method, longer = _PRESETS[name]
    request = defaults(task, method, base)
    return replace(request, epochs=round(request.epochs * longer))


# From a few dozen Spanish questions mini-e5 learns with LoRA to find 52 to 70 % of the answers, and mini-BETO 15 %: it
# never had two texts to compare.
_UNFIT: Final[Mapping[TuningTask, tuple[str, ...]]] = {"questions": ("mini-beto",)}


def bases(settings: Settings, language: str | None = None, task: TuningTask | None = None) -> list[ModelEntry]:
    """Encoders on this machine that can be fine-tuned.

    Those of ``language`` come first; of these the ones that are known not to learn ``task`` last, and the workshop's
    before larger ones.
    """
    found = [
        item
        for item in entries().values()
        if item.architecture == "encoder"
        and item.weights is not None
        and not item.weights.needs
        and item.weights.head in (None, "MaskedLM", "PreTraining")
        and locate_model(item, settings) is not None
    ]
    unfit = _UNFIT.get(task, ()) if task is not None else ()

    def place(item: ModelEntry) -> tuple[bool, bool, int]:
        assert item.weights is not None
        return language not in item.languages, item.key in unfit, item.weights.parameters

    return sorted(found, key=place)


def _number(name: str) -> str:
    return {
        "epochs": _("Las épocas"),
        "learning_rate": _("La tasa de aprendizaje"),
        "batch": _("El lote"),
        "max_length": _("La longitud máxima"),
        "seed": _("La semilla"),
        "adapt_epochs": _("Las épocas de adaptación"),
    }[name]


def check(request: TuningRequest) -> TuningRequest:
    """The request, if it can be run.

    Raises:
        InputInvalid: an unknown choice, a number out of range, or texts that are too many or too long.
    """
    if request.task not in TASKS or request.method not in METHODS or request.start not in STARTS:
        raise InputInvalid(_("La tarea, el método o el punto de partida no existen. Elige uno de los del formulario."))
    if request.base not in entries():
        raise InputInvalid(_("Elige un modelo base de la lista: el que pediste no está en el catálogo."))
    for name, (least, most) in LIMITS.items():
        value = getattr(request, name)
        if not least <= value <= most:
            digits = 0 if least >= 1 or least == 0 else 6
            raise InputInvalid(
                _("{what} va de {least} a {most}, y pusiste {value}. Corrige el número y vuelve a intentarlo.").format(
                    what=_number(name),
                    least=format_number(least, digits),
                    most=format_number(most, 2 if digits else 0),
                    value=format_number(value, digits),
                )
            )
    if request.max_length > entries()[request.base].window:
        raise InputInvalid(
            _("Este modelo lee {window} tokens como máximo: baja la longitud.").format(
                window=format_number(entries()[request.base].window)
            )
        )
    if len(request.sentences) > MOST_SENTENCES or any(len(s) > MOST_CHARACTERS for s in request.sentences):
        raise InputInvalid(
            _("Caben {n} frases tuyas, de {characters} caracteres cada una. Quita o acorta alguna.").format(
                n=MOST_SENTENCES, characters=format_number(MOST_CHARACTERS)
            )
        )
    if len(request.context) > 10 * MOST_CHARACTERS or len(request.raw_text) > MOST_RAW_CHARACTERS:
        raise InputInvalid(
            _("El texto sin etiquetas tiene {n} caracteres y aquí caben {limit}. Acórtalo.").format(
                n=format_number(max(len(request.context), len(request.raw_text))),
                limit=format_number(MOST_RAW_CHARACTERS),
            )
        )
    if request.start == "adapted" and 0 < len(request.raw_text.strip()) < LEAST_RAW_CHARACTERS:
        raise InputInvalid(
            _(
                "Para adaptar el modelo hacen falta al menos {limit} caracteres de texto sin etiquetas. Pega más, "
                "o deja el campo vacío: se usarán los textos de tus ejemplos."
            ).format(limit=LEAST_RAW_CHARACTERS)
        )
    return request
