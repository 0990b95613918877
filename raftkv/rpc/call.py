"""What the services see of one call. The transport's ServerCall has this shape; so has the fake in tests/rpc.

Owns nothing; the services are written against it so that they are tested without a socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Metadata = Sequence[tuple[bytes, bytes]]
"""Request headers by lower-case name; a block that was seen before on the connection is the same object again."""


class Call(Protocol):
    """One gRPC call, on the loop. After `reply`, `finish` or `fail` nothing more may be said."""

    @property
    def metadata(self) -> Metadata:
        """The request's headers."""

    @property
    def cancelled(self) -> bool:
        """True once the client went away or the deadline passed: whatever is said now is dropped."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes this call was given that have not left for the socket."""

    def reply(self, body: bytes) -> None:
        """Ends a unary call with one message and status OK."""

    def send(self, body: bytes) -> None:
        """One message of a response stream; never blocks, see `unsent_bytes`."""

    def finish(self) -> None:
        """Ends a response stream with status OK."""

    def fail(self, code: int, message: str) -> None:
        """Ends the call with another status."""
