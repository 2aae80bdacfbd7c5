"""From a catalogue entry to a model in memory: finds whole files, loads them safely, refuses half a model."""

import hashlib
import json
import logging
import os
import pickle
import struct
import threading
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cachetools

from core.catalog import ModelEntry
from core.catalog import entry as catalogue_entry
from core.errors import ModelUnavailable
from core.i18n import get_language
from core.i18n import gettext as _
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU, Device, dtype_for
from core.runtime.hub import Located, cached_snapshot, embedded_folder
from core.runtime.imports import first_use
from core.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Any one of these sets of files holds a whole tokenizer.
_TOKENIZERS: Final = (
    ("tokenizer.json",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("vocab.json", "source.spm", "target.spm"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
)
_LONGEST_HEADER: Final = 100 * 2**20
# A body without a head never uses its pooler, and BETO's files hold none.
_UNUSED_IN_A_BODY: Final = "pooler."

_State = tuple[tuple[str, int, int, int], ...]
# Folders that were found whole, in the state they were in.
_whole: Final[cachetools.LRUCache[Hashable, bool]] = cachetools.LRUCache(maxsize=256)
_whole_lock: Final = threading.Lock()

_log = logging.getLogger(__name__)


# --- whole files ------------------------------------------------------------------------------------------


def is_whole_safetensors(file: Path) -> bool:
    """Whether the file is as long as its own header says; reads the header alone, and again when the file changes.

    Source: the safetensors format (8 bytes of header length, the header in JSON, then the tensors).
    """
    state = file.stat()
    return _is_whole(file, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=512)
def _is_whole(file: Path, size: int, _changed: int) -> bool:
    with file.open("rb") as content:
        start = content.read(8)
        if len(start) < 8:
            return False
        (length,) = struct.unpack("<Q", start)
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            return False
        try:
            header = json.loads(content.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
    return bool(ends) and 8 + length + max(ends) == size


def _present(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def weight_files(folder: Path, entry: ModelEntry) -> list[Path]:
    """The files that hold the weights, whether they are there or not; shards are taken from their index."""
    if entry.weights is not None and entry.weights.base:
        return [folder / "adapter_model.safetensors"]
    bin_only = entry.weights is not None and entry.weights.format == "bin"
    name = "pytorch_model.bin" if bin_only else "model.safetensors"
    index = folder / f"{name}.index.json"
    if not (folder / name).is_file() and _present(index):
        with suppress(ValueError, KeyError, AttributeError):
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / shard for shard in sorted(set(shards))]
    return [folder / name]


def _problems(folder: Path, entry: ModelEntry) -> Iterator[str]:
    if not _present(folder / "config.json"):
        yield "config.json"
    if entry.weights is not None and entry.weights.base:
        if not _present(folder / "adapter_config.json"):
            yield "adapter_config.json"
    elif not any(all(_present(folder / name) for name in names) for names in _TOKENIZERS):
        yield "tokenizer.json"
    for file in weight_files(folder, entry):
        if not _present(file):
            yield file.name
        elif file.suffix == ".safetensors" and not is_whole_safetensors(file):
            yield _("{file} (dañado o a medias)").format(file=file.name)


def missing_files(folder: Path, entry: ModelEntry) -> list[str]:
    """What a folder lacks to be the whole model, as words for the reader; empty when nothing."""
    return list(_problems(folder, entry))


def _state(folder: Path) -> _State | None:
    """Each file's name, length, inode and time of change; ``None`` where there is no such folder, or it just changes.

    One look at the folder and one at each file: every request asks for this, often a room at once.
    """
    try:
        with os.scandir(folder) as files:
            return tuple(
                sorted(
                    (file.name, found.st_size, found.st_ino, found.st_mtime_ns)
                    for file in files
                    for found in (file.stat(),)
                )
            )
    except OSError:
        return None


def model_files_complete(folder: Path, entry: ModelEntry) -> bool:
    """Whether ``folder`` holds configuration, tokenizer and all the weights, none of them cut short."""
    state = _state(folder)
    if not state:
        return False
    weights = entry.weights
    known = (folder, state, weights and weights.base, weights and weights.format)
    with _whole_lock:
        if known in _whole:
            return True
    if missing_files(folder, entry):
        return False
    with _whole_lock:
        _whole[known] = True
    return True


def _folders(entry: ModelEntry, settings: Settings) -> Iterator[Located]:
    # What is embedded for some reference models is their vocabulary alone.
    ships = entry.weights is not None and entry.weights.download_mib == 0
    folder = embedded_folder(entry) if ships else None
    if folder:
        yield Located(folder, "embedded")
    if settings.models_dir:
        yield Located(settings.models_dir.joinpath(*entry.id.split("/")), "models_dir")
    if entry.tier == "reference":
        snapshot = cached_snapshot(entry.id, entry.weights.revision if entry.weights else None)
        if snapshot:
            yield Located(snapshot, "hub_cache")


def locate_model(entry: ModelEntry, settings: Settings) -> Located | None:
    """Finds a folder that holds the whole model; never contacts the hub. ``None`` if there is none."""
    if entry.weights is None:
        return None
    if any(locate_model(catalogue_entry(key), settings) is None for key in entry.weights.needs):
        return None
    return next((place for place in _folders(entry, settings) if model_files_complete(place.folder, entry)), None)


def files_revision(entry: ModelEntry, settings: Settings) -> str:
    """Stands for the very files that loading ``entry`` would read now; empty where they aren't all there.

    Of the folder and each file's name, length, inode and time of change, which takes less than a millisecond: other
    files, a newer commit of the hub or another folder give another value, and so does writing the same ones again.
    """
    place = locate_model(entry, settings)
    if place is None:
        return ""
    state = _state(place.folder)
    if state is None:  # somebody is at it
        return ""
    found = hashlib.sha256(str(place.folder).encode("utf-8", "surrogateescape"))
    for name, *numbers in state:
        found.update(f"\0{name} {' '.join(map(str, numbers))}".encode(errors="replace"))
    for key in entry.weights.needs if entry.weights is not None else ():
        found.update(files_revision(catalogue_entry(key), settings).encode())
    return found.hexdigest()[:16]


def why_absent(entry: ModelEntry, settings: Settings) -> str:
    """A sentence for the reader: why the model can't be loaded, and what to do."""
    name = entry.name(get_language())
    if entry.weights is None:
        return _("De {name} esta aplicación usa solo el tokenizador, no los pesos.").format(name=name)
    for key in entry.weights.needs:
        if locate_model(catalogue_entry(key), settings) is None:
            return why_absent(catalogue_entry(key), settings)
    for place in _folders(entry, settings):
        if place.folder.is_dir() and any(place.folder.iterdir()):
            return _(
                "{name} está incompleto en este equipo: falta {files}. Descárgalo en la página Sistema, "
                "que sigue donde quedó, o copia de nuevo la carpeta «{id}»."
            ).format(name=name, files=", ".join(missing_files(place.folder, entry)), id=entry.id)
    return _(
        "{name} no está en este equipo. Descárgalo en la página Sistema o copia la carpeta «{id}» dentro de la "
        "carpeta de modelos (TALLER_MODELS_DIR)."
    ).format(name=name, id=entry.id)


# --- loading ----------------------------------------------------------------------------------------------


def expected_bytes(entry: ModelEntry, bytes_per_number: int) -> int:
    """About how much memory the weights will take, in bytes; 0 when the catalogue doesn't know."""
    return entry.weights.parameters * bytes_per_number if entry.weights else 0


def tensor_bytes(model: "PreTrainedModel") -> int:
    """Bytes of all parameters and buffers; tensors that share their memory count once."""
    storages = {
        storage.data_ptr(): storage.nbytes()
        for tensor in (*model.parameters(), *model.buffers())
        for storage in (tensor.untyped_storage(),)
    }
    return sum(storages.values())


def _read_weights(entry: ModelEntry, folder: Path, device: Device) -> "PreTrainedModel":
    import torch
    import transformers

    assert entry.weights is not None
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    auto = getattr(transformers, f"AutoModelFor{entry.weights.head}" if entry.weights.head else "AutoModel")
    name = entry.name(get_language())
    try:
        model, info = auto.from_pretrained(
            str(folder),
            dtype=dtype_for(device),
            use_safetensors=entry.weights.format == "safetensors",
            weights_only=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except pickle.UnpicklingError as error:
        raise ModelUnavailable(
            _(
                "El archivo de pesos de {name} contiene algo más que números, y por seguridad no se abre. "
                "Bórralo y vuelve a descargarlo de su página original."
            ).format(name=name)
        ) from error
    except Exception as error:
        _log.warning("loading %s from %s failed: %s: %s", entry.id, folder, type(error).__name__, error)
        if "Unrecognized configuration class" in str(error):
            raise ModelUnavailable(
                _("La carpeta de {name} contiene otro tipo de modelo, que no sirve para esta tarea: {folder}").format(
                    name=name, folder=folder.name
                )
            ) from error
        raise ModelUnavailable(
            _(
                "Los archivos de {name} están dañados o no son los de este modelo. Bórralos y vuelve a descargarlos: "
                "{folder}"
            ).format(name=name, folder=folder.name)
        ) from error
    absent = set(info["missing_keys"]) | {str(key) for key in info["mismatched_keys"]}
    if absent and not _does_without(model, entry.weights.head, absent):
        raise ModelUnavailable(
            _(
                "A los archivos de {name} les faltan {n} pesos ({first}…): esa parte respondería al azar, "
                "así que no se usa. Vuelve a descargarlo o elige otro modelo."
            ).format(name=name, n=len(absent), first=min(absent))
        )
    loaded: PreTrainedModel = model
    return loaded


@contextmanager
def _unreported() -> Iterator[None]:
    """The library says nothing meanwhile of weights that a file lacks or has besides: the caller looks for itself."""
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    level = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers.utils.logging.set_verbosity(level)


# Peft's name for the embeddings of single pieces; it calls them a delta, but they are the embeddings themselves.
_ROWS: Final = ".token_adapter.trainable_tokens_delta"


def _take_in(model: Any, adapter: Path, *, half: str = "") -> set[str]:
    """Merges a LoRA adapter into a model's weights, and puts in what the adapter brings besides.

    The files are in the layout of the peft library, whose import alone would take longer than all of this.

    Args:
        model: changed in place.
        adapter: its folder.
        half: of an encoder-decoder, the one that an adapter of a whole encoder is for; its head is left out.

    Returns:
        The names of the weights that were put in whole.

    Raises:
        ModelUnavailable: the adapter is another model's.
    """
    import torch
    from safetensors.torch import load_file

    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    scale = settings["lora_alpha"] / settings["r"]
    brought = {
        name.removeprefix("base_model.model."): weight
        for name, weight in load_file(adapter / "adapter_model.safetensors").items()
    }
    if half:
        inner = {name.partition(".")[2]: weight for name, weight in brought.items()}
        brought = {f"{half}.{name}": weight for name, weight in inner.items() if name.startswith("encoder.")}
    weights = dict(model.named_parameters())
    changed: set[str] = set()
    try:
        with torch.no_grad():
            for name, weight in brought.items():
                if name.endswith(".lora_A.weight"):
                    module = name.removesuffix(".lora_A.weight")
                    down, up = weight.float(), brought[f"{module}.lora_B.weight"].float()
                    weights[f"{module}.weight"] += scale * (up @ down)  # (out, rank) @ (rank, in)
                elif name.endswith(_ROWS):
                    module = name.removesuffix(_ROWS)
                    rows = settings["trainable_token_indices"][module.rpartition(".")[2]]
                    weights[f"{module}.weight"][rows] = weight.float()
                elif not name.endswith(".lora_B.weight"):
                    weights[name].copy_(weight.float())
                    changed.add(name)
    except (KeyError, RuntimeError) as error:
        raise ModelUnavailable(
            _("Los archivos de «{name}» no son de este modelo base. Instala de nuevo la aplicación.").format(
                name=adapter.name
            )
        ) from error
    return changed


def _does_without(model: Any, head: str | None, absent: Iterable[str]) -> bool:
    """Whether the weights that its files lack are those of a body's pooler alone, which then is taken out."""
    if head is not None or not all(name.startswith(_UNUSED_IN_A_BODY) for name in absent):
        return False
    model.pooler = None
    return True


def with_adapter(base: Path, adapter: Path, head: str | None, device: Device = CPU) -> "PreTrainedModel":
    """An encoder with a LoRA adapter merged into its weights, and the adapter's head on top.

    Args:
        base: the encoder's folder.
        adapter: the folder of ``adapter_model.safetensors``, ``adapter_config.json`` and ``config.json``.
        head: suffix of the Auto class; ``None`` for the body alone.
        device: for the number format.

    Raises:
        ModelUnavailable: the adapter doesn't bring all of the head, or doesn't fit the encoder.
    """
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(str(adapter), local_files_only=True)
    auto = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    # The head is missing: it comes from the adapter, and that is checked below.
    with _unreported():
        model, info = auto.from_pretrained(
            str(base),
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    changed = _take_in(model, adapter)
    # Tied weights are one tensor under two names, of which named_parameters lists the first.
    own = {name for name, _weight in model.named_parameters()}
    absent = (own & set(info["missing_keys"])) - changed
    if absent and not _does_without(model, head, absent):
        raise ModelUnavailable(
            _("A los archivos de «{name}» les faltan pesos ({first}…), así que no se usan.").format(
                name=adapter.name, first=min(absent)
            )
        )
    loaded: PreTrainedModel = model.to(dtype_for(device))
    return loaded


def _adds_layer(encoder: Any, layer: int) -> None:
    """Lets an encoder's last states be the sum of its last layer's and of a lower one's."""

    def asks(_encoder: Any, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, {**options, "output_hidden_states": True}

    def adds(_encoder: Any, _args: tuple[Any, ...], read: Any) -> Any:
        read.last_hidden_state = read.last_hidden_state + read.hidden_states[layer]
        return read

    encoder.register_forward_pre_hook(asks, with_kwargs=True)
    encoder.register_forward_hook(adds)


def with_encoder(
    encoder: Path, decoder: Path, layers: int, *, also: int = 0, adapter: Path | None = None
) -> "PreTrainedModel":
    """An encoder-decoder whose two halves are in folders of their own, in single precision.

    Args:
        encoder: the folder of a BERT.
        decoder: the folder of a BERT that writes, with cross-attention.
        layers: how many of the encoder's layers the decoder reads, from the bottom.
        also: a lower layer whose states are added to those of the uppermost; 0 for none.
        adapter: the folder of an adapter that is merged into the encoder.

    Raises:
        ModelUnavailable: a weight is missing, or the files are those of another model.
    """
    import torch
    import transformers

    causal: Any = transformers.AutoModelForCausalLM
    options: dict[str, Any] = {
        "dtype": torch.float32,
        "use_safetensors": True,
        "local_files_only": True,
        "output_loading_info": True,
    }
    try:
        # The encoder's upper layers are left over, as they are meant to be.
        with _unreported():
            reading, read = transformers.AutoModel.from_pretrained(
                str(encoder), num_hidden_layers=layers, add_pooling_layer=False, **options
            )
            writing, written = causal.from_pretrained(str(decoder), **options)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        raise ModelUnavailable(
            _("Los archivos de «{name}» no son de este modelo base. Instala de nuevo la aplicación.").format(
                name=decoder.name
            )
        ) from error
    absent = sorted({*read["missing_keys"], *written["missing_keys"]})
    if absent:
        raise ModelUnavailable(
            _("A los archivos de «{name}» les faltan pesos ({first}…), así que no se usan.").format(
                name=decoder.name, first=absent[0]
            )
        )
    if also:
        _adds_layer(reading, also)
    model = transformers.EncoderDecoderModel(encoder=reading, decoder=writing)
    if adapter is not None:
        _take_in(model, adapter, half="encoder")
    return model


def _start_with(model: Any, tokenizer: Any, start: str) -> None:
    """Tells an encoder-decoder which token its decoder begins with, and which ones end and fill up."""
    marks = {
        "decoder_start_token_id": tokenizer.convert_tokens_to_ids(start),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    model.config.update(marks)
    model.generation_config.update(**marks)


def _kind(folder: Path) -> str:
    """The family that a folder's ``config.json`` names, such as ``"bert"``; empty if it names none."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _needed(key: str | None, settings: Settings) -> Path | None:
    """The folder of a model that another one needs, by its key; ``None`` for none."""
    if key is None:
        return None
    found = locate_model(catalogue_entry(key), settings)
    assert found is not None  # or the one that needs it would not have been located
    return found.folder


def load_bundle(entry: ModelEntry, settings: Settings, device: Device) -> ModelBundle:
    """Loads a model that is on this machine.

    safetensors wherever the catalogue says that the repository has them; ``pytorch_model.bin`` only for
    entries that have nothing else, and then with ``weights_only=True``. Code from a repository never runs.

    Raises:
        ModelUnavailable: it isn't here, is damaged, lacks weights, or is another kind of model.
        torch.OutOfMemoryError: it doesn't fit on ``device``; ``MemoryError`` on the CPU.
    """
    place = locate_model(entry, settings)
    if place is None:
        raise ModelUnavailable(why_absent(entry, settings))
    import torch

    weights = entry.weights
    # An adapter's base says which encoder they share.
    home = catalogue_entry(weights.base).weights if weights is not None and weights.base else weights
    assert weights is not None and home is not None  # or it would not have been located
    base = _needed(weights.base, settings)
    folder = base or place.folder
    # Whoever asks first may be computing in inference mode; weights made there could never be asked for gradients.
    with first_use(f"model {weights.head} {_kind(place.folder)}"), torch.inference_mode(False):
        half = _needed(home.encoder, settings)
        if half is not None:
            adapter = _needed(weights.encoder_adapter, settings)
            model = with_encoder(half, folder, weights.encoder_layers, also=weights.encoder_also, adapter=adapter)
            if base is not None:
                _take_in(model, place.folder)
            model = model.to(dtype_for(device))  # type: ignore[arg-type]
        elif base is not None:
            model = with_adapter(base, place.folder, weights.head, device)
        else:
            model = _read_weights(entry, folder, device)
        model = model.to(torch.device(device.name)).eval()  # type: ignore[arg-type]
    try:
        # Nothing of a repository's own code is run, and nothing is asked of the network.
        options = {"trust_remote_code": False, "local_files_only": True}
        with first_use(f"tokenizer {_kind(folder)}"):
            from transformers import AutoTokenizer

            tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), **options)
    except Exception as error:
        raise ModelUnavailable(
            _("El tokenizador de {name} no se puede leer. Borra sus archivos y vuelve a descargarlos: {folder}").format(
                name=entry.name(get_language()), folder=place.folder.name
            )
        ) from error
    if weights.start:
        _start_with(model, tokenizer, weights.start)
    return ModelBundle(
        entry=entry,
        model=model,
        tokenizer=tokenizer,
        device=device,
        dtype=str(model.dtype).removeprefix("torch."),
        bytes=tensor_bytes(model),
        source=place.source,
        folder=place.folder,
    )
