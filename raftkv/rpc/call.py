"""What the services see of one call. The transport's ServerCall has this shape; so has the fake in tests/rpc.

Owns nothing; the services are written against it so that they are tested without a socket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

Metadata = Mapping[str, str | bytes]
"""Request headers by lower-case name. Bytes beyond ASCII are latin-1 in the text; repeated values are joined by a comma."""


class Call(Protocol):
    """One gRPC call, on the loop. After `reply`, `finish` or `fail` nothing more may be said."""

    @property
    def metadata(self) -> Metadata:
        """The request's headers."""

    @property
    def cancelled(self) -> bool:
        """True once the client went away or the deadline passed; whatever is said then is dropped without an error."""

    @property
    def writable(self) -> bool:
        """False while the stream has more waiting than the transport's bound; once read as false, the handler is told when it is true."""

    def pause(self) -> None:
        """Stops reading from the client: it may send what is left of its window and no more."""

    def resume(self) -> None:
        """Reads again."""

    def reply(self, body: bytes, lead: bytes = b"") -> None:
        """Ends a unary call with one message, `lead` and then `body`, and status OK."""

    def send(self, body: bytes) -> None:
        """One message of a response stream; never waits and never drops: ask `writable`."""

    def finish(self) -> None:
        """Ends a response stream with status OK."""

    def fail(self, code: int, message: str, trailers: Sequence[tuple[str, str]] = ()) -> None:
        """Ends the call with another status."""
