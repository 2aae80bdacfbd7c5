"""The catalogue: which models and tokenizers the app knows, read from ``models.toml`` into frozen types."""

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

Tier = Literal["workshop", "reference"]
Architecture = Literal["encoder", "decoder", "encoder-decoder"]
WeightFormat = Literal["safetensors", "bin"]

# What a model can be asked to do. "tokenization": its tokenizer is compared on the Tokenización page.
TASKS: Final = (
    "tokenization",
    "fill-mask",
    "next-sentence",
    "sentiment",
    "ner",
    "question-answering",
    "summarization",
    "translation-en-es",
    "translation-es-en",
    "text-generation",
    "text2text",
    "zero-shot",
    "similarity",
    "embeddings",
    "coreference",
)

CATALOGUE_FILE: Final = Path(__file__).with_name("models.toml")
MODELS_FOLDER: Final = Path(__file__).resolve().parents[1] / "models"


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """What is known of a model's tokenizer before it is loaded.

    Attributes:
        class_name: the transformers class, such as ``"BertTokenizer"``.
        algorithm: ``"WordPiece"``, ``"BPE"`` or ``"Unigram"``.
        vocabulary: number of pieces, added tokens included.
        files: file names to fetch from the hub for the tokenizer alone.
        download_mib: about how much that is, in MiB.
    """

    class_name: str
    algorithm: str
    vocabulary: int
    files: tuple[str, ...]
    download_mib: float


@dataclass(frozen=True, slots=True)
class WeightsSpec:
    """What is known of a model's weights before they are loaded.

    Attributes:
        head: suffix of the Auto class, such as ``"MaskedLM"``; ``None`` for the bare body (``AutoModel``).
        format: ``"bin"`` where the repository holds nothing but ``pytorch_model.bin``.
        files: names or patterns (``fnmatch``) of all that is fetched from the hub, tokenizer included.
        parameters: how many, tied ones counted once.
        download_mib: about how much is fetched, in MiB; 0 for a model that ships.
        revision: the commit that is fetched; ``None`` for the newest.
        base: for an adapter, the key of the encoder that it changes; ``None`` for a whole model.
        encoder: for a decoder whose encoder ships as a model of its own, that model's key.
        encoder_layers: how many of the encoder's layers it reads, from the bottom.
        encoder_also: a lower layer whose states are added to those of the uppermost one that it reads; 0 for none.
        encoder_adapter: the key of an adapter with which the encoder reads.
        start: the token that such a decoder begins with.
    """

    head: str | None
    format: WeightFormat
    files: tuple[str, ...]
    parameters: int
    download_mib: float
    revision: str | None
    base: str | None = None
    encoder: str | None = None
    encoder_layers: int = 0
    encoder_also: int = 0
    encoder_adapter: str | None = None
    start: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of the models without which this one is none: what an adapter changes, a decoder's encoder."""
        return tuple(key for key in (self.base, self.encoder, self.encoder_adapter) if key)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the catalogue; the fields are described at the top of ``models.toml``.

    Outside that file ``embedded`` may also be ``"folder:PATH"``, for a model that a visitor has tuned.
    """

    key: str
    id: str
    names: dict[str, str]
    tier: Tier
    languages: tuple[str, ...]
    licence: str
    window: int
    embedded: str | None
    teaches: dict[str, str]
    limits: dict[str, str]
    architecture: Architecture
    tasks: tuple[str, ...]
    verified: bool
    tokenizer: TokenizerSpec
    weights: WeightsSpec | None

    def name(self, language: str) -> str:
        """The name a person reads, in ``language`` (``"es"`` or ``"en"``)."""
        return self.names[language]


def _read_weights(raw: dict[str, Any]) -> WeightsSpec:
    return WeightsSpec(
        head=raw.get("head"),
        format=cast(WeightFormat, raw["format"]),
        files=tuple(raw["files"]),
        parameters=raw["parameters"],
        download_mib=float(raw["download_mib"]),
        revision=raw.get("revision"),
        base=raw.get("base"),
        encoder=raw.get("encoder"),
        encoder_layers=raw.get("encoder_layers", 0),
        encoder_also=raw.get("encoder_also", 0),
        encoder_adapter=raw.get("encoder_adapter"),
        start=raw.get("start", ""),
    )


def _read_entry(raw: dict[str, Any]) -> ModelEntry:
    spec = raw["tokenizer"]
    return ModelEntry(
        key=raw["key"],
        id=raw["id"],
        names={"es": raw["name_es"], "en": raw["name_en"]},
        tier=cast(Tier, raw["tier"]),
        languages=tuple(raw["languages"]),
        licence=raw["licence"],
        window=raw["window"],
        embedded=raw.get("embedded"),
        teaches={"es": raw["teaches_es"], "en": raw["teaches_en"]},
        limits={"es": raw.get("limits_es", ""), "en": raw.get("limits_en", "")},
        architecture=cast(Architecture, raw["architecture"]),
        tasks=tuple(raw["tasks"]),
        verified=raw.get("verified", False),
        tokenizer=TokenizerSpec(
            class_name=spec["class"],
            algorithm=spec["algorithm"],
            vocabulary=spec["vocabulary"],
            files=tuple(spec["files"]),
            download_mib=float(spec["download_mib"]),
        ),
        weights=_read_weights(raw["weights"]) if "weights" in raw else None,
    )


@cache
def entries() -> dict[str, ModelEntry]:
    """All entries by key, in the file's order."""
    with CATALOGUE_FILE.open("rb") as file:
        raw = tomllib.load(file)["model"]
    read = [_read_entry(item) for item in raw]
    return {entry.key: entry for entry in read}


def entry(key: str) -> ModelEntry:
    """One entry.

    Raises:
        KeyError: the catalogue has no such key.
    """
    return entries()[key]


@dataclass(frozen=True, slots=True)
class Score:
    """How good a shipped model is: the test set, the measure (``"accuracy"``, ``"f1"`` …), from 0 to 1, and n."""

    test: str
    metric: str
    value: float
    n: int


@cache
def scores(key: str) -> tuple[Score, ...]:
    """What a model that ships scores on text that it never saw, as on its card; empty for all other models.

    Of a translator's card, which has both directions, those of the entry's own; so, too, of a writer's two languages.
    """
    item = entries()[key]
    embedded = item.embedded or ""
    own = [task.removeprefix("translation-").replace("-", "→") for task in item.tasks if "translation" in task]
    if "text2text" in item.tasks:
        own = [f", {language}" for language in item.languages]
    file = MODELS_FOLDER / embedded.removeprefix("core:") / "scores.json"
    if not embedded.startswith("core:") or not file.is_file():
        return ()
    rows = json.loads(file.read_text(encoding="utf-8")).get("tests", ())
    return tuple(
        Score(row["name"], row["metric"], row["score"], row["n"])
        for row in rows
        if not own or row["name"].endswith(tuple(own))
    )


def entries_for(
    task: str | None = None,
    language: str | None = None,
    tier: Tier | None = None,
) -> list[ModelEntry]:
    """The entries that serve ``task`` in ``language`` and belong to ``tier``; ``None`` leaves a filter open."""
    return [
        item
        for item in entries().values()
        if (task is None or task in item.tasks)
        and (language is None or language in item.languages)
        and (tier is None or item.tier == tier)
    ]


def tokenizer_entries() -> dict[str, ModelEntry]:
    """The entries whose tokenizers the Tokenización page compares, by key."""
    return {item.key: item for item in entries_for(task="tokenization")}


def free_entry(model_id: str) -> ModelEntry:
    """An entry for a model outside the catalogue, of which nothing is known but its id.

    Args:
        model_id: ``"org/name"``, or ``"org/name#MaskedLM"`` to load it with that head.
    """
    name, _hash, head = model_id.partition("#")
    return ModelEntry(
        key=model_id,
        id=name,
        names={"es": name, "en": name},
        tier="reference",
        languages=("es", "en"),
        licence="unstated",
        window=512,
        embedded=None,
        teaches={"es": "", "en": ""},
        limits={"es": "", "en": ""},
        architecture="encoder",
        tasks=(),
        verified=False,
        tokenizer=TokenizerSpec("AutoTokenizer", "", 0, (), 0.0),
        # A repository that nobody has looked at gives weights as safetensors or not at all.
        weights=WeightsSpec(head or None, "safetensors", (), 0, -1.0, None),
    )
