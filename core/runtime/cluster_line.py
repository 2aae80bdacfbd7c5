"""The way to a cluster: HTTP connections, what their failures mean, whether it is there, and orders to it."""

import http.client
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal
from urllib.parse import urlsplit

from core.i18n import gettext as _
from core.runtime import wire
from core.settings import Settings

Trouble = Literal["away", "silent", "broken", "other_code", "other_secret"]

# A cluster on the same network answers a connection in milliseconds; one that is cut off doesn't at all.
_CONNECT_S: Final = 2.0


class Lost(Exception):
    """The cluster gave no answer."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble: Trouble = trouble


class Passed(Exception):
    """The cluster is well and leaves this request to others: too much waits there, or it has no such model."""


class Line:
    """The way to a cluster.

    Args:
        settings: with ``ray_address`` and ``ray_secret``.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.ray_address is not None and settings.ray_secret is not None
        self._address = urlsplit(settings.ray_address)
        self._timeout = settings.ray_timeout
        self.secret = settings.ray_secret
        self.path = self._address.path.rstrip("/")

    def connect(self) -> http.client.HTTPConnection:
        """A connection for one conversation.

        Raises:
            Lost: nobody is there.
        """
        kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._address.hostname or "", self._address.port, timeout=_CONNECT_S)
        try:
            connection.connect()
        except OSError as error:
            raise Lost("away") from error
        assert connection.sock is not None
        connection.auto_open = 0  # what belongs to this conversation must not go into a new connection
        connection.sock.settimeout(self._timeout)
        return connection

    def probe(self) -> Trouble | None:
        """Asks the cluster itself, and not the proxy before it, how it is; ``None`` if it is well."""
        nonce = secrets.token_hex(16)
        try:
            connection = self.connect()
            try:
                path = f"{self.path}/ready?nonce={nonce}"
                connection.request("GET", path, headers={wire.CODE_HEADER: wire.code_version()})
                response = connection.getresponse()
                check(response.status)
                if not secrets.compare_digest(response.read(200), wire.Seal(self.secret).hello(nonce).encode()):
                    return "other_secret"
            finally:
                connection.close()
        except Passed:
            return None  # busy is well
        except Lost as lost:
            return lost.trouble
        except TimeoutError:
            return "silent"
        except (OSError, http.client.HTTPException):
            return "broken"
        return None

    def order(self, order: wire.Order) -> wire.Standing:
        """Tells the cluster something of a fine-tuning run; returns how it stands there.

        Raises:
            Lost: no answer: it may have been heard nevertheless, unless the trouble is ``"away"`` or a refusal.
            Passed: too much waits there.
        """
        seal = wire.Seal(self.secret)
        message = seal.call(order)
        connection = self.connect()
        try:
            with lost():
                connection.request("POST", f"{self.path}/training", message, {wire.CODE_HEADER: wire.code_version()})
                with connection.getresponse() as response:
                    check(response.status)
                    kind, length = wire.read_head(exactly(response, wire.HEAD_BYTES))
                    if length > wire.LARGEST_ORDER:
                        raise Lost("broken")
                    found = seal.read_frame(kind, exactly(response, length))
        finally:
            connection.close()
        if not isinstance(found, wire.Standing):
            raise Lost("broken")
        return found


def busy() -> str:
    """A sentence for the reader: the cluster has no room."""
    return _("El clúster Ray está lleno: contestó este equipo.")


@contextmanager
def lost() -> Iterator[None]:
    """Whatever a conversation stumbles over in its body, as ``Lost``."""
    try:
        yield
    except TimeoutError as error:
        raise Lost("silent") from error
    except (OSError, http.client.HTTPException, EOFError) as error:
        raise Lost("broken") from error
    except wire.Forged as error:
        raise Lost("other_secret") from error


def check(status: int) -> None:
    """What an HTTP status means.

    Raises:
        Lost: it is no answer of a cluster of ours.
        Passed: too much waits there.
    """
    if status == 503:
        raise Passed(busy())
    if status == 409:
        raise Lost("other_code")
    if status == 403:
        raise Lost("other_secret")
    if status == 404:
        raise Lost("away")
    if status != 200:
        raise Lost("broken")


def exactly(response: http.client.HTTPResponse, size: int) -> bytes:
    """The next ``size`` bytes of an answer.

    Raises:
        EOFError: it ended before.
    """
    data = response.read(size)
    if len(data) < size:
        raise EOFError
    return data
