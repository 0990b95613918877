"""Two transports joined in memory: what one side writes, the other's protocol receives in a later turn of the same loop.

Stands in for a socket between a client and a server of one process. Refuses to know what is sent. Loop only. Bytes written in one turn
arrive together; nothing is delivered from inside `write`. A side that has stopped reading pauses the other's writing at its high-water
mark, as a socket's buffer would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

HIGH_WATER_BYTES = 1 << 16
"""What may be on its way to a side before the other is asked to pause; `set_write_buffer_limits` says otherwise."""


class PairTransport(asyncio.Transport):
    """One side.

    Invariants: 1. every byte written before `close` reaches the other protocol before its `connection_lost`; after `abort` none that
    has not yet arrived does. 2. `connection_lost` is called exactly once, in a turn of its own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, name: str) -> None:
        super().__init__({"peername": name})
        self._loop = loop
        self._protocol = protocol
        self._other: PairTransport = self
        self._arrived: list[bytes] = []
        self._arrived_bytes = 0
        self._is_armed = False
        self._is_reading = True
        self._is_closing = False
        self._is_lost = False
        self._has_ended = False
        """The other side will write nothing more."""
        self._wants_pause = False
        self._high_bytes = HIGH_WATER_BYTES
        self._low_bytes = HIGH_WATER_BYTES // 4

    def join(self, other: PairTransport) -> None:
        """Makes the two one connection; once, before anything else."""
        self._other, other._other = other, self

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio.WriteTransport; what is written after the end is dropped."""
        if self._is_closing or not data:
            return
        other = self._other
        other._arrived.append(data if isinstance(data, bytes) else bytes(data))
        other._arrived_bytes += len(data)
        other._arm()
        if other._arrived_bytes > self._high_bytes and not self._wants_pause:
            self._wants_pause = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        """See asyncio.WriteTransport."""
        for data in list_of_data:
            self.write(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio.WriteTransport."""
        self._high_bytes = HIGH_WATER_BYTES if high is None else high
        self._low_bytes = self._high_bytes // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """See asyncio.WriteTransport."""
        return self._other._arrived_bytes

    def can_write_eof(self) -> bool:
        """A half-closed pair is not offered."""
        return False

    # Reading.

    def is_reading(self) -> bool:
        """See asyncio.ReadTransport."""
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        """See asyncio.ReadTransport."""
        self._is_reading = False

    def resume_reading(self) -> None:
        """See asyncio.ReadTransport."""
        self._is_reading = True
        if self._arrived or self._has_ended:
            self._arm()

    # The end.

    def is_closing(self) -> bool:
        """See asyncio.BaseTransport."""
        return self._is_closing

    def close(self) -> None:
        """What was written still arrives; then both sides are told."""
        if self._is_closing:
            return
        self._is_closing = True
        self._arrived.clear()
        self._loop.call_soon(self._lose, None)
        self._other._has_ended = True
        self._other._arm()

    def abort(self) -> None:
        """As `close`, and what has not arrived never does."""
        if not self._is_lost:
            self._other._arrived.clear()
            self._other._arrived_bytes = 0
        self.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio.BaseTransport."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See asyncio.BaseTransport."""
        return self._protocol

    # Inside.

    def _arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._is_armed = False
        if self._is_closing or not self._is_reading:
            return
        arrived = self._arrived
        if arrived:
            self._arrived = []
            self._arrived_bytes = 0
            other = self._other
            if other._wants_pause and not other._is_lost:
                other._wants_pause = False
                other._protocol.resume_writing()
            self._protocol.data_received(arrived[0] if len(arrived) == 1 else b"".join(arrived))
        if self._has_ended and not self._arrived and not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._lose, None)

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._protocol.connection_lost(error)


def connect_pair(
    loop: asyncio.AbstractEventLoop, client: asyncio.Protocol, server: asyncio.Protocol, *, name: str = "in-process"
) -> tuple[PairTransport, PairTransport]:
    """Joins two protocols; both have had their `connection_made` when this returns. Each is told `name` as its peer's address."""
    near, far = PairTransport(loop, client, name), PairTransport(loop, server, name)
    near.join(far)
    server.connection_made(far)
    client.connection_made(near)
    return near, far


def connector(loop: asyncio.AbstractEventLoop, server_factory: Callable[[], asyncio.Protocol]) -> Callable[[asyncio.Protocol], None]:
    """How a `Channel` connects to a server of this process: `server_factory` is what `create_server` would be given."""

    def connect(client: asyncio.Protocol) -> None:
        connect_pair(loop, client, server_factory())

    return connect
