"""The asyncio halves together, on every loop they must run on."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from raftkv.errors import ConfigError
from raftkv.transport import frames
from raftkv.transport.channel import Channel, ChannelLimits, RpcError
from raftkv.transport.frames import PREFACE, ErrorCode
from raftkv.transport.server import GrpcServer, ServerLimits, ServerProtocol
from tests.transport.conftest import Run
from tests.transport.pair import BIDI, ECHO, FAIL, KEEP, STREAM, data, goaway_of, headers, message, parse, request, unary
from tests.transport.wire import Bare, Service, bare, serving, settle, until

GREETING = PREFACE + frames.settings({})


def test_calls_of_every_kind_go_both_ways(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            channel = await running.channel()
            bodies = [b"%d" % n * (n * 50) for n in range(60)]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(channel.call(ECHO, body, timeout_s=10)) for body in bodies]
            assert [task.result() for task in tasks] == bodies
            got: list[bytes] = []
            done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            stream = channel.stream(BIDI, on_message=got.append, on_done=done.set_result, metadata=[("k", "v"), ("b-bin", b"\0")])
            for body in bodies:
                stream.send(body)
            stream.half_close()
            assert await done is None and got == bodies
            statistics = running.server.statistics()
            assert (statistics.connection_count, statistics.call_count, statistics.methods[ECHO].ok) == (1, 0, 60)
            assert statistics.received_bytes > 90_000 and statistics.sent_bytes > 90_000
            assert "0 streams" in running.server.describe()
            channel.close()

    run(main())


def test_answer_of_many_megabytes_arrives_in_slices(run_real: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            channel = await running.channel()
            waiting = asyncio.get_running_loop().create_task(channel.call(KEEP, b"x"))
            await until(lambda: running.service.kept)
            call, _ = running.service.kept[0]
            body = bytes(range(256)) * 80_000
            call.reply(body)
            assert 0 < call.unsent_bytes <= len(body) + 5
            assert await waiting == body
            assert await channel.call(ECHO, b"still there") == b"still there"
            channel.close()

    run_real(main())


def test_failures_reach_the_caller_with_code_and_text(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(interceptor=lambda call: (14, "etcdserver: no leader") if call.metadata.get("hasleader") else None) as running:
            channel = await running.channel()
            for path, metadata, code in ((FAIL, (), 13), ("/t.Svc/None", (), 12), (ECHO, [("hasleader", "true")], 14)):
                with pytest.raises(RpcError) as caught:
                    await channel.call(path, b"x", metadata=metadata)
                assert caught.value.code == code
            assert running.server.statistics().handler_error_count == 1
            channel.close()

    with caplog.at_level(logging.ERROR, "raftkv.transport.server"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [f"handler of {FAIL} failed"]


def test_deadline_ends_the_call_at_both_ends(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            channel = await running.channel()
            with pytest.raises(RpcError) as caught:
                await channel.call(KEEP, b"x", timeout_s=0.05)
            assert caught.value.code == 4
            await until(lambda: running.service.kept[0][0].cancelled)
            assert running.server.statistics().call_count == 0
            channel.close()

    run(main())


def test_abandoned_wait_cancels_the_call(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            channel = await running.channel()
            waiting = asyncio.get_running_loop().create_task(channel.call(KEEP, b"x"))
            await until(lambda: running.service.kept)
            waiting.cancel()
            await until(lambda: running.service.kept[0][0].cancelled)
            assert channel.call_count == 0
            channel.close()

    run(main())


def test_closed_channel_cancels_on_the_server_and_fails_its_calls(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            closed: list[RpcError] = []
            channel = await running.channel(on_closed=closed.append)
            outcomes: list[Any] = []
            channel.unary(KEEP, b"x", lambda body, error: outcomes.append(error))
            await until(lambda: running.service.kept)
            channel.close()
            await until(lambda: running.service.kept[0][0].cancelled and closed)
            assert [error.code for error in outcomes] == [14] and len(closed) == 1 and not channel.accepts_calls
            channel.unary(ECHO, b"x", lambda body, error: outcomes.append(error))
            assert len(outcomes) == 1, "completion never comes from inside the call"
            await until(lambda: len(outcomes) == 2)
            assert not outcomes[1].sent

    run(main())


def test_connect_refused_or_unanswered_was_certainly_not_sent(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            address = running.address
        for attempt in range(2):
            channel = Channel(address)
            with pytest.raises(RpcError) as caught:
                await channel.connect(timeout_s=1)
            assert (caught.value.code, caught.value.sent) == (14, False), attempt
        errors: list[Any] = []
        channel.unary(ECHO, b"x", lambda body, error: errors.append(error))
        assert errors == []
        await until(lambda: errors)
        assert not errors[0].sent
        listener = await asyncio.get_running_loop().create_server(Bare, *address)
        with pytest.raises(RpcError, match="no answer within"):
            await Channel(address).connect(timeout_s=0.05)
        listener.close()

    run(main())


def test_silent_server_is_given_up_by_keepalive(run: Run) -> None:
    class Mute(Bare):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(frames.settings({}))

    async def main() -> None:
        async with serving() as running:
            address = running.address
        listener = await asyncio.get_running_loop().create_server(Mute, *address)
        closed: list[RpcError] = []
        channel = Channel(address, limits=ChannelLimits(keepalive_s=0.03, keepalive_timeout_s=0.03), on_closed=closed.append)
        await channel.connect()
        await asyncio.sleep(0.12)
        assert closed == [], "no call is open"
        with pytest.raises(RpcError, match="keepalive") as caught:
            await channel.call(ECHO, b"x")
        assert caught.value.sent
        await until(lambda: closed)
        listener.close()
        await settle()

    run(main())


def test_drain_serves_what_is_open_and_refuses_the_rest(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            loop = asyncio.get_running_loop()
            channel = await running.channel()
            waiting = loop.create_task(channel.call(KEEP, b"x"))
            await until(lambda: running.service.kept)
            draining = loop.create_task(running.server.drain(grace_s=10))
            await until(lambda: not channel.accepts_calls)
            with pytest.raises(RpcError) as caught:
                await channel.call(ECHO, b"late")
            assert not caught.value.sent and not draining.done()
            running.service.kept[0][0].reply(b"served")
            assert await waiting == b"served"
            await draining
            assert running.server.statistics().connection_count == 0

    run(main())


def test_drain_ends_calls_that_outlast_the_grace(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            channel = await running.channel()
            ended: list[Any] = []
            channel.stream(STREAM, on_message=lambda body: None, on_done=ended.append)
            await until(lambda: running.service.handlers)
            await running.server.drain(grace_s=0.05)
            assert running.service.handlers[0].log == ["cancel"]
            await until(lambda: ended)
            assert ended[0].code == 14

    run(main())


def test_connection_beyond_the_bound_is_closed_at_once(run: Run) -> None:
    async def main() -> None:
        async with serving(ServerLimits(connections_max=2)) as running:
            held = [await bare(running.address) for _ in range(2)]
            await until(lambda: running.server.statistics().connection_count == 2)
            late = await bare(running.address)
            await until(lambda: late.lost)
            held[0].transport.close()
            await until(lambda: running.server.statistics().connection_count == 1)
            channel = await running.channel()
            assert await channel.call(ECHO, b"x") == b"x" and not held[1].lost
            channel.close()

    run(main())


class Http1(Bare):
    """What answers HTTP/1.1 in these tests."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.got.endswith(b"\r\n\r\n"):
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_http1_connection_is_handed_over_with_its_bytes(run: Run, piece: int) -> None:
    made: list[Http1] = []

    def factory() -> Http1:
        made.append(Http1())
        return made[-1]

    async def main() -> None:
        async with serving(http1=factory) as running:
            connection = await bare(running.address)
            asked = b"PROPFIND /health HTTP/1.1\r\nhost: x\r\n\r\n"
            for at in range(0, len(asked), piece):
                connection.transport.write(asked[at : at + piece])
                await asyncio.sleep(0)
            await until(lambda: connection.got.endswith(b"ok"))
            assert made[0].got == asked and running.server.statistics().connection_count == 0
            connection.transport.close()
            await until(lambda: made[0].lost)

    run(main())


def test_http1_without_a_shell_is_refused_in_its_own_words(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            connection = await bare(running.address)
            connection.transport.write(b"GET / HTTP/1.1\r\n\r\n")
            await until(lambda: connection.lost)
            assert connection.got.startswith(b"HTTP/1.1 505 ")

    run(main())


def test_plain_http2_request_is_answered(run: Run) -> None:
    async def main() -> None:
        async with serving(http2_plain=lambda asked: asked.respond(200, [("content-type", "text/plain")], asked.path.encode())) as running:
            connection = await bare(running.address)
            connection.transport.write(GREETING + headers(1, request("/health", method="GET", content_type=None), end=True))
            await until(lambda: b"/health" in connection.got)
            connection.transport.close()
            await settle()

    run(main())


@pytest.mark.parametrize("sent", [b"", PREFACE[:10], PREFACE, PREFACE + b"\0\0"])
def test_connection_that_never_begins_is_cut(run: Run, sent: bytes) -> None:
    """Half-open and slow connections (slowloris) hold a place only so long."""

    async def main() -> None:
        async with serving(ServerLimits(preface_timeout_s=0.05)) as running:
            connection = await bare(running.address)
            connection.transport.write(sent)
            await until(lambda: connection.lost)
            await until(lambda: running.server.statistics().connection_count == 0)

    run(main())


def test_header_block_that_never_ends_is_cut(run: Run) -> None:
    async def main() -> None:
        async with serving(ServerLimits(headers_timeout_s=0.05)) as running:
            connection = await bare(running.address)
            connection.transport.write(GREETING + frames.frame(frames.HEADERS, 0, 1, b""))
            await until(lambda: connection.lost)
            assert goaway_of(parse(connection.got)) == (ErrorCode.ENHANCE_YOUR_CALM, "header block without an end")

    run(main())


def test_silent_connection_is_pinged_and_then_cut(run_virtual: Run) -> None:
    """etcd's keepalive: two hours, then twenty seconds."""

    async def main() -> None:
        async with serving() as running:
            connection = await bare(running.address)
            connection.transport.write(GREETING)
            await asyncio.sleep(7190)
            assert not any(frame.kind == frames.PING for frame in parse(connection.got)) and not connection.lost
            await asyncio.sleep(15)
            assert parse(connection.got)[-1].kind == frames.PING
            connection.transport.write(frames.ping(parse(connection.got)[-1].payload, ack=True))
            await asyncio.sleep(7190)
            assert not connection.lost
            await asyncio.sleep(40)
            assert connection.lost

    run_virtual(main())


def test_stalled_connection_is_cut_when_it_holds_too_much(run_virtual: Run) -> None:
    """A window that stays closed: little may wait for ever, much only for `stall_timeout_s`."""

    async def main() -> None:
        async with serving(ServerLimits(unsent_bytes_max=10_000, stall_timeout_s=60.0)) as running:
            small, large = await bare(running.address), await bare(running.address)
            for connection, size in ((small, 9_000), (large, 11_000)):
                opening = PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0})
                connection.transport.write(opening + unary(1, b"v" * size) if size < 16_000 else opening)
            await asyncio.sleep(55)
            assert not large.lost
            await asyncio.sleep(10)
            assert large.lost and not small.lost
            assert goaway_of(parse(large.got))[0] is ErrorCode.ENHANCE_YOUR_CALM
            await asyncio.sleep(1000)
            assert not small.lost

    run_virtual(main())


class Tape:
    """An asyncio transport that keeps what is done to it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.acts: list[str] = []

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def __getattr__(self, name: str) -> Any:
        if name in ("close", "abort", "pause_reading", "resume_reading"):
            return lambda: self.acts.append(name)
        raise AttributeError(name)

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("::1", 5, 0, 0)}.get(name)


def taped(limits: ServerLimits) -> tuple[GrpcServer, Service, ServerProtocol, Tape]:
    service, tape = Service(), Tape()
    server = GrpcServer(asyncio.get_running_loop(), service.routes(), limits)
    protocol = server.protocol_factory()
    assert isinstance(protocol, ServerProtocol)
    protocol.connection_made(tape)  # type: ignore[arg-type]
    protocol.data_received(GREETING)
    server.flush()
    tape.writes.clear()
    return server, service, protocol, tape


def test_answers_of_one_turn_are_one_write(run_virtual: Run) -> None:
    async def main() -> None:
        server, service, protocol, tape = taped(ServerLimits())
        protocol.data_received(b"".join(unary(2 * n + 1) for n in range(20)))
        protocol.data_received(b"".join(unary(2 * n + 41, path=KEEP) for n in range(20)))
        for call, body in service.kept:
            call.reply(body)
        assert tape.writes == []
        await asyncio.sleep(0)
        assert len(tape.writes) == 1 and len(parse(tape.writes[0])) == 120
        assert protocol.connection is not None and protocol.connection.peer_address == "[::1]:5"
        server.close()

    run_virtual(main())


def test_connection_with_more_than_its_share_queued_is_not_read(run_virtual: Run) -> None:
    async def main() -> None:
        server, service, protocol, tape = taped(ServerLimits(queued_calls_max=10))
        protocol.data_received(b"".join(unary(2 * n + 1, path=KEEP) for n in range(11)))
        assert tape.acts == ["pause_reading"]
        for call, body in service.kept[:5]:
            call.reply(body)
        server.flush()
        assert tape.acts == ["pause_reading"]
        service.kept[5][0].reply(b"")
        server.flush()
        assert tape.acts == ["pause_reading", "resume_reading"]
        server.close()

    run_virtual(main())


def test_client_that_reads_nothing_cannot_pile_up_control_frames(run_virtual: Run) -> None:
    """CVE-2019-9512 and its kin: answers to PING or bad requests grow a buffer that nobody empties."""

    async def main() -> None:
        server, _, protocol, tape = taped(ServerLimits(control_bytes_max=10_000))
        protocol.pause_writing()
        for n in range(500):
            protocol.data_received(headers(2 * n + 1, request("/no/Method"), end=True))
            server.flush()
            if tape.acts:
                break
        assert tape.acts == ["abort"] and sum(map(len, tape.writes)) <= 11_000
        protocol.connection_lost(None)
        server.close()

    run_virtual(main())


def test_paused_transport_resumes_with_what_waited(run_virtual: Run) -> None:
    async def main() -> None:
        server, _, protocol, tape = taped(ServerLimits())
        protocol.pause_writing()
        protocol.data_received(unary(1, b"hello"))
        server.flush()
        assert [frame.kind for frame in parse(b"".join(tape.writes))] == [frames.HEADERS]
        protocol.resume_writing()
        server.flush()
        assert message(b"hello") in tape.writes[-1]
        server.close()

    run_virtual(main())


def test_closed_server_refuses_connections_and_says_goodbye(run: Run) -> None:
    async def main() -> None:
        async with serving() as running:
            connection = await bare(running.address)
            connection.transport.write(GREETING + headers(1, request(STREAM)) + data(1, message(b"x")))
            await until(lambda: running.service.handlers)
            running.server.close()
            await until(lambda: connection.lost)
            assert goaway_of(parse(connection.got)) == (ErrorCode.NO_ERROR, "server stopped")
            assert running.service.handlers[0].log == [b"x", "cancel"]
            late = await bare(running.address)
            await until(lambda: late.lost)
            assert late.got == b""

    run(main())


def test_unix_socket_serves_alike(run_real: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop, path = asyncio.get_running_loop(), str(tmp_path / "raftkv.sock")
        server = GrpcServer(loop, Service().routes(), ServerLimits())
        listener = await loop.create_unix_server(server.protocol_factory, path)
        channel = Channel(path)
        await channel.connect()
        assert await channel.call(ECHO, b"x") == b"x"
        channel.close()
        listener.close()
        server.close()
        await settle()

    run_real(main())


def test_limits_out_of_range_are_all_named() -> None:
    with pytest.raises(ConfigError) as caught:
        ServerLimits(stream_window_bytes=1, message_bytes_max=0, keepalive_s=-1.0).validate()
    assert str(caught.value).count(";") == 2
    with pytest.raises(ConfigError):
        ChannelLimits(connection_window_bytes=1 << 31).validate()
