"""A request and its answer as plain values: what every handler of the HTTP face sees, whatever server carries it.

Knows nothing of aiohttp; `shell.py` makes requests from it and writes answers to it. Loop only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, unquote_plus

from resource_api.registry.requests import User

if TYPE_CHECKING:
    from resource_api.http.websocket import Handshake

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TEXT = "text/plain; charset=utf-8"

BODY_BYTES_MAX = 3 * 1024 * 1024
"""Largest request body; a larger one is answered 413."""

PARAMETERS_MAX = 1000
"""Of a query; what follows is not looked at."""

Query = dict[str, list[str]]
"""Parameters in the order they came, each with all its values."""


class ClientGoneError(Exception):
    """The client went before it had said all; whatever is answered reaches nobody."""


class Headers(Protocol):
    """Header fields by name, in any case."""

    def get(self, name: str, default: str = "", /) -> str:
        """The first of that name."""

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """All of that name."""

    def __contains__(self, name: object, /) -> bool:
        """Whether there is one."""

    def items(self) -> Iterable[tuple[str, str]]:
        """All fields, as they came."""


class Request:
    """One request. `user` is set by authentication; `warn` collects the texts of Warning headers.

    `path` is decoded and without the query, `raw_query` as it came.
    """

    __slots__ = ("_query", "_read", "headers", "method", "path", "peer_certificate", "raw_query", "remote", "secure", "user", "warnings")

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        read: Callable[[], Awaitable[bytes]],
        *,
        secure: bool = True,
        remote: str = "",
        peer_certificate: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        path, _, self.raw_query = target.partition("?")
        self.method = method
        self.path = unquote(path) if "%" in path else path
        self.headers = headers
        self.secure = secure
        """Came over TLS."""
        self.remote = remote
        """Address of the client."""
        self.peer_certificate = peer_certificate
        """The verified client certificate as DER."""
        self.user: User | None = None
        self.warnings: dict[str, None] = {}
        self._read = read
        self._query: Query | None = None

    @property
    def query(self) -> Query:
        """The decoded parameters."""
        if self._query is None:
            self._query = {}
            for part in self.raw_query.split("&", PARAMETERS_MAX) if self.raw_query else ():
                name, _, value = part.partition("=")
                if "%" in part or "+" in part:
                    name, value = unquote_plus(name), unquote_plus(value)
                if name:
                    self._query.setdefault(name, []).append(value)
        return self._query

    def parameter(self, name: str) -> str:
        """The first value of a parameter, or nothing."""
        return self.query.get(name, ("",))[0]

    def flag(self, name: str) -> bool:
        """A boolean parameter by upstream's rule: absent, `0` and `false` in any case are false, all else is true."""
        values = self.query.get(name)
        return values is not None and values[0].lower() not in ("0", "false")

    def header_lists(self, prefix: str = "") -> dict[str, list[str]]:
        """Header fields by lower-case name: all, or those whose name begins with `prefix`, which is in lower case."""
        found: dict[str, list[str]] = {}
        size = len(prefix)
        for name, value in self.headers.items():
            if not size or (len(name) >= size and name[:size].lower() == prefix):
                found.setdefault(name.lower(), []).append(value)
        return found

    async def body(self) -> bytes:
        """The whole body. Raises StatusError 413 above `BODY_BYTES_MAX`, 400 for broken framing, and ClientGoneError."""
        return await self._read()

    def warn(self, text: str) -> None:
        """One Warning header of the answer; a text said twice is sent once."""
        if text:
            self.warnings[text] = None


@dataclass(slots=True)
class Response:
    """An answer that is complete."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    compressible: bool = True


class Outlet(Protocol):
    """Where a stream goes."""

    def write(self, data: bytes) -> None:
        """Sends it as one piece, without waiting; nothing happens when the client is gone."""

    async def drain(self) -> None:
        """Waits until the client has taken most of what was written. Raises ConnectionError when it is gone."""


@dataclass(slots=True)
class Stream:
    """An answer that is made while it is sent. `run` is called once after the head was sent; when it returns the stream has its clean
    end. It is cancelled when the client goes and asked to end by `stop` when the server does."""

    run: Callable[[Outlet], Awaitable[None]]
    stop: Callable[[], None]
    content_type: str = JSON
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    websocket: Handshake | None = None
    """The stream is made of WebSocket messages, `status` is 101."""


Answer = Response | Stream
Handler = Callable[[Request], Awaitable[Answer]]
