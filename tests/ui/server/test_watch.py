"""The addresses for whoever runs the app: what they answer, and that the README names what there is."""

import re
import threading
from collections.abc import Iterator

import pytest
import streamlit as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from core.runtime import metrics as counted
from core.runtime.gpu import GpuSample
from core.ui.server import watch
from core.ui.server.health import Health, Probe
from core.ui.server.limits import Visitors
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()
    watch._probe.cache_clear()


def client(visitors: Visitors) -> TestClient:
    paths = {"/live": watch.live, "/ready": watch.ready, "/metrics": watch.metrics(visitors)}
    return TestClient(Starlette(routes=[Route(path, answer) for path, answer in paths.items()]))


def card() -> GpuSample:
    values = dict.fromkeys(GpuSample.__dataclass_fields__)
    values |= {"index": 0, "name": "Card", "driver": "1", "mig": False, "why_no_utilization": "", "processes": ()}
    values |= {"utilization_gpu": 37.0, "memory_used_mib": 1.0, "memory_total_mib": 2.0}
    values |= {"temperature_c": 60.0, "power_w": 100.0}
    return GpuSample(**values)  # type: ignore[arg-type]


def test_the_metrics_can_be_read_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    visitors = Visitors(0, 0)
    visitors.enter("a"), visitors.enter("a")
    counted.answered("a-task", {"queue": 1.0, "load": 0.0, "compute": 250.0}, 4)
    counted.looked_up("answers", True)
    text = client(visitors).get("/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples[("taller_sessions",)] == 2 and samples[("taller_addresses",)] == 1
    assert samples[("taller_requests_total", ("outcome", "ok"), ("task", "a-task"))] == 1
    assert samples[("taller_phase_seconds_sum", ("phase", "compute"), ("task", "a-task"))] == 0.25
    assert samples[("taller_phase_seconds_bucket", ("le", "0.1"), ("phase", "compute"), ("task", "a-task"))] == 0
    assert samples[("taller_phase_seconds_bucket", ("le", "0.25"), ("phase", "compute"), ("task", "a-task"))] == 1
    assert samples[("taller_trainings_running",)] == samples[("taller_trainings_waiting",)] == 0
    assert samples[("taller_process_bytes",)] > 2**20
    assert not any(name[0].startswith("taller_gpu") for name in samples)


def test_what_a_card_does_not_report_is_left_out() -> None:
    families = {family.name: family.samples[0].value for family in watch._cards((card(),))}
    assert families["taller_gpu_utilization_ratio"] == pytest.approx(0.37)
    assert families["taller_gpu_memory_used_bytes"] == 2**20
    silent = GpuSample(**{**{n: getattr(card(), n) for n in GpuSample.__dataclass_fields__}, "power_w": None})
    assert "taller_gpu_power_watts" not in {family.name for family in watch._cards((silent,))}


def test_the_readme_names_every_metric_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    # Families without a sample yet are there all the same.
    text = client(Visitors(0, 0)).get("/metrics").text
    there = set(re.findall(r"^# TYPE (taller_\w+)", text, re.M)) | {one.name for one in watch._cards((card(),))}
    there = {name for name in there if not name.endswith("_created")} | {"taller_model_budget_bytes"}
    written = set(re.findall(r"\btaller_(?!route)\w+", readme))
    assert {name.removesuffix("_bucket") for name in written} == there


def test_alive_needs_no_model() -> None:
    answer = client(Visitors(0, 0)).get("/live")
    assert answer.json() == {"status": "alive"} and answer.headers["cache-control"] == "no-store"


def test_ready_waits_no_longer_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def ask() -> None:
        go_on.wait(10)

    slow = Probe(ask)
    monkeypatch.setattr(watch, "_probe", lambda: slow)
    monkeypatch.setattr(watch, "WAIT_S", 0.05)
    server = client(Visitors(0, 0))
    answer = server.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "starting"})
    go_on.set()
    assert slow.look().result(10).status == "ready"
    answer = server.get("/ready")
    assert answer.status_code == 200 and answer.json()["status"] == "ready"


@pytest.mark.parametrize("status", ["busy", "failing"])
def test_not_ready_is_503_and_says_why(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    probe = Probe(lambda: None)
    probe._last, probe._at = Health(status), probe._clock()  # type: ignore[arg-type]
    monkeypatch.setattr(watch, "_probe", lambda: probe)
    answer = client(Visitors(0, 0)).get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": status})
