"""What is made of the answers of local processes."""

from __future__ import annotations

import asyncio

import pytest

from raftkv.up.health import unhealthy_because
from raftkv.up.layout import HOST, free_ports


async def answered(answer: bytes) -> str:
    """What is made of a server that answers so."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        return await unhealthy_because(server.sockets[0].getsockname()[1], "/health", timeout_s=60.0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"health":"true","reason":""}', ""),
        (b'HTTP/1.1 503 Service Unavailable\r\nX: y\r\n\r\n{"health":"false","reason":"RAFT NO LEADER"}', "raft no leader"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n404 page not found", "/health answers HTTP/1.1 404 Not Found"),
        (b"", "/health answers nothing"),
    ],
)
def test_health_answer_is_told_in_words(answer, reason):
    assert asyncio.run(answered(answer)) == reason


def test_health_of_nobody_is_told_in_words():
    assert asyncio.run(unhealthy_because(free_ports(1)[0], "/health", timeout_s=60.0)) == "not listening yet"
