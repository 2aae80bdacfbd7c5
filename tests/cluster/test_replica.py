"""What a cluster's replica answers: every task of the app can be sent to it, and the lenses come back whole."""

import dataclasses
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import core.lens
import core.tasks
from core.lens import attention_reading, embeddings, embeddings_neighbours, embeddings_positions, parameters
from core.lens import forward_reading as forward
from core.lens.attention_inputs import TextPair
from core.runtime import wire
from core.runtime.device import CPU
from core.runtime.engine import Engine
from core.runtime.pool import ModelPool
from core.settings import Settings
from core.tasks import entities, similarity
from tests.cluster.servers import Served, make
from tests.conftest import free_port

WALK = forward.ForwardRequest("El banco del río es verde.")
ASKED = {
    "attention": (attention_reading.TASK, TextPair("El perro duerme en su casa."), "mini-beto"),
    "attention of a decoder": (attention_reading.TASK, TextPair("El perro duerme"), "mini-gpt"),
    "sum": (embeddings.TASK, embeddings.SumRequest("El perro duerme."), "mini-beto"),
    "neighbours": (embeddings_neighbours.TASK, embeddings_neighbours.NeighbourRequest("perro"), "mini-beto"),
    "positions": (embeddings_positions.TASK, embeddings_positions.PositionRequest(64), "mini-beto"),
    "walk": (forward.WALK_TASK, WALK, "mini-beto"),
    "parameters": (parameters.PARAMETERS_TASK, parameters.ParametersRequest(), "mini-beto"),
    "similarity": (similarity.TASK, similarity.SimilarityRequest(("The sun rises.", "It dawns.")), "minilm"),
    "entities": (entities.TASK, entities.EntitiesRequest("Ana vive en Lima."), "entities-es"),
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served(free_port())
    yield server
    server.kill()


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    return ModelPool(Settings(), CPU)


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two results differ, times left out."""
    if place.endswith(("timing", "_ms", "milliseconds")):
        return []
    if type(one) is not type(other):
        return [f"{place}: {type(one)} {type(other)}"]
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [place]
    if isinstance(one, np.ndarray):
        return [] if np.array_equal(one, other, equal_nan=one.dtype.kind == "f") else [place]
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return [d for name in names for d in differences(getattr(one, name), getattr(other, name), f"{place}.{name}")]
    if isinstance(one, dict):
        if list(one) != list(other):
            return [place]
        return [d for key in one for d in differences(one[key], other[key], f"{place}[{key}]")]
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return [place]
        return [d for n, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{place}[{n}]")]
    return [] if one == other or one != one else [f"{place}: {one!r} {other!r}"]


@pytest.mark.parametrize("name", ASKED)
def test_it_answers_to_the_last_bit_what_this_machine_would(name: str, served: Served, pool: ModelPool) -> None:
    task, request, model = ASKED[name]
    here = Engine(pool, Settings()).run(task, request, model=model)
    there = make(served.port, pool, timeout=60).run(task, request, model=model)
    assert (there.engine, there.note, here.engine) == ("ray", "", "local")
    assert differences(there.result, here.result) == []


def test_arrays_come_back_as_ones_that_may_be_written(served: Served, pool: ModelPool) -> None:
    task, request, model = ASKED["sum"]
    found = make(served.port, pool, timeout=60).run(task, request, model=model).result
    arrays = [part.vectors for part in found.parts]
    assert arrays and all(array.flags.writeable for array in arrays)


def tasks() -> dict[str, Any]:
    """Every task that a module of ``core.tasks`` or ``core.lens`` offers."""
    found: dict[str, Any] = {}
    for package in (core.tasks, core.lens):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            members = vars(importlib.import_module(module.name))
            found |= {f"{module.name}.{name}": one for name, one in members.items() if name.endswith("TASK")}
    return found


def test_every_task_can_be_sent() -> None:
    there = tasks()
    assert len({id(task) for task in there.values()}) >= 27
    for name, task in there.items():
        other = pickle.loads(wire.pack_task(task))
        assert type(other) is type(task) and vars(other) == vars(task), name
