"""A stream to a server as something to wait on: messages out, a bounded queue of messages in.

Bridges the link's callbacks to `await`. One reader, event loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from raftkv.client.link import Link, LinkStream, Metadata
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code

QUEUE_MESSAGES_MAX = 4096
QUEUE_BYTES_MAX = 64 << 20
"""What may wait for a reader that does not read. Over either the stream is ended: its reader finds, after what is queued, a broken
stream, and a watch then resumes where it was, so that memory stays bounded and no event is lost."""


class Stream:
    """One open stream.

    Invariants:
        1. Messages are delivered in order, and all that came before the error or the end.
    """

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._done = False
        self._error: RpcError | None = None
        self._stream: LinkStream | None = None

    @classmethod
    async def open(cls, link: Link, path: str, metadata: Metadata) -> Self:
        """Opens a stream.

        Raises:
            RpcError: no connection.
        """
        stream = cls()
        stream._stream = await link.stream(path, on_message=stream._on_message, on_done=stream._on_done, metadata=metadata)
        return stream

    def send(self, body: bytes) -> None:
        """Queues one message."""
        if not self._done and self._stream is not None:
            self._stream.send(body)

    def cancel(self) -> None:
        """Ends the stream; what is queued is forgotten."""
        self._messages.clear()
        self._finish(None)
        if self._stream is not None:
            self._stream.cancel()

    async def receive(self) -> bytes | None:
        """The next message; `None` when the stream has ended without an error.

        Raises:
            RpcError: the stream broke.
        """
        while not self._messages:
            if self._error is not None:
                raise self._error
            if self._done:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        body = self._messages.popleft()
        self._queued_bytes -= len(body)
        return body

    def _on_message(self, body: bytes) -> None:
        if self._done:
            return
        self._messages.append(body)
        self._queued_bytes += len(body)
        if len(self._messages) > QUEUE_MESSAGES_MAX or (self._queued_bytes > QUEUE_BYTES_MAX and len(self._messages) > 1):
            assert self._stream is not None
            self._stream.cancel()
            self._finish(RpcError(Code.UNAVAILABLE, "the reader fell behind"))
        else:
            self._wake()

    def _on_done(self, error: RpcError | None) -> None:
        if not self._done:
            self._finish(error)

    def _finish(self, error: RpcError | None) -> None:
        self._done = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
