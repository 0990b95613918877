"""A bare watch stream to one simulated member: several watchers on one call, every response written to a history as it came.

Owns which request a response answers, and what a library keeps from its callers: ids, cancellations, fragments, a reader that
stops reading. Nothing is asked again and nothing put together; what must be true of the records is `checker.watch`'s, but
for the rules of the stream itself, which are found here: answers come in the order of the requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from jepsen_like.checker.verdict import Findings
from jepsen_like.history import Event, KeyValue, Watch, WatchResponse
from jepsen_like.recorder import Recorder
from jepsen_like.sim.cluster import CLIENT_PORT, SimulatedMember
from raftkv.pb import kv as kvpb
from raftkv.pb import rpc
from raftkv.transport.channel import Channel, ChannelLimits, RpcError
from raftkv.transport.frames import WINDOW_DEFAULT

PATH = "/etcdserverpb.Watch/Watch"
EVERY_WATCHER = -1
"""The id in a progress response that speaks for the whole stream."""

CONNECT_WITHIN_S = 1.0

_FILTERS = {"noput": rpc.WatchCreateRequest.NOPUT, "nodelete": rpc.WatchCreateRequest.NODELETE}


class Wish(NamedTuple):
    """One watcher to create."""

    key: str
    range_end: str = ""
    since: int = 0
    prev_kv: bool = False
    filters: tuple[str, ...] = ()
    progress: bool = False
    fragment: bool = False


class RawWatcher:
    """What one create request came to. `watch_id` is -1 until the server has picked one."""

    def __init__(self, wish: Wish, number: int) -> None:
        self.wish = wish
        self.number = number
        self.watch_id = -1
        self.is_over = False
        self.is_unwanted = False
        """We have asked for its end."""
        self.compact_revision = 0
        self.seen = 0
        """The newest revision shown."""


class RawStream:
    """See the module. `is_over` once the call or its connection ended, from whichever side."""

    def __init__(self, member: SimulatedMember, recorder: Recorder, numbers: Callable[[], int], findings: Findings) -> None:
        self._member = member
        self._recorder = recorder
        self._numbers = numbers
        self._findings = findings
        self._process = recorder.process()
        # The smallest window there is: a large answer takes many round trips, so the server meets a reader that is not ready.
        limits = ChannelLimits(stream_window_bytes=WINDOW_DEFAULT, connection_window_bytes=WINDOW_DEFAULT)
        self._channel = Channel((member.host, CLIENT_PORT), limits=limits)
        self._asked: deque[RawWatcher] = deque()
        """Created, as far as we know: answers come in this order."""
        self._named: dict[int, RawWatcher] = {}
        self._cancelled_before: dict[RawWatcher, list[RawWatcher]] = {}
        """Watcher -> those whose cancellation was asked for before its creation."""
        self.watchers: list[RawWatcher] = []
        self.is_over = False

    async def open(self, *, needs_leader: bool) -> None:
        """Connects and opens the call; with `needs_leader` the server must end it when there is none. Raises RpcError."""
        await self._channel.connect(CONNECT_WITHIN_S)
        metadata = (("hasleader", "true"),) if needs_leader else ()
        self._call = self._channel.stream(PATH, on_message=self._take, on_done=self._end, metadata=metadata)

    def create(self, wish: Wish) -> RawWatcher:
        """Asks for a watcher."""
        watcher = RawWatcher(wish, self._numbers())
        now_ns = self._recorder.now_ns()
        self._recorder.write(
            Watch(
                watcher.number, self._process, wish.key, wish.range_end, wish.since, now_ns, self._member.host, wish.prev_kv, wish.filters
            )
        )
        self.watchers.append(watcher)
        self._asked.append(watcher)
        self._send(
            rpc.WatchRequest(
                create_request=rpc.WatchCreateRequest(
                    key=wish.key.encode("latin-1"),
                    range_end=wish.range_end.encode("latin-1"),
                    start_revision=wish.since,
                    prev_kv=wish.prev_kv,
                    progress_notify=wish.progress,
                    fragment=wish.fragment,
                    filters=[_FILTERS[name] for name in wish.filters],
                )
            )
        )
        return watcher

    def cancel(self, watcher: RawWatcher, then: Wish) -> None:
        """Asks for a watcher's end and then for another watcher, whose answer must come behind the cancellation."""
        assert watcher.watch_id >= 0
        watcher.is_unwanted = True
        self._send(rpc.WatchRequest(cancel_request=rpc.WatchCancelRequest(watch_id=watcher.watch_id)))
        self._cancelled_before[self.create(then)] = [watcher]

    def ask_progress(self) -> None:
        """Asks how far the stream has come."""
        self._send(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    def read(self, go_on: bool) -> None:
        """Stops reading from the connection, or goes on."""
        protocol = self._channel._protocol
        transport = None if protocol is None else protocol._transport
        if transport is not None and go_on:
            transport.resume_reading()
        elif transport is not None:
            transport.pause_reading()

    def close(self, *, whole: bool) -> None:
        """Ends the call, or its `whole` connection at once."""
        if not self.is_over and not whole:
            self._call.cancel()
        self._end(None)
        if whole:
            self._channel.close()
        else:
            asyncio.get_running_loop().call_later(0.2, self._channel.close)

    def _send(self, request: rpc.WatchRequest) -> None:
        if not self.is_over:
            self._call.send(request.SerializeToString())

    def _take(self, body: bytes) -> None:
        if self.is_over:
            return
        response = rpc.WatchResponse.FromString(body)
        if response.created:
            self._created(response)
        elif response.watch_id == EVERY_WATCHER:
            for watcher in self.watchers:
                if watcher.watch_id >= 0 and not watcher.is_over:
                    self._write(watcher, response)
        else:
            found = self._named.get(response.watch_id)
            if found is not None and found.is_over and found.is_unwanted and response.canceled:
                return  # Compacted away, and then cancelled by us: the server answers to that, too.
            if found is None:
                text = f"{self._member.host} answered to watcher {response.watch_id}, which it had not created"
                self._findings.add("watch-stream", text)
            else:
                self._write(found, response)

    def _created(self, response: rpc.WatchResponse) -> None:
        if not self._asked:
            self._findings.add("watch-stream", f"{self._member.host} created watcher {response.watch_id}, which nobody asked for")
            return
        watcher = self._asked.popleft()
        watcher.watch_id = response.watch_id
        for other in self._cancelled_before.pop(watcher, ()):
            if not other.is_over:
                text = (
                    f"{self._member.host} did not answer to the cancellation of watcher {other.watch_id}, "
                    f"though it answered to the next request"
                )
                self._findings.add("watch-stream", text)
        self._named[watcher.watch_id] = watcher
        self._write(watcher, response)

    def _write(self, watcher: RawWatcher, response: rpc.WatchResponse) -> None:
        events = tuple(map(_event, response.events))
        now_ns = self._recorder.now_ns()
        self._recorder.write(
            WatchResponse(
                watcher.number,
                now_ns,
                response.header.revision,
                events,
                response.created,
                response.canceled,
                response.compact_revision,
                response.fragment,
                response.cancel_reason,
            )
        )
        if events:
            watcher.seen = max(watcher.seen, events[-1].kv.mod_revision)
        if response.canceled:
            watcher.is_over = True
            watcher.compact_revision = response.compact_revision

    def _end(self, _error: RpcError | None) -> None:
        if self.is_over:
            return
        self.is_over = True
        for watcher in self.watchers:
            if not watcher.is_over:
                watcher.is_over = True
                self._recorder.write(WatchResponse(watcher.number, self._recorder.now_ns(), 0, cancelled=True, reason="the stream ended"))


def _event(event: kvpb.Event) -> Event:
    put = event.type == kvpb.Event.PUT
    kv = _kv(event.kv)
    previous = _kv(event.prev_kv) if event.HasField("prev_kv") else None
    return Event("put" if put else "delete", kv, previous, put and kv.create_revision == kv.mod_revision)


def _kv(kv: kvpb.KeyValue) -> KeyValue:
    return KeyValue(kv.key.decode("latin-1"), kv.value.decode("latin-1"), kv.create_revision, kv.mod_revision, kv.version, kv.lease)
