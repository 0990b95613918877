"""A member in this process, on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from raftkv.embedded import running_member
from raftkv.server.settings import MemberSettings

ANY = ("http://127.0.0.1:0",)


async def _get(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), body
    finally:
        writer.close()


@pytest.mark.slow
def test_metrics_urls_are_listened_on_besides_the_others(tmp_path):
    """Three kinds of ports; that of the metrics takes no client's calls."""
    settings = MemberSettings(
        name="m",
        data_dir=str(tmp_path / "data"),
        initial_cluster=(("m", ANY[0]),),
        initial_advertise_peer_urls=ANY,
        advertise_client_urls=ANY,
        listen_peer_urls=ANY,
        listen_client_urls=ANY,
        listen_metrics_urls=ANY,
    )

    async def body() -> None:
        async with running_member(settings) as member:
            await member.ready.wait()
            ports = [listener.sockets[0].getsockname()[1] for listener in member.listeners]  # type: ignore[attr-defined]
            assert len(set(ports)) == 3
            status, metrics = await _get(ports[2], "/metrics")
            assert status == 200 and b"\netcd_server_has_leader 1\n" in metrics
            assert await _get(ports[2], "/health") == (200, b'{"health":"true","reason":""}')
            assert (await _get(ports[2], "/version"))[0] == 404
            assert (await _get(ports[1], "/debug/vars"))[0] == 200

    asyncio.run(body())
