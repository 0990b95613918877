"""A server on a loop, channels to it, and bare connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from jepsen_like.sim.loop import VirtualLoop
from raftkv.transport.channel import Channel
from raftkv.transport.server import GrpcServer, Kind, Route, ServerCall, ServerLimits
from tests.transport.pair import ECHO, FAIL, KEEP, STREAM, EchoHandler, Handler


class Service:
    """The tests' methods, keeping what they saw."""

    def __init__(self) -> None:
        self.kept: list[tuple[ServerCall, bytes]] = []
        self.handlers: list[Handler] = []

    def fail(self, call: ServerCall, body: bytes) -> None:
        raise RuntimeError("a handler's bug")

    def open(self, make: Callable[[ServerCall], Handler]) -> Callable[[ServerCall], Handler]:
        def handler(call: ServerCall) -> Handler:
            self.handlers.append(make(call))
            return self.handlers[-1]

        return handler

    def routes(self) -> dict[str, Route]:
        return {
            ECHO: Route(Kind.UNARY, lambda call, body: call.reply(body)),
            KEEP: Route(Kind.UNARY, lambda call, body: self.kept.append((call, body))),
            FAIL: Route(Kind.UNARY, self.fail),
            "/t.Svc/Bidi": Route(Kind.BIDI, self.open(EchoHandler)),
            STREAM: Route(Kind.BIDI, self.open(Handler)),
        }


class Running:
    """A listening server."""

    def __init__(self, server: GrpcServer, service: Service, address: tuple[str, int], listener: Any) -> None:
        self.server, self.service, self.address, self.listener = server, service, address, listener

    async def channel(self, **options: Any) -> Channel:
        channel = Channel(self.address, **options)
        await channel.connect()
        return channel


@asynccontextmanager
async def serving(limits: ServerLimits | None = None, *, ssl: Any = None, **hooks: Any) -> AsyncIterator[Running]:
    loop, service = asyncio.get_running_loop(), Service()
    server = GrpcServer(loop, service.routes(), limits or ServerLimits(), **hooks)
    if isinstance(loop, VirtualLoop):
        address = ("server", 2379)
        listener = await loop.create_server(server.protocol_factory, *address)
    else:
        listener = await loop.create_server(server.protocol_factory, "127.0.0.1", 0, ssl=ssl)
        address = listener.sockets[0].getsockname()[:2]
    try:
        yield Running(server, service, address, listener)
    finally:
        listener.close()
        server.close()
        await settle()


async def settle(turns: int = 20) -> None:
    """Let callbacks and sockets run."""
    for _ in range(turns):
        await asyncio.sleep(0.001 if isinstance(asyncio.get_running_loop(), VirtualLoop) else 0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that is about to happen."""
    while not condition():  # noqa: ASYNC110  # What is waited for has no event to set.
        await asyncio.sleep(0.001)


class Bare(asyncio.Protocol):
    """A connection that sends what it is told and keeps what it gets."""

    def __init__(self) -> None:
        self.got = b""
        self.lost = False
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def bare(address: tuple[str, int]) -> Bare:
    _, protocol = await asyncio.get_running_loop().create_connection(Bare, *address)
    return protocol
