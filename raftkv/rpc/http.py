"""The HTTP/1.1 shell around the endpoints: aiohttp parses, `endpoints.py` answers.

The only module that imports aiohttp, and only when the first HTTP/1.1 connection comes or `load()` is called: it costs
110 ms and 12 MB, which a member that starts shall not wait for. aiohttp's defaults that do not fit are set here: its
body limit, its Server header, its access log.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from raftkv.rpc.endpoints import Endpoints, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from aiohttp import web

BODY_BYTES_MAX = 2 * 1024 * 1024
"""Largest request body, the same as the largest gRPC message; more is answered 413."""

IDLE_CONNECTION_S = 75.0
"""An idle connection is closed after this; clients and proxies expect about a minute."""


def http1_factory(endpoints: Endpoints, loop: asyncio.AbstractEventLoop) -> Http1Shell:
    """What the transport calls for a connection that turned out to be HTTP/1.1."""
    return Http1Shell(endpoints, loop)


class Http1Shell:
    """Makes one protocol per HTTP/1.1 connection."""

    def __init__(self, endpoints: Endpoints, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoints = endpoints
        self._loop = loop
        self._server: web.Server | None = None

    def __call__(self) -> asyncio.Protocol:
        """A protocol for one connection; everything that arrived must be given to it."""
        self.load()
        assert self._server is not None
        return self._server()

    def load(self) -> None:
        """Imports aiohttp, if that has not happened. On the loop; blocks it for the time of the import."""
        if self._server is None:
            self._server = _make_server(self._endpoints, self._loop)

    async def close(self) -> None:
        """Ends all connections, those with a request in progress after at most a second."""
        if self._server is not None:
            await self._server.shutdown(1.0)


def _make_server(endpoints: Endpoints, loop: asyncio.AbstractEventLoop) -> web.Server:
    from aiohttp import web

    class Request(web.BaseRequest):
        """A request whose response says nothing of the software behind it."""

        async def _prepare_hook(self, response: web.StreamResponse) -> None:
            # aiohttp's signal for this exists only under an Application, which cannot be made without waiting.
            response.headers.popall("Server", None)

    def make_request(*args: object) -> web.BaseRequest:
        message, payload, protocol, writer, task = args
        return Request(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX)  # type: ignore[arg-type]

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        answer: asyncio.Future[HttpResponse] = loop.create_future()

        def reply(response: HttpResponse) -> None:
            if not answer.done():  # cancelled when the client went away
                answer.set_result(response)

        endpoints.serve(HttpRequest(request.method, request.path, request.query_string, body), reply)
        response = await answer
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    return web.Server(handle, request_factory=make_request, loop=loop, access_log=None, keepalive_timeout=IDLE_CONNECTION_S)
