"""A model hub of our own on loopback, with a switch for each way in which the real one fails."""

import collections
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What the server holds and how it behaves.

    Attributes:
        repos: model id → file name → content.
        delay: seconds before each answer.
        cut: close the connection after half of each file.
        cut_after: close it once this many bytes of a file were sent in one answer; ``None`` never does.
        ranges: whether a download may begin in the middle.
        pause: seconds between pieces of ``piece`` bytes, for a download that takes a while.
        piece: see ``pause``.
        large: files of at least so many bytes are stored as large files, with a SHA-256.
        gated: whether each model asks for an account.
        licences: model id → the licence on its page.
        parameters: model id → the number of parameters that its page shows.
        garbled: files whose content arrives changed.
        served: file name → bytes sent, over all answers.
        requests: the paths asked for, in order.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.delay = 0.0
        self.cut = False
        self.cut_after: int | None = None
        self.ranges = True
        self.pause = 0.0
        self.piece = 64 * 1024
        self.large = 10_000
        self.gated = False
        self.licences: dict[str, str] = {}
        self.parameters: dict[str, int] = {}
        self.garbled: set[str] = set()
        self.served: collections.Counter[str] = collections.Counter()
        self.requests: list[str] = []
        self.url = ""


def digest(hub: Hub, content: bytes) -> str:
    """What the real hub names a file by: SHA-256 of a large file, Git's blob hash of any other."""
    if len(content) >= hub.large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def _sibling(hub: Hub, file: str, content: bytes, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file}
    found: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": digest(hub, content)}
    if len(content) >= hub.large:
        found["blobId"] = "0" * 40
        found["lfs"] = {"size": len(content), "sha256": digest(hub, content), "pointerSize": 130}
    return found


def _handler(hub: Hub) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _send(self, status: int, body: bytes, headers: dict[str, str], body_sent: bool) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if body_sent:
                self.wfile.write(body)

        def _send_file(self, file: str, content: bytes, body_sent: bool) -> None:
            headers = {"ETag": f'"{digest(hub, content)}"', "X-Repo-Commit": SHA}
            start = 0
            asked = self.headers.get("Range", "")
            if hub.ranges and body_sent and asked.startswith("bytes="):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            body = content[start:]
            if file in hub.garbled:
                body = body[::-1]
            if not body_sent:
                return self._send(200, body, headers, False)
            self.send_response(206 if start else 200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            end = len(body) // 2 if hub.cut else len(body)
            if hub.cut_after is not None:
                end = min(end, hub.cut_after)
            for at in range(0, end, hub.piece):
                piece = body[at : min(end, at + hub.piece)]
                try:
                    self.wfile.write(piece)
                except ConnectionError:  # whoever asked has gone
                    self.close_connection = True
                    return
                hub.served[file] += len(piece)
                time.sleep(hub.pause)
            self.close_connection = self.close_connection or end < len(body)

        def _answer(self, body_sent: bool) -> None:
            hub.requests.append(self.path)
            time.sleep(hub.delay)
            path, _mark, query = self.path.partition("?")
            for name, files in hub.repos.items():
                if path in {f"/api/models/{name}{end}" for end in ("", "/revision/main", f"/revision/{SHA}")}:
                    body = {
                        "id": name,
                        "sha": SHA,
                        "gated": "manual" if hub.gated else False,
                        "siblings": [_sibling(hub, file, content, "blobs" in query) for file, content in files.items()],
                        "cardData": {"license": hub.licences.get(name)},
                    }
                    if name in hub.parameters:
                        count = hub.parameters[name]
                        body["safetensors"] = {"parameters": {"F32": count}, "total": count}
                    return self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"}, True)
                if path == f"/api/models/{name}/tree/{SHA}":
                    tree = [
                        {"type": "file", "path": f, "size": len(c), "oid": digest(hub, c)} for f, c in files.items()
                    ]
                    return self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"}, True)
                for file, content in files.items():
                    if path in {f"/{name}/resolve/{SHA}/{file}", f"/{name}/resolve/main/{file}"}:
                        return self._send_file(file, content, body_sent)
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body_sent)

        def do_GET(self) -> None:
            self._answer(True)

        def do_HEAD(self) -> None:
            self._answer(False)

    return Handler


@contextmanager
def serve() -> Iterator[Hub]:
    """Runs the hub on a free port."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
