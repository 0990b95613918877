"""A watch that outlives its connection: events from a revision on, each once, in order, whichever server sends them.

Pulls: nothing runs in the background, so a lost stream is found and made again inside the wait for the next batch.
Where to resume (etcd's Go client, client/v3/watch.go): after the last revision whose batch was complete; after the revision
of a "from now" watch's creation; after the revision of an event-less progress report that the server gave of itself. The
header of a batch with events says nothing about where the watch is, since it may be far ahead of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from raftkv import errors
from raftkv.client import answers
from raftkv.client.caller import Backoff, Caller
from raftkv.client.outcome import BY_TEXT, judge
from raftkv.client.results import Event, WatchBatch
from raftkv.client.selection import Selection, bounds
from raftkv.client.stream import Stream
from raftkv.pb import rpc
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code

ON_REQUEST = -1
"""The watch id of an answer to a progress request. It does not move the place to resume from: etcd 3.4 gives it even while events
below its revision are still to come (etcd-behaviour.md §1.3), and resuming earlier than needed only costs time."""

WATCH_PATH = "/etcdserverpb.Watch/Watch"

PROGRESS_REQUEST = rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()).SerializeToString()


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to watch and how.

    `since` is the first revision wanted (0: from now on); `progress` asks for reports when nothing happens;
    `end_without_leader` ends the watch when the member loses its leader, where it would else go on elsewhere.
    """

    selection: Selection
    since: int = 0
    previous: bool = False
    puts: bool = True
    deletes: bool = True
    progress: bool = False
    require_leader: bool = True
    end_without_leader: bool = False


class Watch:
    """One watch; iterate it for events, or `batches()` for whole messages. Leave the `async with` to end it.

    Invariants:
        1. `revision` never falls, and every wanted event below it has been returned by `receive`.
        2. Events of one revision arrive in one batch.
    """

    def __init__(self, caller: Caller, options: WatchOptions) -> None:
        self._caller = caller
        self._options = options
        self._stream: Stream | None = None
        self._backoff = Backoff(caller.clock, len(caller.connections))
        self._fragments: list[Event] = []
        self._next = options.since
        self._closed = False
        self._asks_progress = False
        """Asked before there was a stream to ask on."""

    @property
    def revision(self) -> int:
        """The first revision not yet delivered; 0 while a "from now" watch has not been created. Resume from here."""
        return self._next

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the watch; may be called again."""
        self._closed = True
        self._drop_stream()

    def request_progress(self) -> None:
        """Asks how far the watch has come; the answer is an event-less batch, if the server gives one.

        Before the first `receive` it is asked behind the creation; a request that a lost stream carried is not made again.
        """
        self._asks_progress = self._stream is None
        if self._stream is not None:
            self._stream.send(PROGRESS_REQUEST)

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for batch in self.batches():
            if batch.canceled:
                raise cancellation(batch)
            for event in batch.events:
                yield event

    async def batches(self) -> AsyncIterator[WatchBatch]:
        """Every batch and progress report; a cancelled one is the last."""
        while not self._closed:
            batch = await self.receive()
            if not batch.created or batch.canceled:
                yield batch

    async def receive(self) -> WatchBatch:
        """The next message: a creation (again after each reconnection), events, progress or a cancellation.

        Raises:
            RaftKVError: the watch cannot go on.
        """
        while True:
            try:
                if self._stream is None:
                    self._stream = await self._open()
                raw = await self._stream.receive()
            except RpcError as exc:
                await self._broken(exc)
                continue
            if raw is None:
                if self._closed:
                    raise errors.WatchCanceledError()
                await self._broken(RpcError(Code.UNAVAILABLE, "the server ended the watch"))
                continue
            batch = self._accept(answers.watch_from(raw))
            if batch is not None:
                return batch

    def _accept(self, batch: WatchBatch) -> WatchBatch | None:
        """Records how far the watch is; `None` while a revision is still arriving in pieces."""
        if batch.canceled:
            self.close()
            return batch
        self._backoff.reset()
        if batch.created:
            if self._next == 0:
                self._next = batch.header.revision + 1
            return batch
        if batch.fragment:
            self._fragments.extend(batch.events)
            return None
        if self._fragments:
            batch.events[:0] = self._fragments
            self._fragments = []
        if batch.events:
            self._next = max(self._next, batch.events[-1].kv.mod_revision + 1)
        elif batch.header.revision and batch.watch_id != ON_REQUEST:
            self._next = max(self._next, batch.header.revision + 1)
        return batch

    async def _open(self) -> Stream:
        connections = self._caller.connections
        metadata = await self._caller.metadata(None, require_leader=self._options.require_leader)
        stream = await Stream.open(connections.link(connections.current), WATCH_PATH, metadata)
        stream.send(self._create_request())
        if self._asks_progress:
            self._asks_progress = False
            stream.send(PROGRESS_REQUEST)
        return stream

    def _create_request(self) -> bytes:
        options = self._options
        key, range_end = bounds(options.selection)
        create = rpc.WatchCreateRequest(key=key, range_end=range_end, start_revision=self._next, prev_kv=options.previous)
        create.progress_notify = options.progress
        create.fragment = True
        if not options.puts:
            create.filters.append(rpc.WatchCreateRequest.FilterType.NOPUT)
        if not options.deletes:
            create.filters.append(rpc.WatchCreateRequest.FilterType.NODELETE)
        return rpc.WatchRequest(create_request=create).SerializeToString()

    async def _broken(self, exc: RpcError) -> None:
        """Drops the stream and moves to the next endpoint, or gives up."""
        self._drop_stream()
        self._fragments = []
        verdict = judge(exc, mutates=False)
        if verdict.reauthenticate and self._caller.renew_token():
            return
        leaderless = isinstance(verdict.error, errors.NoLeaderError) and self._options.end_without_leader
        if not verdict.retry or leaderless:
            self._closed = True
            raise verdict.error from exc
        self._caller.connections.rotate(self._caller.connections.current)
        await self._backoff.wait(None)

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()


def cancellation(batch: WatchBatch) -> errors.RaftKVError:
    """Why the server cancelled a watch, as an error. The reason may carry a status in Go's notation; only its text counts."""
    if batch.compact_revision:
        return errors.CompactedError()
    if not batch.cancel_reason:
        return errors.FutureRevError()
    text = batch.cancel_reason.partition(" desc = ")[2] or batch.cancel_reason
    known = BY_TEXT.get(text)
    return known() if known else errors.WatchCanceledError(text)
