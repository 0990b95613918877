"""Where a watch resumes, and what it delivers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raftkv import errors
from raftkv.client import Watch, cancellation
from raftkv.client import stream as stream_module
from raftkv.client.answers import watch_from
from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code
from tests.client.scripted import ScriptedCluster, ScriptedStream

LOST = RpcError(Code.UNAVAILABLE, "connection lost")


def create_request(stream: ScriptedStream) -> rpc.WatchCreateRequest:
    return rpc.WatchRequest.FromString(stream.sent[0]).create_request


def drive(cluster: ScriptedCluster, script: Callable[[Watch], Awaitable[None]], **options: object) -> Watch:
    watch = cluster.client().watch("k", **options)

    async def body() -> None:
        async with watch:
            await script(watch)

    cluster.run(body())
    return watch


async def next_batch(cluster: ScriptedCluster, watch: Watch, action: Callable[[ScriptedStream], None] | None = None) -> list[int]:
    """Receives one message that is no creation, after `action` on the newest stream; the revisions in it."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_receive(watch))
        await cluster.until(lambda: bool(cluster.streams))
        if action is not None:
            action(cluster.streams[-1])
    return task.result()


async def _receive(watch: Watch) -> list[int]:
    while True:
        batch = await watch.receive()
        if not batch.created:
            return [event.kv.mod_revision for event in batch.events]


def test_watch_from_now_resumes_after_the_revision_of_its_creation():
    """What happened before the watch is not delivered by it, even when it breaks before its first event."""
    cluster = ScriptedCluster(a=[])

    async def script(watch: Watch) -> None:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_receive(watch))
            await cluster.until(lambda: bool(cluster.streams))
            cluster.streams[0].created(41)
            await asyncio.sleep(0)
            cluster.streams[0].end(LOST)
            await cluster.until(lambda: len(cluster.streams) == 2)
            cluster.streams[1].created(50)
            cluster.streams[1].events([42, 50])
        assert task.result() == [42, 50]

    watch = drive(cluster, script)
    assert [create_request(stream).start_revision for stream in cluster.streams] == [0, 42]
    assert watch.revision == 51


def test_watch_resumes_after_the_last_event_and_not_after_the_header():
    """The header of a batch with events may be far ahead of them (catch-up): taking it would lose what is between."""
    cluster = ScriptedCluster(a=[])

    async def script(watch: Watch) -> None:
        assert await next_batch(cluster, watch, lambda stream: stream.events([5, 6], header=90)) == [5, 6]
        cluster.streams[0].end(LOST)
        task_streams = len(cluster.streams)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_receive(watch))
            await cluster.until(lambda: len(cluster.streams) > task_streams)
            cluster.streams[-1].events([7])
        assert task.result() == [7]

    drive(cluster, script, since=5)
    assert create_request(cluster.streams[1]).start_revision == 7


def test_watch_resumes_after_a_progress_report():
    """An event-less report promises that all up to its revision has been sent."""
    cluster = ScriptedCluster(a=[])

    async def script(watch: Watch) -> None:
        assert await next_batch(cluster, watch, lambda stream: stream.progress(30)) == []
        assert watch.revision == 31

    drive(cluster, script, since=5)


def test_watch_does_not_resume_after_a_report_it_asked_for():
    """etcd 3.4 answers a progress request even while events are still to come; to believe it could lose them."""
    cluster = ScriptedCluster(a=[])

    async def script(watch: Watch) -> None:
        assert await next_batch(cluster, watch, lambda stream: stream.progress(30, watch_id=-1)) == []
        assert watch.revision == 5

    drive(cluster, script, since=5)


def test_watch_joins_fragments_and_forgets_them_when_the_stream_breaks():
    """A revision is delivered whole or not at all: one that arrived in part is asked for again."""
    cluster = ScriptedCluster(a=[])

    async def script(watch: Watch) -> None:
        def first(stream: ScriptedStream) -> None:
            stream.events([5], fragment=True)
            stream.events([5], fragment=True)
            stream.events([5, 6])

        assert await next_batch(cluster, watch, first) == [5, 5, 5, 6]
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_receive(watch))
            cluster.streams[0].events([7], fragment=True)
            await asyncio.sleep(0)
            cluster.streams[0].end(LOST)
            await cluster.until(lambda: len(cluster.streams) == 2)
            cluster.streams[1].events([7, 7])
        assert task.result() == [7, 7]

    drive(cluster, script, since=5)
    assert create_request(cluster.streams[0]).fragment
    assert create_request(cluster.streams[1]).start_revision == 7


def test_watch_goes_to_the_next_endpoint_when_one_is_down():
    """Whichever server sends them, the events are the same."""
    cluster = ScriptedCluster(a=[], b=[])
    cluster.down = {"a"}

    async def script(watch: Watch) -> None:
        assert await next_batch(cluster, watch, lambda stream: stream.events([5])) == [5]

    drive(cluster, script, since=5)
    assert cluster.endpoints_asked == ["a", "b"]


def test_watch_asks_for_what_its_options_say():
    """Filters, previous keys, reports, and a server with a leader."""
    cluster = ScriptedCluster(a=[])

    async def script(watch: Watch) -> None:
        await next_batch(cluster, watch, lambda stream: stream.progress(3))
        watch.request_progress()

    drive(cluster, script, previous=True, puts=False, deletes=False, progress=True)
    request = create_request(cluster.streams[0])
    assert (request.key, request.range_end, request.prev_kv, request.progress_notify) == (b"k", b"", True, True)
    assert list(request.filters) == [0, 1]
    assert cluster.streams[0].metadata == (("hasleader", "true"),)
    assert rpc.WatchRequest.FromString(cluster.streams[0].sent[1]).HasField("progress_request")
    assert cluster.streams[0].cancelled


def test_iteration_of_a_compacted_watch_raises():
    """Events are missing; going on would hide it."""
    cluster = ScriptedCluster(a=[])
    canceled = rpc.WatchResponse(header=rpc.ResponseHeader(cluster_id=1), canceled=True, compact_revision=9).SerializeToString()

    async def script(watch: Watch) -> None:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_first(watch))
            await cluster.until(lambda: bool(cluster.streams))
            cluster.streams[0].deliver(canceled)
        assert isinstance(task.result(), errors.CompactedError)

    drive(cluster, script, since=5)


async def _first(watch: Watch) -> object:
    try:
        async for event in watch:
            return event
    except errors.RaftKVError as exc:
        return exc
    return None


def test_watch_without_a_leader_goes_on_elsewhere_unless_told_to_end():
    """A member that lost its leader is a reason to ask another one."""
    no_leader = RpcError(Code.UNAVAILABLE, errors.NoLeaderError.text)
    cluster = ScriptedCluster(a=[], b=[])

    async def going_on(watch: Watch) -> None:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_receive(watch))
            await cluster.until(lambda: bool(cluster.streams))
            cluster.streams[0].end(no_leader)
            await cluster.until(lambda: len(cluster.streams) == 2)
            cluster.streams[1].events([5])
        assert task.result() == [5]

    drive(cluster, going_on, since=5)
    cluster = ScriptedCluster(a=[], b=[])

    async def ending(watch: Watch) -> None:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_first(watch))
            await cluster.until(lambda: bool(cluster.streams))
            cluster.streams[0].end(no_leader)
        assert isinstance(task.result(), errors.NoLeaderError)

    drive(cluster, ending, since=5, end_without_leader=True)


def test_reader_that_falls_behind_misses_nothing(monkeypatch):
    """What waits is bounded; beyond the bound the stream is dropped and the watch catches up from where its reader is."""
    monkeypatch.setattr(stream_module, "QUEUE_MESSAGES_MAX", 3)
    cluster = ScriptedCluster(a=[])

    async def script(watch: Watch) -> None:
        def flood(stream: ScriptedStream) -> None:
            for revision in range(5, 100):
                stream.events([revision])

        got = await next_batch(cluster, watch, flood)
        assert cluster.streams[0].cancelled
        while len(cluster.streams) == 1:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(_receive(watch))
                await asyncio.sleep(1)
                if not task.done():
                    cluster.streams[-1].events(list(range(watch.revision, 100)))
            got += task.result()
        assert got == list(range(5, 100))

    drive(cluster, script, since=5)


@pytest.mark.parametrize(
    ("message", "cls", "text"),
    [
        (rpc.WatchResponse(canceled=True, compact_revision=4), errors.CompactedError, errors.CompactedError.text),
        (rpc.WatchResponse(canceled=True), errors.FutureRevError, errors.FutureRevError.text),
        (
            rpc.WatchResponse(canceled=True, cancel_reason="rpc error: code = PermissionDenied desc = etcdserver: permission denied"),
            errors.PermissionDeniedError,
            errors.PermissionDeniedError.text,
        ),
        (
            rpc.WatchResponse(canceled=True, cancel_reason="mvcc: watcher range is empty"),
            errors.WatchCanceledError,
            "mvcc: watcher range is empty",
        ),
    ],
)
def test_cancellation_names_the_reason(message, cls, text):
    """Refusals of a watch travel inside the stream, as text."""
    error = cancellation(watch_from(message.SerializeToString()))
    assert type(error) is cls and str(error) == text
