"""SNIPS: read as it was published and as it is kept, downloaded whole or not at all."""

import errno
import http.server
import json
import lzma
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InputInvalid, ModelUnavailable
from core.i18n import set_language
from core.settings import Settings
from core.training import snips
from core.training.data import Labelled, Tagged
from core.training.snips import (
    TEST_EACH,
    TRAIN,
    Cancelled,
    SnipsFailed,
    SnipsFetcher,
    download,
    is_here,
    published,
    read_folder,
    snips_data,
    snips_folder,
)


def utterance(intent: str, number: int) -> dict:
    pieces = [{"text": f"{number} play "}, {"text": " Beyoncé ", "entity": "artist"}, {"text": f"now, {intent}"}]
    return {"data": pieces}


class Server:
    """GitHub's part, on loopback."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.pause = 0.0
        self.url = ""
        self.asked: list[str] = []
        for intent, count in TRAIN.items():
            for name, many in ((f"train_{intent}_full.json", count), (f"validate_{intent}.json", TEST_EACH)):
                text = json.dumps({intent: [utterance(intent, n) for n in range(many)]}, ensure_ascii=False)
                # Two of the real files are in Latin-1.
                self.files[f"/{intent}/{name}"] = text.encode("latin-1" if intent == "PlayMusic" else "utf-8")


@pytest.fixture
def github() -> Iterator[Server]:
    server = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            time.sleep(server.pause)
            content = server.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_arguments: object) -> None:
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{http_server.server_port}"
    yield server
    http_server.shutdown()
    http_server.server_close()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return Settings(data_dir=tmp_path, hub_timeout=5, offline=False)


def test_what_is_published_is_downloaded_checked_and_kept(github: Server, settings: Settings) -> None:
    seen: list[tuple[int, int]] = []
    assert not is_here(settings)
    download(settings, base=github.url, progress=lambda *counts: seen.append(counts))
    assert seen[0] == (0, 14) and seen[-1] == (14, 14)
    assert is_here(settings)
    assert {path.name for path in snips_folder(settings).iterdir()} == {"train.jsonl", "validation.jsonl"}
    train, test = read_folder(snips_folder(settings))
    assert Counter(row.intent for row in train) == TRAIN
    assert (len(train), len(test)) == (13_784, 700)
    assert {row.text[slot.start : slot.end] for row in train for slot in row.slots} == {"Beyoncé"}
    data = snips_data("classification", settings)
    assert (data.licence, data.language, data.labels) == ("CC0-1.0", "en", tuple(sorted(TRAIN)))
    assert data.train[0] == Labelled("0 play  Beyoncé now, AddToPlaylist", 0)
    assert snips_data("entities", settings).test[0] == Tagged(
        ("0", "play", "Beyoncé", "now", ",", "AddToPlaylist"), ("O", "O", "B-artist", "O", "O", "O")
    )


def damaged(github: Server) -> dict[str, bytes]:
    own = github.files["/RateBook/validate_RateBook.json"]
    return {
        "not JSON": own[:-3],
        "a page": b"<!DOCTYPE html><title>Sign in</title>",
        "too few": json.dumps({"RateBook": [utterance("RateBook", 1)] * 99}).encode(),
        "another layout": b'{"RateBook": [{"text": "hi"}]}',
        "a zip": b"PK\x03\x04" + bytes(500),
        "too large": b" " * (snips.MAX_FILE_BYTES + 1),
    }


def test_what_is_not_as_published_leaves_nothing(github: Server, settings: Settings) -> None:
    for name, content in damaged(github).items():
        github.files["/RateBook/validate_RateBook.json"] = content
        with pytest.raises(SnipsFailed, match="validate_RateBook") as caught:
            download(settings, base=github.url)
        assert caught.value.reason == "wrong", name
        assert not snips_folder(settings).exists(), name


def test_no_network_no_server_no_file(github: Server, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SnipsFailed, match="sin conexión"):
        download(Settings(data_dir=tmp_path, offline=True), base=github.url)
    assert github.asked == []
    with pytest.raises(SnipsFailed, match="github"):
        download(settings, base="http://127.0.0.1:9")
    del github.files["/AddToPlaylist/train_AddToPlaylist_full.json"]
    with pytest.raises(SnipsFailed, match="404"):
        download(settings, base=github.url)


def test_a_full_disk_leaves_nothing(github: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(snips.os, "fsync", full)
    with pytest.raises(SnipsFailed, match="espacio") as caught:
        download(settings, base=github.url)
    assert caught.value.reason == "disk"
    assert list(snips_folder(settings).iterdir()) == []


def test_a_download_can_be_stopped(github: Server, settings: Settings) -> None:
    with pytest.raises(Cancelled):
        download(settings, base=github.url, stop=lambda: len(github.asked) >= 3)
    assert len(github.asked) == 3 and not is_here(settings)


def test_the_process_downloads_once_and_tells_each_in_their_language(github: Server, settings: Settings) -> None:
    github.pause = 0.05
    fetcher = SnipsFetcher(settings, github.url)
    assert fetcher.state().status == "idle"
    fetcher.start()
    fetcher.start()
    assert fetcher.state().status == "running" and "14" in fetcher.state().message
    fetcher.cancel()
    assert fetcher.wait(10).status == "cancelled"
    del github.files["/RateBook/validate_RateBook.json"]
    github.pause = 0
    fetcher.start()
    assert fetcher.wait(30).status == "failed"
    spanish = fetcher.state().message
    set_language("en")
    try:
        english = fetcher.state().message
    finally:
        set_language("es")
    assert "404" in spanish and "404" in english and spanish != english
    github.files["/RateBook/validate_RateBook.json"] = Server().files["/RateBook/validate_RateBook.json"]
    github.asked.clear()
    fetcher.start()
    assert fetcher.wait(30).status == "done"
    assert len(github.asked) == 14
    fetcher.start()
    assert len(github.asked) == 14
    assert SnipsFetcher(settings, github.url).state().status == "done"


def test_files_put_there_by_hand(settings: Settings) -> None:
    folder = snips_folder(settings)
    with pytest.raises(ModelUnavailable, match="snips"):
        read_folder(folder)
    folder.mkdir(parents=True)
    line = '{"text": "play Ana", "intent": "PlayMusic", "slots": [["artist", 5, 8]]}\n'
    (folder / "train.jsonl.xz").write_bytes(lzma.compress(line.encode()))
    (folder / "validation.jsonl").write_text(line)
    train, test = read_folder(folder)
    assert train == test and train[0].slots[0].name == "artist"
    for content in ("{", '{"text": "a"}', "[]"):
        time.sleep(0.01)
        (folder / "validation.jsonl").write_text(content)
        with pytest.raises(InputInvalid, match="dañado"):
            read_folder(folder)
    (folder / "train.jsonl.xz").write_bytes(lzma.compress(line.encode())[:-9])
    with pytest.raises(InputInvalid, match="train"):
        read_folder(folder)


def test_an_entity_of_spaces_is_none() -> None:
    value = {"X": [{"data": [{"text": "a"}, {"text": " ", "entity": "b"}, {"text": "c"}]}]}
    assert next(published(value, "X")).slots == ()


def test_the_real_set(shared_dir: Path) -> None:
    settings = Settings(data_dir=shared_dir / "data")
    if not is_here(settings):
        pytest.skip("../shared has no SNIPS")
    data = snips_data("classification", settings)
    assert (len(data.train), len(data.test)) == (13_784, 700)
    assert Counter(data.labels[e.label] for e in data.train if isinstance(e, Labelled)) == TRAIN
    assert len(snips_data("entities", settings).kinds) == 39
