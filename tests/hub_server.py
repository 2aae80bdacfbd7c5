"""A model hub of our own on loopback, with a switch for each way in which the real one fails."""

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
        requests: the paths asked for, in order.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.delay = 0.0
        self.cut = False
        self.requests: list[str] = []
        self.url = ""


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
            if body_sent and hub.cut and "ETag" in headers:
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif body_sent:
                self.wfile.write(body)

        def _answer(self, body_sent: bool) -> None:
            hub.requests.append(self.path)
            time.sleep(hub.delay)
            path = self.path.partition("?")[0]
            for name, files in hub.repos.items():
                if path == f"/api/models/{name}/revision/main":
                    body = {"id": name, "sha": SHA, "siblings": [{"rfilename": f} for f in files]}
                    return self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"}, True)
                if path == f"/api/models/{name}/tree/{SHA}":
                    tree = [
                        {"type": "file", "path": f, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                        for f, c in files.items()
                    ]
                    return self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"}, True)
                for file, content in files.items():
                    if path == f"/{name}/resolve/{SHA}/{file}":
                        etag = hashlib.sha1(content).hexdigest()
                        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": SHA}
                        return self._send(200, content, headers, body_sent)
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
