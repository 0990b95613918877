"""A control plane in a thread of its own, and a client of bytes that knows nothing but HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.resource_api.plane import ADMIN_TOKEN, served

TIMEOUT_S = 30


class Server:
    """`host` and `port` of plain HTTP; `ask` speaks as the administrator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)

    def ask(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Status code, content type and body. The headers are those given, and the token."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body, {"Authorization": f"Bearer {ADMIN_TOKEN}", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        finally:
            connection.close()

    def make(self, path: str, obj: object) -> None:
        """Creates an object that must be taken."""
        code, _, answer = self.ask("POST", path, json.dumps(obj).encode())
        assert code == 201, answer


@contextmanager
def running_server(*flags: str) -> Iterator[Server]:
    """Serves while the block runs."""
    started, stop = threading.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with served(*flags) as api:
            urls.append(api.url)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="server")
    thread.start()
    try:
        assert started.wait(TIMEOUT_S)
        yield Server(urls[0])
    finally:
        stop.set()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
