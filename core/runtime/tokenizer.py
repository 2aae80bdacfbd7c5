"""Loaded tokenizers, shared by every visitor: the Rust object, its lock, and the store that loads each once."""

import json
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tokenizers import Encoding, Tokenizer

from core.catalog import ModelEntry, entry
from core.errors import ModelUnavailable
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.runtime.hub import Fetcher, FetchState, Source, locate
from core.runtime.imports import first_use
from core.settings import Settings


@dataclass(frozen=True)
class TokenizerBundle:
    """A tokenizer that was loaded from a folder.

    Attributes:
        key: the catalogue's short name, such as ``"beto-cased"``.
        name: what a person reads, such as ``"BETO (cased)"``.
        backend: the Rust tokenizer, without truncation or padding.
        path: the folder it came from; ``None`` for one made in memory.
        source: where that folder was found.
        window: the model's context window in tokens; ``None`` if it has no fixed one.
        lock: held by every call that touches ``backend``: truncation and padding are state on the shared
            object, and two threads that set them differently get wrong lengths without an error.
    """

    key: str
    name: str
    backend: Tokenizer
    path: Path | None = None
    source: Source = "memory"
    window: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def encode(self, text: str, *, add_special_tokens: bool = True) -> Encoding:
        """Encodes one text. Offsets are in characters (code points) of ``text``."""
        with self.lock:
            return self.backend.encode(text, add_special_tokens=add_special_tokens)

    def encode_batch(self, texts: list[str], *, add_special_tokens: bool = True) -> list[Encoding]:
        """Encodes many texts in parallel (Rust threads)."""
        with self.lock:
            return self.backend.encode_batch(texts, add_special_tokens=add_special_tokens)

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The loaded object's ``tokenizer.json``, parsed: normalizer, pre_tokenizer, model, added_tokens …"""
        with self.lock:
            definition: dict[str, Any] = json.loads(self.backend.to_str())
        return definition

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Piece → id, added tokens included."""
        with self.lock:
            return self.backend.get_vocab(with_added_tokens=True)

    @cached_property
    def special_tokens(self) -> frozenset[str]:
        """The texts of the special tokens ([CLS], <s>, <|endoftext|> …)."""
        return frozenset(t["content"] for t in self.definition.get("added_tokens", []) if t["special"])

    @property
    def algorithm(self) -> str:
        """``"WordPiece"``, ``"BPE"`` or ``"Unigram"`` (or what else the file names)."""
        return str(self.definition["model"]["type"])


def load_tokenizer(folder: Path, model: ModelEntry, source: Source) -> TokenizerBundle:
    """Loads the tokenizer of ``model`` from ``folder`` with the class that AutoTokenizer would choose.

    AutoTokenizer itself imports torch, which takes seconds; the class alone doesn't.

    Raises:
        ModelUnavailable: the files are there but can't be read.
    """
    try:
        with first_use(model.tokenizer.class_name):
            import transformers

            tokenizer = getattr(transformers, model.tokenizer.class_name).from_pretrained(str(folder))
        backend: Tokenizer = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
    except Exception as error:
        raise ModelUnavailable(
            _(
                "Los archivos del tokenizador de {name} no se pueden leer. Bórralos y vuelve a bajarlos: {folder}"
            ).format(name=model.name(get_language()), folder=folder.name)
        ) from error
    return TokenizerBundle(
        key=model.key,
        name=model.name("es"),
        backend=backend,
        path=folder,
        source=source,
        window=model.window,
    )


Availability = Literal["ready", "fetching", "absent"]


class TokenizerStore:
    """One copy of each tokenizer a process, loaded on first use and kept (the whole catalogue is small)."""

    def __init__(self, settings: Settings, fetcher: Fetcher | None = None) -> None:
        self._settings = settings
        self.fetcher = fetcher or Fetcher(settings)
        self._bundles: dict[str, TokenizerBundle] = {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def on_disk(self, key: str) -> bool:
        """Whether the tokenizer can be had without the network."""
        return key in self._bundles or locate(entry(key), self._settings) is not None

    def get(self, key: str) -> TokenizerBundle:
        """The tokenizer ``key``, loaded if need be by the first who asks while the others wait.

        Raises:
            ModelUnavailable: it isn't on this machine, or its files can't be read.
            KeyError: the catalogue doesn't know ``key``.
        """
        model = entry(key)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._bundles:
                found = locate(model, self._settings)
                if found is None:
                    raise ModelUnavailable(self.why_absent(key))
                self._bundles[key] = load_tokenizer(found.folder, model, found.source)
            return self._bundles[key]

    def request(self, keys: list[str], wait_s: float) -> dict[str, Availability]:
        """Makes sure that each of ``keys`` is here or on its way, waiting at most ``wait_s`` seconds."""
        missing = [entry(key) for key in keys if not self.on_disk(key)]
        for model in missing:
            self.fetcher.start(model)
        self.fetcher.wait(missing, wait_s)
        return {key: self._availability(key) for key in keys}

    def _availability(self, key: str) -> Availability:
        if self.on_disk(key):
            return "ready"
        return "fetching" if self.fetcher.state(entry(key)).status == "running" else "absent"

    def why_absent(self, key: str) -> str:
        """A sentence for the reader: what is missing, why, and how to get it."""
        model = entry(key)
        return _why(self.fetcher.state(model), model)


def _why(state: FetchState, model: ModelEntry) -> str:
    name = model.name(get_language())
    how = _(
        "Para usarlo sin internet, copia la carpeta «{id}» dentro de la carpeta de modelos (TALLER_MODELS_DIR)."
    ).format(id=model.id)
    if state.status == "running":
        return _("{name}: bajando unos {size} MiB del hub…").format(
            name=name, size=format_number(model.tokenizer.download_mib, 1)
        )
    match state.reason:
        case "offline":
            why = _("{name} no está en este equipo y la aplicación trabaja sin conexión.").format(name=name)
        case "not_found":
            why = _("{name}: el hub no tiene (o ya no tiene) ese modelo.").format(name=name)
        case "disk":
            why = _("{name}: no queda espacio en el disco para bajarlo.").format(name=name)
        case "incomplete":
            why = _("{name}: al hub le faltan archivos de este tokenizador.").format(name=name)
        case "unreachable":
            why = _("{name} no está en este equipo y el hub de modelos no responde.").format(name=name)
        case _:
            why = _("{name} no está en este equipo.").format(name=name)
    return f"{why} {how}"
