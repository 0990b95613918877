"""Writes that come after the end of their connection."""

from __future__ import annotations

from tests.transport.conftest import Run
from tests.transport.wire import serving, until


def test_flush_after_the_connection_was_cut_writes_nothing(run_real: Run) -> None:
    """A connect that is cancelled closes a transport whose protocol is never told; uvloop's then raises on a write."""

    async def main() -> None:
        async with serving() as running:
            channel = await running.channel()
            protocol = channel._protocol
            assert protocol is not None and protocol.connection is not None
            transport = protocol._transport
            protocol.abort()
            await until(lambda: protocol._transport is None)
            protocol._transport = transport
            protocol.connection.sender.write(b"late")
            protocol.flush()
            protocol._transport = None

    run_real(main())
