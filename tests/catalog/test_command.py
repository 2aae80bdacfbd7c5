"""``python -m core.catalog``: the list, the comparison with the hub, and the night before a workshop."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.catalog import __main__ as command
from core.catalog import entries, free_entry
from core.catalog.__main__ import main
from core.runtime.downloads import DownloadManager
from core.runtime.loading import locate_model
from core.settings import Settings
from tests.hub_server import Hub, serve
from tests.runtime.models import tiny_entry, write_model

FILES = ("config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(command, "get_settings", lambda: Settings(hub_timeout=1.0, models_dir=None))
    monkeypatch.setattr(command.locale, "getlocale", lambda: ("es_ES", "UTF-8"))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, which is the whole catalogue."""
    folder = write_model(tmp_path / "made", hidden_size=64, intermediate_size=256)
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    size = sum(len(contents[name]) for name in FILES) / 2**20
    known = tiny_entry("tiny", licence="Apache-2.0")
    parameters = len(contents["model.safetensors"]) // 4
    known = replace(known, weights=replace(known.weights, files=FILES, download_mib=size, parameters=parameters))
    monkeypatch.setattr(command, "entries", lambda: {"tiny": known})
    monkeypatch.setattr(command, "entries_for", lambda *filters: [known])
    with serve() as running:
        running.repos["test/tiny"] = contents
        running.licences["test/tiny"] = "apache-2.0"
        running.parameters["test/tiny"] = parameters
        yield running


def run(server: Hub, *arguments: str) -> int:
    return main(arguments, DownloadManager(Settings(hub_timeout=1.0, models_dir=None), server.url))


def test_the_list_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--task", "ner", "--language", "es"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["clave", "entities-es", "beto-ner"]
    assert main(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(entries()) + 1


def test_check_agrees(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server, "check") == 0
    assert capsys.readouterr().out == "tiny: ok\n"


def test_check_names_each_difference(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.licences["test/tiny"] = "cc-by-nc-4.0"
    server.parameters["test/tiny"] *= 2
    server.repos["test/tiny"]["model.safetensors"] += b"x" * 2**20
    assert run(server, "check", "--json") == 1
    (found,) = json.loads(capsys.readouterr().out).values()
    assert [line.split(":")[0] for line in found] == ["licence", "download_mib", "parameters"]
    assert found[0] == "licence: Apache-2.0 → cc-by-nc-4.0"


def test_check_finds_what_is_gone(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.repos.clear()
    assert run(server, "check") == 1
    assert "ya no tiene" in capsys.readouterr().out


def test_check_without_a_hub_is_another_status(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.delay = 3.0
    assert run(server, "check") == 2
    assert "no responde" in capsys.readouterr().err


def test_a_dry_run_tells_and_fetches_nothing(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server, "fetch", "--all", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "1 modelo pedido, 0 ya en este equipo" in out
    assert "tiny: 0,4 MiB por bajar de 0,4" in out and "En total faltan 0,4 MiB" in out
    assert not server.served


def test_fetch_then_nothing_is_left_to_do(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server, "fetch", "tiny") == 0
    assert "listo" in capsys.readouterr().out
    known = command.entries()["tiny"]
    assert locate_model(known, Settings(models_dir=None)) is not None
    sent = dict(server.served)
    assert run(server, "fetch", "--tier", "reference") == 0
    assert "1 ya en este equipo" in capsys.readouterr().out
    assert dict(server.served) == sent


def test_a_failed_fetch_says_how_to_go_on(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    server.gated = True
    assert run(server, "fetch", "tiny") == 1
    out = capsys.readouterr().out
    assert "cuenta" in out and "Falta: tiny. La misma orden sigue donde quedó." in out


def test_fetch_needs_to_know_what(server: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(server, "fetch")
    assert "--all" in capsys.readouterr().err


def test_unknown_keys_are_named() -> None:
    with pytest.raises(SystemExit, match="nada, poco"):
        main(["fetch", "nada", "poco"])


def test_a_free_entry_takes_its_head_from_the_id() -> None:
    weights = free_entry("org/name#MaskedLM").weights
    assert weights is not None and weights.head == "MaskedLM" and weights.format == "safetensors"
    assert free_entry("org/name").weights.head is None  # type: ignore[union-attr]
