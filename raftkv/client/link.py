"""What the client needs of a connection to one server; `dial.ChannelLink` gives it over the transport.

SEAM. Tests put a server side of their own in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from raftkv.transport.client import RpcError

Metadata = tuple[tuple[str, str], ...]
"""Header name and value pairs of a call."""


class LinkStream(Protocol):
    """One bidirectional stream."""

    def send(self, body: bytes) -> None:
        """Queues one message; never waits. After the end it does nothing."""

    def cancel(self) -> None:
        """Ends the stream without another callback; may be called again."""


class Link(Protocol):
    """A connection to one server, made on first use and made again after it was lost."""

    async def call(self, path: str, body: bytes, *, metadata: Metadata = (), timeout_s: float | None = None) -> bytes:
        """One unary call.

        Raises:
            RpcError: the call failed; its `sent` is false only if the request certainly never reached the server.
        """

    async def stream(
        self, path: str, *, on_message: Callable[[bytes], None], on_done: Callable[[RpcError | None], None], metadata: Metadata = ()
    ) -> LinkStream:
        """Opens a stream; waits only for the connection. The callbacks run on the loop, never from inside this call; `on_done` once, last.

        Raises:
            RpcError: no connection.
        """

    async def aclose(self) -> None:
        """Ends every call and the connection; may be called again."""
