"""The servers a client may talk to: their addresses, one connection each, and whose turn it is.

Owns the channels. An endpoint is written as etcdctl takes it: `host:port`, `http://host:port`, `https://host:port`,
`unix:///path` or `unixs:///path`. Everything runs on the event loop's thread.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raftkv.client.link import Link
from raftkv.errors import RequestError

DEFAULT_PORT = 2379


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one server listens; `path` is set for a Unix socket, host and port otherwise. `text` is as the user wrote it."""

    text: str
    host: str
    port: int
    tls: bool
    path: str = ""


def parse_endpoint(text: str, *, secure: bool = False) -> Endpoint:
    """Reads one endpoint.

    Args:
        text: the endpoint; without a scheme it is TCP, encrypted when `secure`.
        secure: whether TLS was configured.

    Raises:
        RequestError: not an endpoint.
    """
    stripped = text.strip()
    scheme, separator, rest = stripped.partition("://")
    if not separator:
        scheme, rest = ("https" if secure else "http"), stripped
    if scheme in ("unix", "unixs"):
        return Endpoint(stripped, "", 0, scheme == "unixs", rest)
    if scheme not in ("http", "https"):
        raise RequestError(f"endpoint {text!r}: unknown scheme {scheme!r}")
    try:
        split = urllib.parse.urlsplit("//" + rest)
        host, port = split.hostname or "", split.port or DEFAULT_PORT
    except ValueError as exc:
        raise RequestError(f"endpoint {text!r}: {exc}") from exc
    if not host:
        raise RequestError(f"endpoint {text!r}: no host")
    return Endpoint(stripped, host, port, scheme == "https")


class Connections:
    """One lazily opened link per endpoint, and the endpoint to use next.

    Invariants:
        1. At most one link per endpoint text is open.
        2. After `aclose` no link is opened.
    """

    def __init__(self, endpoints: Sequence[Endpoint], open_link: Callable[[Endpoint], Link], *, first: int = 0) -> None:
        if not endpoints:
            raise RequestError("etcdclient: no available endpoints")
        self._endpoints = list(endpoints)
        self._open_link = open_link
        self._links: dict[str, Link] = {}
        self._turn = first % len(endpoints)
        self._closed = False

    def __len__(self) -> int:
        return len(self._endpoints)

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The configured endpoints, in the order given."""
        return tuple(self._endpoints)

    @property
    def current(self) -> Endpoint:
        """The endpoint whose turn it is."""
        return self._endpoints[self._turn]

    def rotate(self, failed: Endpoint) -> None:
        """Moves on from an endpoint that failed; a second report of the same failure changes nothing."""
        if self.current is failed:
            self._turn = (self._turn + 1) % len(self._endpoints)

    def link(self, endpoint: Endpoint) -> Link:
        """The link to an endpoint, opened on first use."""
        if self._closed:
            raise RequestError("the client is closed")
        link = self._links.get(endpoint.text)
        if link is None:
            link = self._links[endpoint.text] = self._open_link(endpoint)
        return link

    async def aclose(self) -> None:
        """Closes every link; may be called again."""
        self._closed = True
        links, self._links = list(self._links.values()), {}
        for link in links:
            await link.aclose()
