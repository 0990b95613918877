"""The end of a connection whose client still sends: the answer arrives before the connection is gone.

A socket closed with bytes unread is reset, and a reset throws away what the client has not read yet (RFC 9112 §9.6). So the server says
that it sends no more, takes what still comes and forgets it, and closes when the client has, or after `LINGER_S`. Loop only.
"""

from __future__ import annotations

import asyncio

LINGER_S = 2.0
"""A client that goes on sending after its answer is cut after this."""


async def linger(transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
    """Returns when `transport` may be closed; the caller does so. The last answer is written already.

    `protocol` is whose the connection is, before and afterwards; in between it is told only of its loss.
    """
    if transport.is_closing():
        return
    lingering = _Lingering(protocol)
    transport.set_protocol(lingering)
    try:
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        async with asyncio.timeout(LINGER_S):
            await lingering.ended.wait()
    except TimeoutError:
        pass
    finally:
        transport.set_protocol(protocol)


class _Lingering(asyncio.Protocol):
    """Forgets what comes."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.ended = asyncio.Event()
        self._protocol = protocol

    def eof_received(self) -> bool:
        """The connection stays until the caller closes it."""
        self.ended.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.ended.set()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._protocol.resume_writing()
