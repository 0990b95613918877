"""The HTTP/1.1 shell around the endpoints: aiohttp parses, `endpoints.py` answers.

The only module of this package that imports aiohttp, and only when the first HTTP/1.1 connection comes or `load()` is called: it costs
110 ms and 12 MB, which a member that starts shall not wait for. aiohttp's defaults that do not fit are set here: its
body limit, its Server header, its access log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from raftkv.connection_log import connection_log
from raftkv.rpc.endpoints import Answerer, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from aiohttp import web

BODY_BYTES_MAX = 2 * 1024 * 1024
"""Largest request body, the same as the largest gRPC message; more is answered 413."""

REQUEST_TIMEOUT_S = 10.0
"""A connection whose first request has not begun, and a request whose body is not complete, after this is closed: aiohttp
would wait for ever."""

IDLE_CONNECTION_S = 75.0
"""An idle connection is closed after this; clients and proxies expect about a minute."""


def http1_factory(endpoints: Answerer, loop: asyncio.AbstractEventLoop) -> Http1Shell:
    """What the transport calls for a connection that turned out to be HTTP/1.1."""
    return Http1Shell(endpoints, loop)


class Http1Shell:
    """Makes one protocol per HTTP/1.1 connection."""

    def __init__(self, endpoints: Answerer, loop: asyncio.AbstractEventLoop, request_timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._endpoints = endpoints
        self._loop = loop
        self._timeout_s = request_timeout_s
        self._server: web.Server | None = None
        self._silent: dict[asyncio.Protocol, asyncio.TimerHandle] = {}
        """Connections without a request so far, and when each is cut."""

    def __call__(self) -> asyncio.Protocol:
        """A protocol for one connection; everything that arrived must be given to it."""
        self.load()
        assert self._server is not None
        protocol = self._server()
        self._silent[protocol] = self._loop.call_later(self._timeout_s, self._cut, protocol)
        return protocol

    def load(self) -> None:
        """Imports aiohttp, if that has not happened. On the loop; blocks it for the time of the import."""
        if self._server is None:
            self._server = _make_server(self._answer, self._loop)

    async def close(self) -> None:
        """Ends all connections, those with a request in progress after at most a second."""
        for timer in self._silent.values():
            timer.cancel()
        self._silent.clear()
        if self._server is not None:
            await self._server.shutdown(1.0)

    async def _answer(self, request: web.BaseRequest) -> HttpResponse:
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await request.read()
        except TimeoutError:
            return HttpResponse(408, (("Connection", "close"),), b"")
        answer: asyncio.Future[HttpResponse] = self._loop.create_future()

        def reply(response: HttpResponse) -> None:
            if not answer.done():  # cancelled when the client went away
                answer.set_result(response)

        self._endpoints.serve(
            HttpRequest(request.method, request.path, request.query_string, body, request.headers.get("Origin", "")), reply
        )
        return await answer

    def _cut(self, protocol: web.RequestHandler) -> None:
        self._silent.pop(protocol, None)
        protocol.force_close()


def _make_server(answer: Callable[[web.BaseRequest], Awaitable[HttpResponse]], loop: asyncio.AbstractEventLoop) -> web.Server:
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
        response = await answer(request)
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    log = connection_log("raftkv.http")
    return web.Server(handle, request_factory=make_request, loop=loop, logger=log, access_log=None, keepalive_timeout=IDLE_CONNECTION_S)
