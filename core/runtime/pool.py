"""The loaded models: one copy a process and device, shared by all sessions, within a budget of bytes.

Who wants a model takes it with ``pool.use(key)``; as long as the ``with`` block lasts it can't be evicted.
The first who asks loads it while the others wait; a load that fails is told to all who wait, and tried
again at the next request. When room is needed, the idle model that was used longest ago goes. A model whose files
were replaced is loaded anew for the next who asks; whoever computes with the old one ends with it.
"""

import ctypes
import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

import cachetools

from core.catalog import ModelEntry, entries, free_entry
from core.errors import ModelUnavailable, OutOfMemory, TallerError
from core.i18n import format_number, get_language
from core.i18n import gettext as _
from core.runtime import garbage
from core.runtime.bundle import ModelBundle
from core.runtime.device import CPU, Device, bytes_per_number, free_bytes, pick_device
from core.runtime.events import Event, events
from core.runtime.loading import expected_bytes, files_revision, load_bundle
from core.settings import Settings

State = Literal["absent", "loading", "ready", "failed"]
Loader = Callable[[ModelEntry, Settings, Device], ModelBundle]

MIB: Final = 2**20
# What a forward pass of a workshop's sentence needs besides the weights; room that loading leaves free.
HEADROOM_BYTES: Final = 256 * MIB

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One model in memory, as the system page lists it.

    Attributes:
        key: its key in the catalogue.
        name: its id on the hub.
        device: where it is, such as ``"cuda:0"``.
        dtype: the format of its weights.
        bytes: memory that they take.
        uses: how often it was taken since it was loaded.
        in_use: by how many it is held now.
        last_used: seconds since 1970.
        load_s: how long loading took, in seconds.
        note: a sentence if something is not as usual.
    """

    key: str
    name: str
    device: str
    dtype: str
    bytes: int
    uses: int
    in_use: int
    last_used: float
    load_s: float
    note: str


class _Slot:
    """A model in memory and its book-keeping, guarded by the pool's lock."""

    def __init__(self, bundle: ModelBundle, revision: str, load_s: float, turn: int) -> None:
        self.bundle = bundle
        self.revision = revision
        self.eager: ModelBundle | None = None
        self.load_s = load_s
        self.turn = turn
        self.uses = 0
        self.in_use = 0
        self.last_used = time.time()


class _Shelf(cachetools.Cache[str, _Slot]):
    """A cache in bytes that gives up the idle model used longest ago, and never one in use."""

    def __init__(self, maxsize: int, on_evict: Callable[[_Slot], None]) -> None:
        super().__init__(maxsize, getsizeof=lambda slot: slot.bundle.bytes)
        self._on_evict = on_evict

    def idle(self) -> list[str]:
        """Keys of what nobody uses, longest unused first."""
        return sorted((key for key, slot in self.items() if not slot.in_use), key=lambda key: self[key].turn)

    def popitem(self) -> tuple[str, _Slot]:
        """Takes out the idle model used longest ago.

        Raises:
            KeyError: all are in use.
        """
        idle = self.idle()
        if not idle:
            raise KeyError("all models are in use")
        slot = self.pop(idle[0])
        self._on_evict(slot)
        return idle[0], slot


def give_memory_back() -> None:
    """Returns to the system and the card what dropped models took."""
    garbage.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        # The C library keeps freed blocks for itself unless it is asked.
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):  # musl has neither that name nor that function
            _log.debug("this C library can't be asked to return memory")


class ModelPool:
    """The process's models.

    Args:
        settings: device, memory share, folders.
        device: where models go; by default what ``pick_device`` finds at the first use.
        load: how an entry becomes a bundle (tests give one that fails on purpose).
        more: finds the entry of a key that isn't in the catalogue; ``None`` for keys that it doesn't know. It raises
            ``ModelUnavailable`` for a model that was deleted.
    """

    def __init__(
        self,
        settings: Settings,
        device: Device | None = None,
        load: Loader = load_bundle,
        more: Callable[[str], ModelEntry | None] = lambda _key: None,
    ) -> None:
        self._settings = settings
        self._device = device
        self._load = load
        self._more = more
        self._lock = threading.RLock()
        # Loads go one after another: two at once would each count on the same free memory.
        self._loading = threading.Lock()
        self._shelves: dict[Device, _Shelf] = {}
        self._pending: dict[tuple[Device, str], Future[None]] = {}
        self._failures: dict[str, str] = {}
        self._turns = itertools.count()

    # --- what others see ----------------------------------------------------------------------------------

    @property
    def device(self) -> Device:
        """Where models go. Finding out imports torch.

        Raises:
            ModelUnavailable: ``TALLER_DEVICE`` names a device that isn't there.
        """
        with self._lock:
            if self._device is None:
                self._device = pick_device(self._settings)
            return self._device

    @property
    def known_device(self) -> Device | None:
        """``device`` if it was asked for already; never imports torch."""
        return self._device

    def loaded(self) -> list[LoadedModel]:
        """All models in memory, last used first."""
        with self._lock:
            slots = [(key, slot) for shelf in self._shelves.values() for key, slot in shelf.items()]
            slots.sort(key=lambda pair: -pair[1].turn)
            return [
                LoadedModel(
                    key=key,
                    name=slot.bundle.entry.id,
                    device=slot.bundle.device.name,
                    dtype=slot.bundle.dtype,
                    bytes=slot.bundle.bytes,
                    uses=slot.uses,
                    in_use=slot.in_use,
                    last_used=slot.last_used,
                    load_s=slot.load_s,
                    note=slot.bundle.note,
                )
                for key, slot in slots
            ]

    def state(self, key: str) -> State:
        """How the model ``key`` stands, on whatever device."""
        with self._lock:
            if any(key in shelf for shelf in self._shelves.values()):
                return "ready"
            if any(pending == key for _device, pending in self._pending):
                return "loading"
            return "failed" if key in self._failures else "absent"

    def failure(self, key: str) -> str | None:
        """Why the last load of ``key`` failed; ``None`` if it didn't."""
        with self._lock:
            return self._failures.get(key)

    def revision(self, key: str) -> str:
        """Which weights answer to ``key`` from now on: what was computed with others must not be shown for them.

        Empty where this machine has none, as for a model that was deleted.
        """
        now = self._files(key)
        if now:
            return now
        # The files went while it was in memory, or are just being copied: it goes on answering.
        with self._lock:
            return next((shelf[key].revision for shelf in self._shelves.values() if key in shelf), "")

    def _files(self, key: str) -> str:
        try:
            return files_revision(self._entry(key), self._settings)
        except ModelUnavailable:
            return ""

    def used_bytes(self, device: Device | None = None) -> int:
        """Memory that the models take, on one device or all."""
        with self._lock:
            return sum(int(shelf.currsize) for place, shelf in self._shelves.items() if device in (None, place))

    def budget_bytes(self, device: Device | None = None) -> int:
        """Memory that models may take on ``device`` (by default the pool's)."""
        place = device or self.device
        with self._lock:
            return int(self._shelf(place).maxsize)

    # --- taking a model -----------------------------------------------------------------------------------

    @contextmanager
    def use(self, key: str, *, attention: bool = False, device: Device | None = None) -> Iterator[ModelBundle]:
        """Holds a model for the length of a ``with`` block, loading it first if need be.

        Args:
            key: its key in the catalogue; with ``TALLER_ALLOW_ANY_MODEL``, also an id such as ``org/name`` or
                ``org/name#MaskedLM``.
            attention: a view that computes attention weights.
            device: somewhere else than the pool's own device.

        Raises:
            ModelUnavailable: it isn't in the catalogue or on this machine, is damaged or incomplete.
            OutOfMemory: there is no room, even on the CPU.
        """
        slot = self._take(key, device or self.device)
        try:
            yield self._view(slot, attention)
        finally:
            with self._lock:
                slot.in_use -= 1

    def _view(self, slot: _Slot, attention: bool) -> ModelBundle:
        if not attention:
            return slot.bundle
        with self._lock:
            if slot.eager is None:
                slot.eager = slot.bundle.with_attention()
            return slot.eager

    def _shelf(self, device: Device) -> _Shelf:
        if device not in self._shelves:
            budget = int(free_bytes(device) * self._settings.memory_fraction)
            self._shelves[device] = _Shelf(budget, self._evicted)
        return self._shelves[device]

    def _take(self, key: str, device: Device) -> _Slot:
        self._still_there(key)
        loaded = False
        while True:
            if not loaded:
                self._drop_replaced(key)
            with self._lock:
                slot = self._find(key, device)
                if slot is not None:
                    slot.uses += 1
                    slot.in_use += 1
                    slot.turn = next(self._turns)
                    slot.last_used = time.time()
                    return slot
                pending = self._pending.get((device, key))
                mine = pending is None
                if pending is None:
                    pending = self._pending[device, key] = Future()
            if mine:
                self._load_for_all(key, device, pending)
            # Raises what went wrong, in every thread that waits. Otherwise the model is on its shelf.
            pending.result()
            loaded = True  # files that change all the time must not keep it from being used

    def _drop_replaced(self, key: str) -> None:
        """Takes a model off its shelf when other files stand in its place."""
        with self._lock:
            kept = {shelf[key].revision for shelf in self._shelves.values() if key in shelf}
        now = self._files(key) if kept else ""
        if now and kept != {now}:
            _log.info("the files of %s were replaced", key)
            self.forget(key)

    def _find(self, key: str, device: Device) -> _Slot | None:
        slot = self._shelf(device).get(key)
        if slot is None and device != CPU and CPU in self._shelves:
            # It did not fit on the card when it was loaded; it stays where it is until it is evicted.
            slot = self._shelves[CPU].get(key)
            slot = slot if slot is not None and slot.bundle.note else None
        return slot

    def _still_there(self, key: str) -> None:
        """A visitor's own model may have been deleted since it was loaded, perhaps by another process of the app."""
        if key in entries():
            return
        try:
            self._more(key)
        except ModelUnavailable:
            self.forget(key)
            raise

    # --- loading ------------------------------------------------------------------------------------------

    def _entry(self, key: str) -> ModelEntry:
        if key in entries():
            return entries()[key]
        found = self._more(key)
        if found is not None:
            return found
        if self._settings.allow_any_model and "/" in key:
            return free_entry(key)
        raise ModelUnavailable(
            _(
                "«{key}» no está en el catálogo. Para cargar otros modelos, quien administra la aplicación debe "
                "activar TALLER_ALLOW_ANY_MODEL=1."
            ).format(key=key)
        )

    def _load_for_all(self, key: str, device: Device, pending: "Future[None]") -> None:
        try:
            with self._loading:
                self._load_somewhere(key, device)
        except BaseException as error:
            with self._lock:
                del self._pending[device, key]
                self._failures[key] = str(error)
            pending.set_exception(error)
        else:
            with self._lock:
                del self._pending[device, key]
                self._failures.pop(key, None)
            pending.set_result(None)

    def _load_somewhere(self, key: str, device: Device) -> None:
        entry = self._entry(key)
        try:
            self._load_on(key, entry, device)
        except OutOfMemory:
            if device == CPU:
                raise
            _log.warning("%s does not fit on %s: loading it on the CPU", key, device.name)
            events().add(Event("fallback", key, 0, CPU.name))
            name = entry.name(get_language())
            note = _("{name} no cabe ahora en la memoria de la tarjeta y calcula en la CPU, más despacio.")
            self._load_on(key, entry, CPU, note=note.format(name=name))

    def _load_on(self, key: str, entry: ModelEntry, device: Device, note: str = "") -> None:
        wanted = expected_bytes(entry, bytes_per_number(device))
        self._make_room(entry, device, wanted)
        began = time.perf_counter()
        # Before they are read: if they change meanwhile, the next who asks notices.
        revision = files_revision(entry, self._settings)
        try:
            bundle = self._load(entry, self._settings, device)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            give_memory_back()
            raise self._no_room(entry, device, wanted) from error
        took = time.perf_counter() - began
        if note:
            bundle = replace(bundle, note=note)
        with self._lock:
            try:
                self._shelf(device)[key] = _Slot(bundle, revision, took, next(self._turns))
            except (ValueError, KeyError) as error:  # larger than the whole budget · everything else is in use
                raise self._no_room(entry, device, bundle.bytes) from error
        events().add(Event("load", key, bundle.bytes, device.name))
        _log.info("loaded %s on %s: %.1f MiB in %.2f s", key, device.name, bundle.bytes / MIB, took)

    def _make_room(self, entry: ModelEntry, device: Device, wanted: int) -> None:
        """Evicts until the budget and the memory really free have room for ``wanted`` bytes."""
        with self._lock:
            shelf = self._shelf(device)
            if wanted > shelf.maxsize:
                raise self._no_room(entry, device, wanted)
            while shelf.currsize + wanted > shelf.maxsize or free_bytes(device) < wanted + HEADROOM_BYTES:
                if not shelf.idle():
                    raise self._no_room(entry, device, wanted)
                shelf.popitem()
                give_memory_back()

    def _no_room(self, entry: ModelEntry, device: Device, wanted: int) -> OutOfMemory:
        text = _(
            "{name} necesita {wanted} MiB y en {device} los modelos pueden ocupar {budget} MiB, de los que {used} "
            "están en uso. Vuelve a intentarlo en un momento, quita otro modelo de la memoria en la página Sistema "
            "o elige uno más pequeño."
        )
        shelf = self._shelves[device]
        return OutOfMemory(
            text.format(
                name=entry.name(get_language()),
                wanted=format_number(wanted / MIB),
                device=device.name,
                budget=format_number(shelf.maxsize / MIB),
                used=format_number(sum(s.bundle.bytes for s in shelf.values() if s.in_use) / MIB),
            )
        )

    # --- giving back --------------------------------------------------------------------------------------

    def _evicted(self, slot: _Slot) -> None:
        events().add(Event("evict", slot.bundle.entry.key, -slot.bundle.bytes, slot.bundle.device.name))

    def forget(self, key: str) -> None:
        """Takes a model that was deleted or replaced off its shelf.

        Its memory goes back when whoever computes with it is done.
        """
        self._take_off(key, even_in_use=True)

    def unload(self, key: str) -> bool:
        """Takes a model out of memory; ``False`` if it isn't there or somebody uses it now."""
        return self._take_off(key, even_in_use=False)

    def _take_off(self, key: str, *, even_in_use: bool) -> bool:
        gone: list[_Slot] = []
        with self._lock:
            for shelf in self._shelves.values():
                slot = shelf.get(key)
                if slot is not None and (even_in_use or not slot.in_use):
                    gone.append(shelf.pop(key))
        for slot in gone:
            events().add(Event("unload", key, -slot.bundle.bytes, slot.bundle.device.name))
        unloaded = bool(gone)
        gone.clear()
        if unloaded:
            give_memory_back()
        return unloaded

    def warm_up(self, keys: Sequence[str]) -> threading.Thread:
        """Loads ``keys`` in the background, one after another; what can't be loaded is logged and skipped."""

        def work() -> None:
            for key in keys:
                try:
                    with self.use(key):
                        pass
                except TallerError as error:
                    _log.warning("warm-up of %s: %s", key, error)

        thread = threading.Thread(target=work, name="warm-up-models", daemon=True)
        thread.start()
        return thread


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, on a card or on the CPU."""
    import torch

    if isinstance(error, TallerError):
        return False
    # On the CPU PyTorch says so in the words of a plain RuntimeError.
    # oneDNN has no room for the code of a product that it was asked for.
    words = ("DefaultCPUAllocator", "out of memory", "could not create a primitive")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(word in str(error) for word in words)
