"""Connections that do not behave: who does not read, does not finish, says everything at once, or is there when the server stops.

On virtual time, over a connection in memory, except where only a socket has what is tested.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from jepsen_like.sim.loop import VirtualLoop
from raftkv.transport.pair import PairTransport, connect_pair
from resource_api.errors import StatusError
from resource_api.http.messages import TEXT, Answer, Request, Response
from resource_api.http.shell import IDLE_CONNECTION_S, STALLED_S, STREAM_END_S
from tests.resource_api.http.serving import Face, config_map, face_of, open_guards

MAPS = "/api/v1/namespaces/default/configmaps"
TIMEOUT_S = 60.0
HOST = "Host: localhost\r\n"


class Client(asyncio.Protocol):
    """One that sends what it is told to, and reads when it wants to."""

    def __init__(self) -> None:
        self.got = b""
        self.closed_at: float | None = None
        self.transport: PairTransport
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, PairTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_at = asyncio.get_running_loop().time()
        self._news.set()

    def send(self, *lines: str, body: bytes = b"") -> None:
        self.transport.write("\r\n".join(lines).encode() + b"\r\n" + HOST.encode() + b"\r\n" + body)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Looks again whenever something came."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def until_closed(self) -> float:
        """When it was."""
        await self.until(lambda: self.closed_at is not None)
        assert self.closed_at is not None
        return self.closed_at

    @property
    def statuses(self) -> list[int]:
        """Of the answers so far."""
        return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", self.got)]


class Connections:
    """A server and who speaks to it."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.loop = asyncio.get_running_loop()
        self.held = asyncio.Event()
        """What `/held` waits for."""
        self.entered = asyncio.Event()
        face.server.routes.add("/held", self._hold)
        face.server.routes.add("/large", self._large)

    async def _hold(self, request: Request) -> Answer:
        self.entered.set()
        await self.held.wait()
        return Response(200, b"held", TEXT)

    async def _large(self, request: Request) -> Answer:
        return Response(200, b"x" * 1_000_000, TEXT)

    def connect(self) -> Client:
        client = Client()
        connect_pair(self.loop, client, self.face.server._shell.protocol())  # type: ignore[arg-type]
        return client

    async def write(self, count: int, size_bytes: int = 1000) -> None:
        """Changes of one object, each told to every watcher."""
        for number in range(count):
            self.face.store.put("configmaps/default/a", json.dumps(config_map("a", x=f"{number:0{size_bytes}}")).encode())
            await asyncio.sleep(0.001)

    @property
    def watches(self) -> int:
        return sum(self.face.server.counters.long_running.values())


def play(scenario: Callable[[Connections], Awaitable[None]], **options: object) -> None:
    loop = VirtualLoop(0)

    async def body() -> None:
        async with face_of(**options) as face:  # type: ignore[arg-type]
            await scenario(Connections(face))

    loop.run_until_complete(asyncio.wait_for(body(), 10_000))
    assert not loop.callback_errors, loop.callback_errors


# Who does not read.


@pytest.mark.slow
def test_watcher_that_does_not_read_is_cut_and_others_are_not():
    """Its watch is over when too much waits for it; a minute later nothing of the connection is left. Who reads slowly stays."""

    async def scenario(world: Connections) -> None:
        stalled, slow, good = (world.connect() for _ in range(3))
        for client in (stalled, slow, good):
            client.send(f"GET {MAPS}?watch=1&timeoutSeconds=600 HTTP/1.1")
        await good.until(lambda: len(good.got) > 0)
        stalled.transport.pause_reading()
        began = world.loop.time()
        for _ in range(50):
            slow.transport.pause_reading()
            await world.write(2, 50_000)
            slow.transport.resume_reading()
            await asyncio.sleep(2)
        assert world.watches == 2
        assert stalled.closed_at is None  # It has not looked yet.
        stalled.transport.resume_reading()
        assert await stalled.until_closed() - began >= STALLED_S
        assert good.got.count(b'"MODIFIED"') + good.got.count(b'"ADDED"') == 100
        assert slow.got.count(b'"MODIFIED"') + slow.got.count(b'"ADDED"') == 100

    play(scenario)


def test_client_that_takes_nothing_of_a_large_answer_is_cut():
    """A list in memory for a reader that is gone without a word would stay for ever."""

    async def scenario(world: Connections) -> None:
        client = world.connect()
        client.transport.pause_reading()
        client.send("GET /large HTTP/1.1")
        await asyncio.sleep(STALLED_S - 1)
        assert len(world.face.server._shell._server.connections) == 1
        await asyncio.sleep(2)
        assert not world.face.server._shell._server.connections

    play(scenario)


# Who is one too many.


def test_connection_too_many_is_cut_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture):
    """The store's own files need descriptors: clients must not take the last. Said once, until there was room again."""

    async def scenario(world: Connections) -> None:
        world.face.server._shell._server._connections_max = 20
        kept = [world.connect() for _ in range(20)]
        for _ in range(5):
            await world.connect().until_closed()
        for client in kept:
            client.send("GET /version HTTP/1.1")
            await client.until(lambda client=client: client.statuses == [200])
        kept.pop().transport.close()
        await asyncio.sleep(1)
        again = world.connect()
        again.send("GET /version HTTP/1.1")
        await again.until(lambda: again.statuses == [200])

    play(scenario)
    assert len([record for record in caplog.records if "too many connections" in record.message]) == 1


# Who does not finish.


@pytest.mark.parametrize("sent", ["", "GET /version HT", f"GET /version HTTP/1.1\r\n{HOST}X: "])
def test_connection_without_a_whole_request_is_closed(sent: str):
    """However many there are, and whatever they have begun to say."""

    async def scenario(world: Connections) -> None:
        began = world.loop.time()
        client = world.connect()
        client.transport.write(sent.encode())
        assert abs(await client.until_closed() - began - IDLE_CONNECTION_S) < 1
        assert client.got == b""

    play(scenario)


def test_body_that_does_not_come_to_an_end_ends_with_the_requests_time():
    """504, whether bytes come now and then or not at all; then the connection is closed, since the rest of the body may still come."""

    async def scenario(world: Connections) -> None:
        began = world.loop.time()
        silent, slow = world.connect(), world.connect()
        for client in (silent, slow):
            client.send(f"POST {MAPS} HTTP/1.1", "Content-Length: 1000", "Content-Type: application/json")
        for _ in range(70):
            slow.transport.write(b" ")
            await asyncio.sleep(1)
        assert silent.statuses == slow.statuses == [504]
        await silent.until_closed()
        assert await slow.until_closed() - began < TIMEOUT_S + 15

    play(scenario)


@pytest.mark.parametrize("turns", range(8))
def test_watch_of_a_client_that_is_gone_ends_at_once(turns: int):
    """Also before its first byte, at whatever point of its opening: nobody would ever tell it to end."""

    async def scenario(world: Connections) -> None:
        lister = world.connect()
        lister.send(f"GET {MAPS} HTTP/1.1")
        await lister.until(lambda: lister.statuses == [200])
        for _ in range(3):
            client = world.connect()
            client.send(f"GET {MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1 HTTP/1.1")
            for _ in range(turns):
                await asyncio.sleep(0)
            client.transport.close()
        await asyncio.sleep(1)
        assert world.watches == 0
        assert ", 0 watchers" in world.face.catalog.caches.describe()

    play(scenario)


def test_read_of_a_client_that_is_gone_ends_at_once_and_a_write_goes_on():
    """Nobody takes what is read; what was asked to be changed is changed, as it would be had the client gone a moment later."""
    waiting: list[asyncio.Future[None]] = []
    ended: list[str] = []

    async def slow(request: Request):
        await request.body()
        waiting.append(asyncio.get_running_loop().create_future())
        try:
            await waiting[-1]
        except asyncio.CancelledError:
            ended.append(request.method)
            raise
        return await open_guards().authenticate(request)

    async def scenario(world: Connections) -> None:
        body = json.dumps(config_map("a")).encode()
        reader, writer = world.connect(), world.connect()
        reader.send(f"GET {MAPS} HTTP/1.1")
        writer.send(f"POST {MAPS} HTTP/1.1", f"Content-Length: {len(body)}", "Content-Type: application/json", body=body)
        await asyncio.sleep(0.1)
        assert len(waiting) == 2
        for client in (reader, writer):
            client.transport.abort()
        await asyncio.sleep(0.1)
        assert ended == ["GET"]
        waiting[1].set_result(None)
        await asyncio.sleep(0.1)
        assert await world.face.store.count("configmaps/default/a") == 1

    play(scenario, guards=replace(open_guards(), authenticate=slow))


def test_client_that_goes_within_its_body_is_no_fault_of_the_servers(caplog: pytest.LogCaptureFixture):
    """Nothing is logged as an error, no answer of the five hundreds is counted, and nothing is changed."""

    async def scenario(world: Connections) -> None:
        for framing in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
            client = world.connect()
            client.send(f"POST {MAPS} HTTP/1.1", framing, "Content-Type: application/json", body=b"5\r\n{")
            await asyncio.sleep(0.1)
            client.transport.abort()
        await asyncio.sleep(0.1)
        assert world.face.server.counters.faults == 0
        assert re.findall(r'^apiserver_request_total{code="(\d+)".* (\d+)$', world.face.server.counters.text(), re.M) == [("499", "2")]
        assert world.face.store.now == 1

    with caplog.at_level(logging.INFO):
        play(scenario)
    assert not caplog.records


# Who says everything at once.


def test_requests_sent_at_once_are_answered_in_their_order():
    """Also behind one that takes its time, and behind a watch, when that is over."""

    async def scenario(world: Connections) -> None:
        client = world.connect()
        body = json.dumps(config_map("a")).encode()
        client.send("GET /held HTTP/1.1")
        client.send(f"POST {MAPS} HTTP/1.1", f"Content-Length: {len(body)}", "Content-Type: application/json", body=body)
        client.send(f"GET {MAPS}?watch=1&timeoutSeconds=5 HTTP/1.1")
        client.send("GET /nothing HTTP/1.1")
        await world.entered.wait()
        await asyncio.sleep(1)
        assert client.got == b""
        world.held.set()
        await client.until(lambda: 404 in client.statuses)
        assert client.statuses == [200, 201, 200, 404]

    play(scenario)


def test_flood_of_requests_at_once_waits_outside():
    """Nobody makes the server keep what it has not come to yet: what is not read stays with the client."""

    async def scenario(world: Connections) -> None:
        client = world.connect()
        client.send("GET /held HTTP/1.1")
        await world.entered.wait()
        for _ in range(400):
            client.send("GET /version HTTP/1.1")
            await asyncio.sleep(0)
        (connection,) = world.face.server._shell._server.connections
        assert len(connection._messages) < 100
        world.held.set()
        await client.until(lambda: len(client.statuses) == 401)

    play(scenario)


def test_body_is_asked_for_only_when_it_is_wanted():
    """`Expect: 100-continue`: who may not is told so at once, and nothing is left of the body in the next request."""

    async def nobody(request: Request):
        if "Authorization" not in request.headers:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return await open_guards().authenticate(request)

    async def scenario(world: Connections) -> None:
        body = json.dumps(config_map("a")).encode()
        head = (f"POST {MAPS} HTTP/1.1", f"Content-Length: {len(body)}", "Content-Type: application/json", "Expect: 100-continue")
        client = world.connect()
        client.send(*head, "Authorization: x")
        await client.until(lambda: client.got == b"HTTP/1.1 100 Continue\r\n\r\n")
        client.transport.write(body)
        await client.until(lambda: client.statuses == [100, 201])
        refused = world.connect()
        refused.send(*head)
        await refused.until(lambda: refused.statuses == [401])
        await refused.until_closed()
        assert refused.statuses == [401]

    play(scenario, guards=replace(open_guards(), authenticate=nobody))


# Who is there when the server stops.


def test_stop_ends_watches_at_once_and_lets_requests_finish():
    """Connections without a request are closed, new requests are not taken."""

    async def scenario(world: Connections) -> None:
        watcher, asker, idle = (world.connect() for _ in range(3))
        watcher.send(f"GET {MAPS}?watch=1 HTTP/1.1")
        asker.send("GET /held HTTP/1.1")
        idle.send("GET /version HTTP/1.1")
        await world.entered.wait()
        await idle.until(lambda: idle.statuses == [200])
        began = world.loop.time()
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(world.face.server.stop())
            assert await watcher.until_closed() - began < STREAM_END_S
            assert watcher.got.endswith(b"0\r\n\r\n")
            assert await idle.until_closed() - began < STREAM_END_S
            asker.send("GET /version HTTP/1.1")
            await asyncio.sleep(30)
            assert not stopping.done()
            world.held.set()
            await stopping
        assert world.loop.time() - began < 31
        assert asker.statuses == [200]
        assert asker.got.endswith(b"held")

    play(scenario)


def test_stop_waits_no_longer_than_a_request_may_take():
    """What hangs is ended, and told so; a watcher that does not read is not waited for."""

    async def scenario(world: Connections) -> None:
        stalled, asker = world.connect(), world.connect()
        stalled.send(f"GET {MAPS}?watch=1 HTTP/1.1")
        await stalled.until(lambda: bool(stalled.got))
        stalled.transport.pause_reading()
        await world.write(200)
        asker.send("GET /held HTTP/1.1")
        await world.entered.wait()
        began = world.loop.time()
        await world.face.server.stop()
        assert TIMEOUT_S - 1 <= world.loop.time() - began <= TIMEOUT_S + 1
        await asker.until_closed()
        assert asker.statuses == [504]

    play(scenario)


# Sockets.


@pytest.mark.asyncio
async def test_client_that_says_it_is_done_hears_its_answers():
    """Half-closed behind its requests, as `nc` does: all are answered, then the connection is closed. A watch ends at once."""
    async with face_of() as api:
        port = await api.server.listen("127.0.0.1", 0, None)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /version HTTP/1.1\r\n{HOST}\r\nGET {MAPS} HTTP/1.1\r\n{HOST}\r\n".encode())
        writer.write_eof()
        async with asyncio.timeout(5):
            said = await reader.read()
        assert said.count(b"HTTP/1.1 200 ") == 2
        assert b"Connection: close" in said.split(b"HTTP/1.1 200 ")[2]
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {MAPS}?watch=1 HTTP/1.1\r\n{HOST}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
