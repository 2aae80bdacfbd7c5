"""Finding and fetching: the order of search, and every way in which a hub fails, against a real server."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.catalog import entry
from core.errors import ModelUnavailable
from core.runtime import hub as hub_module
from core.runtime.hub import Fetcher, FetchState, has_tokenizer, locate
from core.runtime.tokenizer import TokenizerStore
from core.settings import Settings
from tests.hub_server import Hub, serve

VOCAB = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hola", "mun", "##do"])
FILES = {
    "vocab.txt": VOCAB.encode(),
    "tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer", "do_lower_case": false}',
    "config.json": b'{"model_type": "bert"}',
    "pytorch_model.bin": b"must never be fetched for a tokenizer" * 1000,
}
BETO = entry("beto-cased")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and a library that believes it is online."""
    cache = tmp_path / "hub-cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return cache


@pytest.fixture
def server() -> Iterator[Hub]:
    with serve() as running:
        running.repos[BETO.id] = dict(FILES)
        yield running


def make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def settings(**options: object) -> Settings:
    return Settings(**{"hub_timeout": 2.0, "models_dir": None, **options})  # type: ignore[arg-type]


def test_models_dir_comes_before_the_hub_cache(server: Hub, tmp_path: Path) -> None:
    fetcher = Fetcher(settings(), endpoint=server.url)
    fetcher.start(BETO)
    assert fetcher.wait([BETO], 10)
    found = locate(BETO, settings())
    assert found is not None and found.source == "hub_cache"
    make_folder(tmp_path / "models" / "dccuchile" / "bert-base-spanish-wwm-cased")
    found = locate(BETO, settings(models_dir=tmp_path / "models"))
    assert found is not None and found.source == "models_dir"


def test_half_copied_folders_are_passed_over(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m" / "dccuchile" / "bert-base-spanish-wwm-cased")
    assert has_tokenizer(folder)
    (folder / "vocab.txt").write_bytes(b"")
    assert not has_tokenizer(folder)
    (folder / "vocab.txt").write_bytes(FILES["vocab.txt"])
    (folder / "tokenizer_config.json").unlink()
    assert not has_tokenizer(folder), "without its options BERT would lower-case and strip accents"
    assert locate(BETO, settings(models_dir=tmp_path / "m")) is None


def test_embedded_needs_neither_folder_nor_hub() -> None:
    found = locate(entry("bert-uncased"), settings(offline=True))
    assert found is not None and found.source == "embedded"


def test_fetch_brings_the_tokenizer_alone_and_once(server: Hub) -> None:
    server.delay = 0.05
    fetcher = Fetcher(settings(), endpoint=server.url)
    threads = [threading.Thread(target=fetcher.start, args=(BETO,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetcher.wait([BETO], 20)
    assert fetcher.state(BETO).status == "done"
    assert not any("pytorch_model.bin" in path for path in server.requests)
    downloads = [path for path in server.requests if path.endswith("/vocab.txt")]
    assert len(downloads) <= 2, "one HEAD and one GET, however many ask"
    store = TokenizerStore(settings(), fetcher)
    assert store.get("beto-cased").encode("hola mundo").tokens == ["[CLS]", "hola", "mun", "##do", "[SEP]"]


@pytest.mark.parametrize(
    ("trouble", "reason", "words"),
    [
        ("closed", "unreachable", "no responde"),
        ("unknown", "not_found", "no tiene"),
        ("incomplete", "incomplete", "faltan archivos"),
        ("offline", "offline", "sin conexión"),
    ],
)
def test_each_failure_says_what_happened_and_what_to_do(server: Hub, trouble: str, reason: str, words: str) -> None:
    url, options = server.url, {}
    if trouble == "closed":
        url = "http://127.0.0.1:9"
    elif trouble == "unknown":
        del server.repos[BETO.id]
    elif trouble == "incomplete":
        del server.repos[BETO.id]["vocab.txt"]
    else:
        options = {"offline": True}
    fetcher = Fetcher(settings(**options), endpoint=url)
    fetcher.start(BETO)
    assert fetcher.wait([BETO], 20)
    state = fetcher.state(BETO)
    assert (state.status, state.reason) == ("failed", reason)
    with pytest.raises(ModelUnavailable, match=words) as caught:
        TokenizerStore(settings(**options), fetcher).get("beto-cased")
    assert "TALLER_MODELS_DIR" in str(caught.value)


def test_a_cut_download_is_never_used_and_can_be_tried_again(server: Hub) -> None:
    server.cut = True
    fetcher = Fetcher(settings(), endpoint=server.url)
    fetcher.start(BETO)
    # The hub library tries a cut file again a few times before it gives up.
    assert fetcher.wait([BETO], 60)
    assert fetcher.state(BETO).status == "failed"
    assert locate(BETO, settings()) is None
    server.cut = False
    assert fetcher.start(BETO).status == "failed", "not at once again on its own"
    assert fetcher.start(BETO, force=True).status == "running"
    assert fetcher.wait([BETO], 20)
    assert locate(BETO, settings()) is not None


def test_a_slow_hub_does_not_hold_the_page(server: Hub) -> None:
    server.delay = 1.0
    store = TokenizerStore(settings(), Fetcher(settings(hub_timeout=8.0), endpoint=server.url))
    # "fetching" is the proof: had it waited for the hub, the tokenizer would be ready.
    assert store.request(["bert-uncased", "beto-cased"], wait_s=0.2) == {
        "bert-uncased": "ready",
        "beto-cased": "fetching",
    }
    server.delay = 0.0
    assert store.fetcher.wait([BETO], 60)


def test_who_comes_again_is_not_held_up_again(server: Hub) -> None:
    server.delay = 1.0
    store = TokenizerStore(settings(), Fetcher(settings(hub_timeout=8.0), endpoint=server.url))
    store.request(["beto-cased"], wait_s=0.0)
    with store.fetcher._changed:
        running = store.fetcher.state(BETO)
        store.fetcher._states["beto-cased"] = FetchState("running", since=running.since - 60)
    # The half minute is counted from the beginning, which is a minute ago.
    assert store.request(["beto-cased"], wait_s=30.0) == {"beto-cased": "fetching"}
    server.delay = 0.0
    with store.fetcher._changed:
        store.fetcher._states["beto-cased"] = running
    assert store.fetcher.wait([BETO], 60)


def test_failures_are_forgotten_after_a_while(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = Fetcher(settings(), endpoint="http://127.0.0.1:9")
    fetcher.start(BETO)
    assert fetcher.wait([BETO], 20)
    monkeypatch.setattr(hub_module, "RETRY_AFTER_S", 0.0)
    assert fetcher.start(BETO).status == "running"
    assert fetcher.wait([BETO], 20)


def test_unreadable_files_are_refused_with_a_message(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "m" / "openai-community" / "gpt2")
    (folder / "vocab.txt").unlink()
    (folder / "vocab.json").write_text("{not json")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(ModelUnavailable, match="no se pueden leer"):
        TokenizerStore(settings(models_dir=tmp_path / "m")).get("gpt2")


def test_no_telemetry_and_no_conversion_service() -> None:
    assert os.environ["DISABLE_SAFETENSORS_CONVERSION"] == "1"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
