"""Stock gRPC: grpcio's clients, sync and aio, against our server; our client against grpcio's server; h2load where it is."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import uvloop

from raftkv.transport.channel import Channel, RpcError
from raftkv.transport.server import GrpcServer, Kind, Route, ServerCall, ServerLimits
from tests.transport.pair import BIDI, ECHO, KEEP, EchoHandler, Handler, message

pytestmark = pytest.mark.slow
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
UP, DOWN, BIG, STATUS, META = "/t.Svc/Up", "/t.Svc/Down", "/t.Svc/Big", "/t.Svc/Status", "/t.Svc/Meta"


class Up(Handler):
    """Joins all messages into one answer."""

    def on_half_close(self) -> None:
        self.call.send(b"".join(self.log))
        self.call.finish()


class Down(Handler):
    """Answers one number with so many messages, waiting for the client to take them."""

    def __init__(self, call: ServerCall) -> None:
        super().__init__(call)
        self.left = 0

    def on_message(self, body: bytes) -> None:
        self.left = int(body)
        self.on_writable()

    def on_writable(self) -> None:
        while self.left and self.call.writable:
            self.left -= 1
            self.call.send(b"%d " % self.left * 1000)
        if not self.left:
            self.call.finish()


class Served:
    """Our server on its own loop and thread."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.cancelled = threading.Event()
        self.asked = threading.Event()
        self._loop = new_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="served")
        self._thread.start()
        assert self._ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def target(self) -> str:
        return "{}:{}".format(*self.address)

    def _main(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self.server = GrpcServer(self._loop, self._routes(), ServerLimits())
        listener = await self._loop.create_server(self.server.protocol_factory, "127.0.0.1", 0)
        self.address = listener.sockets[0].getsockname()
        self._ready.set()
        await self._stop.wait()
        listener.close()
        self.server.close()
        await asyncio.sleep(0.01)

    def _routes(self) -> dict[str, Route]:
        def keep(call: ServerCall, body: bytes) -> None:
            self.asked.set()

        def meta(call: ServerCall, body: bytes) -> None:
            call.fail(9, repr(sorted(call.metadata.items())), (("answer", "42"),))

        cancelled = self.cancelled

        class Watched(EchoHandler):
            def on_cancel(self) -> None:
                cancelled.set()

        return {
            ECHO: Route(Kind.UNARY, lambda call, body: call.reply(body)),
            KEEP: Route(Kind.UNARY, keep),
            BIG: Route(Kind.UNARY, lambda call, body: call.reply(bytes(int(body)))),
            META: Route(Kind.UNARY, meta),
            STATUS: Route(Kind.UNARY, lambda call, body: call.fail(int(body), "etcdserver: größer als 100%")),
            BIDI: Route(Kind.BIDI, Watched),
            UP: Route(Kind.CLIENT_STREAM, Up),
            DOWN: Route(Kind.SERVER_STREAM, Down),
        }


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    server = Served(asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop)
    yield server
    server.close()
    assert server.server.statistics().handler_error_count == 0


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.target, options=UNLIMITED) as found:
        yield found


def test_grpcio_unary_bodies_of_all_sizes(channel: grpc.Channel) -> None:
    echo = channel.unary_unary(ECHO)
    for size in (0, 1, 1000, 16_379, 16_380, 100_000, 1_500_000):
        assert echo(b"v" * size, timeout=10) == b"v" * size
    futures = [echo.future(b"%d" % n, timeout=10) for n in range(300)]
    assert [future.result() for future in futures] == [b"%d" % n for n in range(300)]


def test_grpcio_takes_answers_of_tens_of_megabytes(channel: grpc.Channel) -> None:
    big = channel.unary_unary(BIG)
    futures = [big.future(b"20000000", timeout=20) for _ in range(2)]
    assert [len(future.result()) for future in futures] == [20_000_000] * 2


def test_grpcio_streams_in_every_direction(channel: grpc.Channel) -> None:
    bodies = [b"%d" % n * 100 for n in range(200)]
    assert list(channel.stream_stream(BIDI)(iter(bodies), timeout=10)) == bodies
    assert channel.stream_unary(UP)(iter(bodies), timeout=10) == b"".join(bodies)
    slow = []
    for body in channel.unary_stream(DOWN)(b"3000", timeout=20):
        slow.append(len(body))
        if len(slow) < 5:
            time.sleep(0.02)
    assert len(slow) == 3000


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_grpcio_sees_code_and_text(channel: grpc.Channel, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(STATUS)(b"%d" % code.value[0], timeout=5)
    assert (caught.value.code(), caught.value.details()) == (code, "etcdserver: größer als 100%")


def test_grpcio_metadata_arrives_and_trailers_return(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(META)(b"", timeout=5, metadata=(("hasleader", "true"), ("k-bin", b"\x00\xff")))
    assert "('hasleader', 'true'), ('k-bin', b'\\x00\\xff')" in caught.value.details()
    assert ("answer", "42") in caught.value.trailing_metadata()


def test_grpcio_deadline_and_cancel_reach_the_server(channel: grpc.Channel, served: Served) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(KEEP)(b"", timeout=0.05)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    served.cancelled.clear()
    blocked = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b"one"
        blocked.wait(10)

    call = channel.stream_stream(BIDI)(requests())
    assert next(call) == b"one"
    call.cancel()
    assert served.cancelled.wait(10)
    blocked.set()


def test_grpcio_refusals_are_grpcs(channel: grpc.Channel) -> None:
    for path, code, text in (
        ("/t.Svc/None", grpc.StatusCode.UNIMPLEMENTED, "unknown method None for service t.Svc"),
        ("/t.Other/None", grpc.StatusCode.UNIMPLEMENTED, "unknown service t.Other"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(path)(b"", timeout=5)
        assert (caught.value.code(), caught.value.details()) == (code, text)
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"v" * 2_097_153, timeout=5)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "grpc: received message larger than max (2097153 vs. 2097152)"
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ECHO)(b"v" * 100, timeout=5, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_grpcio_aio_client_all_kinds(served: Served) -> None:
    async def main() -> None:
        async with grpc.aio.insecure_channel(served.target, options=UNLIMITED) as channel:
            echo = channel.unary_unary(ECHO)
            assert await asyncio.gather(*(echo(b"%d" % n, timeout=10) for n in range(100))) == [b"%d" % n for n in range(100)]
            call = channel.stream_stream(BIDI)(timeout=10)
            for n in range(20):
                await call.write(b"%d" % n)
                assert await call.read() == b"%d" % n
            await call.done_writing()
            assert await call.code() is grpc.StatusCode.OK
            assert len([body async for body in channel.unary_stream(DOWN)(b"100", timeout=10)]) == 100
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(KEEP)(b"", timeout=0.05)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    asyncio.run(main())


def test_h2load_gets_every_answer(served: Served, tmp_path: Path) -> None:
    program = shutil.which("h2load")
    if program is None:
        pytest.skip("h2load is not installed")
    body = tmp_path / "body"
    body.write_bytes(message(b"v" * 256))
    fields = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    url = f"http://{served.target}{ECHO}"
    done = subprocess.run(
        [program, "-c4", "-m32", "-n5000", "-d", body, *fields, url], capture_output=True, text=True, timeout=30, check=True
    )
    assert "5000 succeeded, 0 failed" in done.stdout


class Echoes(grpc.GenericRpcHandler):
    """grpcio's server with the same methods."""

    def service(self, details: Any) -> Any:
        def fail(body: bytes, context: grpc.ServicerContext) -> None:
            context.set_trailing_metadata((("k", "v"), ("k-bin", b"\0")))
            context.abort(grpc.StatusCode.NOT_FOUND, "größer als 100%")

        def slow(body: bytes, context: grpc.ServicerContext) -> bytes:
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait(5)
            return body

        return {
            ECHO: grpc.unary_unary_rpc_method_handler(lambda body, context: body),
            BIG: grpc.unary_unary_rpc_method_handler(lambda body, context: bytes(int(body))),
            STATUS: grpc.unary_unary_rpc_method_handler(fail),
            KEEP: grpc.unary_unary_rpc_method_handler(slow),
            BIDI: grpc.stream_stream_rpc_method_handler(lambda bodies, context: (body for body in bodies)),
            UP: grpc.stream_unary_rpc_method_handler(lambda bodies, context: b"".join(bodies)),
            DOWN: grpc.unary_stream_rpc_method_handler(lambda body, context: (b"%d" % n for n in range(int(body)))),
            META: grpc.unary_unary_rpc_method_handler(lambda body, context: repr(context.invocation_metadata()).encode()),
        }.get(details.method)


@pytest.fixture(scope="module")
def stock() -> Iterator[tuple[str, int]]:
    server = grpc.server(ThreadPoolExecutor(8), options=UNLIMITED)
    server.add_generic_rpc_handlers((Echoes(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield "127.0.0.1", port
    server.stop(None).wait()


def with_channel(run_real: Callable[[Any], Any], address: tuple[str, int], use: Callable[[Channel], Any]) -> None:
    async def main() -> None:
        channel = Channel(address)
        await channel.connect()
        try:
            await use(channel)
        finally:
            channel.close()
            await asyncio.sleep(0.01)

    run_real(main())


def test_our_unary_calls_at_grpcios_server(run_real: Callable[[Any], Any], stock: tuple[str, int]) -> None:
    async def use(channel: Channel) -> None:
        for size in (0, 1, 16_379, 16_380, 100_000, 5_000_000):
            assert await channel.call(ECHO, b"v" * size) == b"v" * size
        assert len(await channel.call(BIG, b"30000000")) == 30_000_000
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(channel.call(ECHO, b"%d" % n, timeout_s=10)) for n in range(200)]
        assert [task.result() for task in tasks] == [b"%d" % n for n in range(200)]
        told = await channel.call(META, b"", metadata=[("a", "b"), ("k-bin", b"\0\1")])
        assert b"key='a', value='b'" in told and b"key='k-bin', value=b'\\x00\\x01'" in told

    with_channel(run_real, stock, use)


def test_our_streams_at_grpcios_server(run_real: Callable[[Any], Any], stock: tuple[str, int]) -> None:
    async def use(channel: Channel) -> None:
        bodies = [b"%d" % n * 300 for n in range(300)]
        for path, sent, expected in (
            (BIDI, bodies, bodies),
            (UP, bodies, [b"".join(bodies)]),
            (DOWN, [b"50"], [b"%d" % n for n in range(50)]),
        ):
            done: asyncio.Future[RpcError | None] = asyncio.get_running_loop().create_future()
            got: list[bytes] = []
            call = channel.stream(path, on_message=got.append, on_done=done.set_result)
            for body in sent:
                call.send(body)
            call.half_close()
            assert await done is None and got == expected

    with_channel(run_real, stock, use)


def test_our_errors_at_grpcios_server(run_real: Callable[[Any], Any], stock: tuple[str, int]) -> None:
    async def use(channel: Channel) -> None:
        with pytest.raises(RpcError) as caught:
            await channel.call(STATUS, b"")
        error = caught.value
        assert (error.code, error.message, error.sent) == (5, "größer als 100%", True)
        assert error.trailers == (("k", "v"), ("k-bin", "AA"))
        with pytest.raises(RpcError) as caught:
            await channel.call(KEEP, b"", timeout_s=0.1)
        assert caught.value.code == 4
        with pytest.raises(RpcError) as caught:
            await channel.call("/t.Svc/None", b"")
        assert caught.value.code == 12
        assert await channel.call(ECHO, b"alive") == b"alive"

    with_channel(run_real, stock, use)
