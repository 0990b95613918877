"""What a request's header block says, checked once: path, metadata, route, or why it cannot be served.

Sans-IO. Heads are kept per connection and shared by all requests with the same fields (the varying grpc-timeout is
taken out before), so everything here is off the hot path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from raftkv.transport import grpc_wire
from raftkv.transport.grpc_wire import Code
from raftkv.transport.hpack import Field

_PSEUDO = frozenset((":method", ":scheme", ":path", ":authority"))
_CONNECTION_FIELDS = frozenset(("connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"))


class MethodCounters:
    """What Prometheus' grpc_server_* series count, for one method."""

    __slots__ = ("handled", "ok", "received", "sent", "started")

    def __init__(self) -> None:
        self.started = 0
        self.received = 0
        """Messages."""
        self.sent = 0
        """Messages."""
        self.ok = 0
        """Calls that ended with OK."""
        self.handled: defaultdict[int, int] = defaultdict(int)
        """Calls that ended otherwise, by code."""


class Refusal(NamedTuple):
    """An answer known from the header block alone."""

    code: int
    message: str
    http_status: str = "200"
    trailers: Sequence[tuple[str, str]] = ()


class RequestHead:
    """One header block, parsed. `malformed` says why the stream must be reset; then nothing else is set."""

    __slots__ = (
        "_metadata",
        "authority",
        "counters",
        "encoding",
        "fields",
        "handler",
        "is_grpc",
        "is_special",
        "is_unary",
        "malformed",
        "method",
        "path",
        "refusal",
        "scheme",
        "user_agent",
    )

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.method = self.path = self.scheme = self.authority = ""
        self.user_agent = self.encoding = ""
        self.is_grpc = False
        self._metadata: dict[str, str | bytes] | None = None
        # Set by the connection that keeps the head, from its routes.
        self.handler: Callable[..., Any] | None = None
        self.is_unary = False
        self.is_special = True
        """Whether opening the call takes more than making it."""
        self.refusal: Refusal | None = None
        self.counters = MethodCounters()
        self.malformed = self._parse()

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """See `grpc_wire.metadata_of`; made when first asked for."""
        if self._metadata is None:
            self._metadata = grpc_wire.metadata_of(self.fields)
        return self._metadata

    @property
    def content_type(self) -> str:
        """Of the request, or empty."""
        return next((value for name, value in self.fields if name == "content-type"), "")

    def _parse(self) -> str | None:
        """Fill in the attributes; returns the rule of RFC 9113 §8.2-8.3 that is broken, if any."""
        pseudo: dict[str, str] = {}
        regular = False
        for name, value in self.fields:
            if not name or name != name.lower():
                return "field name is not lower case"
            if name[0] == ":":
                if regular or name in pseudo or name not in _PSEUDO:
                    return f"unexpected {name}"
                pseudo[name] = value
                continue
            regular = True
            if name in _CONNECTION_FIELDS or (name == "te" and value != "trailers"):
                return f"{name} is not allowed in HTTP/2"
            if "\r" in value or "\n" in value or "\0" in value:
                return f"control character in {name}"
            if name == "user-agent":
                self.user_agent = value
            elif name == "grpc-encoding":
                self.encoding = value
            elif name == "host" and ":authority" not in pseudo:
                self.authority = value
        for name in (":method", ":scheme", ":path"):
            if not pseudo.get(name):
                return f"{name} is missing"
        self.method, self.scheme, self.path = pseudo[":method"], pseudo[":scheme"], pseudo[":path"]
        self.authority = pseudo.get(":authority", self.authority)
        content_type = self.content_type.lower()
        # "application/grpc-web" is another protocol, "application/grpc+proto" and "application/grpc;x" are ours.
        self.is_grpc = content_type == "application/grpc" or content_type.startswith(("application/grpc+", "application/grpc;"))
        return None

    def find_refusal(self, services: frozenset[str], paths: Mapping[str, object]) -> Refusal | None:
        """Why no handler can serve this gRPC request, in grpc-go's words."""
        if not self.is_grpc:
            text = f'invalid gRPC request content-type "{self.content_type}"'
            return Refusal(Code.INVALID_ARGUMENT, text, "415")
        if self.method != "POST":
            text = f'Received a HEADERS frame with :method "{self.method}" which should be POST'
            return Refusal(Code.INTERNAL, text, "405")
        if self.path not in paths:
            service, slash, method = self.path[1:].rpartition("/")
            if self.path[0] != "/" or not slash:
                return Refusal(Code.UNIMPLEMENTED, f'malformed method name: "{self.path}"')
            if service in services:
                return Refusal(Code.UNIMPLEMENTED, f"unknown method {method} for service {service}")
            return Refusal(Code.UNIMPLEMENTED, f"unknown service {service}")
        if self.encoding not in ("", "identity"):
            text = f'grpc: Decompressor is not installed for grpc-encoding "{self.encoding}"'
            return Refusal(Code.UNIMPLEMENTED, text, trailers=(("grpc-accept-encoding", "identity"),))
        return None
