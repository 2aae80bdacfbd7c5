"""What every request passes: headers on every answer, watchers, limits. In memory, without a socket."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.settings import Settings
from core.ui.server import door
from core.ui.server.door import Door
from core.ui.server.headers import headers, policy
from core.ui.server.limits import Visitors
from tests.load.visitors import in_a_loop

HEADERS = {name.decode(): value.decode() for name, value in headers("https://huggingface.co")}
SECRET = "a text of a visitor"


def served(visitors: Visitors, peer: str = "203.0.113.7", base: str = "", **options: Any) -> TestClient:
    async def page(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("inside", headers={"x-content-type-options": "other"})

    async def breaks(_request: Any) -> PlainTextResponse:
        raise RuntimeError(SECRET)

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            await socket.receive_text()

    routes = [
        Route(f"{base}/tasks", page),
        Route(f"{base}/static/x.js", page),
        Route(f"{base}/metrics", page),
        Route(f"{base}/_stcore/metrics", page),
        Route(f"{base}/_stcore/upload_file/1/2", page, methods=["PUT"]),
        Route(f"{base}/breaks", breaks),
        WebSocketRoute(f"{base}/_stcore/stream", stream),
    ]
    door = Middleware(Door, visitors=visitors, settings=Settings(**options), base=base)
    return TestClient(Starlette(routes=routes, middleware=[door]), client=(peer, 4711), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "status"), [("/tasks", 200), ("/nowhere", 404), ("/breaks", 500), ("/metrics", 403), ("/static/x.js", 200)]
)
def test_every_answer_carries_the_headers_once(path: str, status: int) -> None:
    answer = served(Visitors(1, 1)).get(path)
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert SECRET not in answer.text


def test_the_policy_lets_no_foreign_or_inline_script_run() -> None:
    rules = dict(rule.split(" ", 1) for rule in policy("https://a.example https://*.b.example").split("; "))
    assert rules["default-src"] == "'none'"
    scripts = rules["script-src"].split()
    assert "'unsafe-inline'" not in scripts and "'unsafe-eval'" not in scripts
    assert not any(source.startswith(("http", "*", "data:")) for source in scripts)
    # Streamlit's page has an inline script today; without its hash the page would report a violation.
    assert sum(source.startswith("'sha256-") for source in scripts) == 1
    assert rules["frame-ancestors"] == "'self' https://a.example https://*.b.example"
    assert policy("").endswith("frame-ancestors 'self'")


@pytest.mark.parametrize("bad", ["https://a.example; script-src *", "*", "javascript:alert(1)", "https://a\nx: y"])
def test_nothing_but_origins_gets_into_the_policy(bad: str) -> None:
    with pytest.raises(ValueError, match="frame_ancestors"):
        Settings(frame_ancestors=bad)


@pytest.mark.parametrize("option", ["trusted_proxies", "watch_from"])
def test_networks_are_checked_at_the_start(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        Settings(**{option: "10.0.0.0/8 my-proxy"})  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/metrics", "/_stcore/metrics"])
def test_the_metrics_are_for_those_named_alone(path: str) -> None:
    assert served(Visitors(0, 0)).get(path).status_code == 403
    assert served(Visitors(0, 0), watch_from="203.0.113.0/24").get(path).status_code == 200
    here = served(Visitors(0, 0), peer="127.0.0.1")
    assert here.get(path).status_code == 200
    # A visitor whom a proxy on this machine brings is no program of this machine.
    assert here.get(path, headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 403
    assert served(Visitors(0, 0), peer="127.0.0.1", watch_from="").get(path).status_code == 403


def test_a_full_address_is_told_so_on_the_page_in_its_language() -> None:
    visitors = Visitors(1, 0)
    client = served(visitors)
    with client.websocket_connect("/_stcore/stream") as socket:
        assert visitors.sessions == 1
        english = client.get("/tasks", headers={"Accept-Language": "en-GB,en;q=0.9"})
        assert english.status_code == 429 and "Too many pages" in english.text and 'lang="en"' in english.text
        assert "Hay demasiadas páginas" in client.get("/tasks", headers={"Accept-Language": "es-UY"}).text
        assert int(english.headers["retry-after"]) > 0
        # What is open goes on: its files and its health are served.
        assert client.get("/static/x.js").text == "inside"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
            pass
        socket.send_text("bye")
    assert visitors.sessions == 0
    assert client.get("/tasks").text == "inside"


def test_addresses_behind_a_trusted_proxy_are_counted_apart() -> None:
    visitors = Visitors(1, 0)
    client = served(visitors, peer="10.0.0.5", trusted_proxies="10.0.0.0/8")
    with client.websocket_connect("/_stcore/stream", headers={"X-Forwarded-For": "198.51.100.1"}):
        assert client.get("/tasks", headers={"X-Forwarded-For": "9.9.9.9, 198.51.100.1"}).status_code == 429
        assert client.get("/tasks", headers={"X-Forwarded-For": "198.51.100.2"}).status_code == 200
    stranger = served(visitors, peer="10.0.0.5")
    with stranger.websocket_connect("/_stcore/stream", headers={"X-Forwarded-For": "198.51.100.1"}):
        assert stranger.get("/tasks", headers={"X-Forwarded-For": "198.51.100.2"}).status_code == 429


def test_uploads_and_openings_share_one_measure() -> None:
    client = served(Visitors(0, 2))
    assert [client.put("/_stcore/upload_file/1/2").status_code for _n in range(3)] == [200, 200, 429]
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass


def test_all_of_it_holds_under_a_path_of_its_own() -> None:
    visitors = Visitors(1, 0)
    client = served(visitors, base="/taller")
    assert client.get("/taller/metrics").status_code == 403
    with client.websocket_connect("/taller/_stcore/stream"):
        assert client.get("/taller/tasks").status_code == 429


# --- what is refused is read all the same --------------------------------------------------------------------


def put(chunks: list[bytes], *, silent: bool = False) -> tuple[list[str], int]:
    """What happened, in order, when a file is sent that the app refuses without reading it; how much was read."""
    events: list[str] = []
    rest = list(chunks)
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        if silent and not rest:
            await asyncio.Event().wait()
        events.append("read")
        chunk = rest.pop(0)
        read += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": silent or bool(rest)}

    async def send(message: Any) -> None:
        events.append(message["type"])

    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("Forbidden", 403)(scope, receive, send)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/_stcore/upload_file/1/2",
        "headers": [(b"content-length", str(sum(map(len, chunks))).encode())],
        "client": ("203.0.113.7", 4711),
    }
    in_a_loop(Door(refuses, Visitors(1, 1), Settings())(scope, receive, send))
    return events, read


def test_a_refused_file_is_read_to_its_end_before_the_answer() -> None:
    events, read = put([b"x" * 2**20] * 3)
    assert events == ["read"] * 3 + ["http.response.start", "http.response.body"]
    assert read == 3 * 2**20


def test_no_more_than_so_much_is_read_of_a_refused_file() -> None:
    events, read = put([b"x" * 2**20] * 100)
    assert events[-2:] == ["http.response.start", "http.response.body"]
    assert read == 8 * 2**20


def test_nobody_waits_for_a_refused_file_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_DRAINED_S", 0.05)
    events, _read = put([b"x"], silent=True)
    assert events == ["read", "http.response.start", "http.response.body"]


def test_a_page_is_answered_without_asking_for_a_body() -> None:
    events, read = put([b""])
    assert (events, read) == (["http.response.start", "http.response.body"], 0)
