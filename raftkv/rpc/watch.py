"""etcdserverpb.Watch: one client's watch stream, to etcd's letter.

Owns the watch ids of a stream, the in-band answers and the framing of responses; watchers themselves live in the hub
behind `MemberApi.watch`. Events arrive encoded and are joined, never decoded (only a response that must be fragmented
is cut at its events). Bounded: the hub asks `writable()` before it sends events, and a client that does not read its
responses is not read from, which leaves it one receive window of requests. Source: etcd's api/v3rpc/watch.go and mvcc/watcher.go.
"""

from __future__ import annotations

from raftkv.pb import rpc
from raftkv.rpc.method import Stream
from raftkv.rpc.router import Router
from raftkv.server.api import MemberApi, WatchSpec, WatchStream
from raftkv.transport.call import Kind, StreamHandler
from raftkv.wire import delimited, field_end, varint

FRAGMENT_OVERHEAD_BYTES = 512 * 1024
"""What gRPC's message limit is above max-request-bytes; a fragment is below the sum."""

INVALID_WATCH_ID = -1
EMPTY_RANGE = "mvcc: watcher range is empty"
DUPLICATE_ID = "mvcc: duplicate watch ID provided on the WatchStream"
COMPACTED = "etcdserver: mvcc: required revision has been compacted"

_CREATED = b"\x18\x01"
_CANCELED = b"\x20\x01"
_CANCEL_REASON = b"\x32"
_FRAGMENT = b"\x38\x01"


def add_watch(router: Router, api: MemberApi, max_request_bytes: int) -> None:
    """Adds the service. A fragment's size is bounded by `max_request_bytes` and gRPC's overhead together."""
    fragment_bytes_max = max_request_bytes + FRAGMENT_OVERHEAD_BYTES

    def open_stream(stream: Stream) -> StreamHandler:
        return WatchCall(api, stream, fragment_bytes_max)

    router.stream("/etcdserverpb.Watch/Watch", Kind.BIDI, open_stream)


def _watch_id_field(watch_id: int) -> bytes:
    return b"\x10" + varint(watch_id) if watch_id else b""


class WatchCall:
    """One watch stream: the transport's handler and the hub's sink in one.

    Invariants: 1. an id in `_watchers` has had its created response sent. 2. Nothing is sent for an id after its
    cancelled response. 3. An id the server picked is never picked again.
    """

    __slots__ = ("_api", "_compacted", "_fragment_bytes_max", "_fragmented", "_hub", "_next_id", "_stream", "_watchers")

    def __init__(self, api: MemberApi, stream: Stream, fragment_bytes_max: int) -> None:
        self._api = api
        self._stream = stream
        self._fragment_bytes_max = fragment_bytes_max
        self._next_id = 0
        self._watchers: dict[int, bytes] = {}
        """The encoded watch_id field of each watcher that the hub has."""
        self._fragmented: set[int] = set()
        self._compacted: set[int] = set()
        """Ids whose watcher fell to a compaction. As in etcd they stay taken until the client cancels them."""
        self._hub: WatchStream = api.watch(self)
        stream.when_ended(self._hub.close)

    # From the transport.

    def on_message(self, body: bytes) -> None:
        """One request. One without any of the three kinds is ignored, as etcd does."""
        request = self._stream.decode(rpc.WatchRequest, body)
        if request is None:
            return
        kind = request.WhichOneof("request_union")
        if kind == "create_request":
            self._create(request.create_request)
        elif kind == "cancel_request":
            self._cancel(request.cancel_request.watch_id)
        elif kind == "progress_request":
            self._hub.request_progress()

    def on_half_close(self) -> None:
        """The client is done asking; its events go on."""

    def on_cancel(self) -> None:
        """The client went away."""
        self._stream.cancelled()

    def on_writable(self) -> None:
        """The client has read most of what waited."""
        self._stream.resume()
        self._hub.resume()

    # From the hub.

    def on_events(self, watch_id: int, revision: int, events: list[bytes]) -> None:
        """See WatchSink."""
        head = self._api.header(revision) + self._watchers[watch_id]
        if watch_id in self._fragmented and sum(map(len, events)) + len(head) >= self._fragment_bytes_max:
            self._send_fragments(head, b"".join(events))
        else:
            self._stream.send(b"".join((head, *events)))

    def on_progress(self, watch_id: int, revision: int) -> None:
        """See WatchSink."""
        self._control(self._api.header(revision) + _watch_id_field(watch_id))

    def on_compacted(self, watch_id: int, compact_revision: int) -> None:
        """See WatchSink. The one response whose header has no revision, and a cancellation without a reason."""
        field = self._forget(watch_id)
        self._compacted.add(watch_id)
        self._control(self._api.header(0) + field + _CANCELED + b"\x28" + varint(compact_revision))

    def writable(self) -> bool:
        """See WatchSink."""
        return self._stream.writable

    # The requests.

    def _create(self, request: rpc.WatchCreateRequest) -> None:
        key = request.key or b"\0"
        range_end = request.range_end
        watch_id = request.watch_id
        revision = self._api.current_revision()
        reason = ""
        if range_end and range_end != b"\0" and key >= range_end:
            reason = EMPTY_RANGE
        elif watch_id and (watch_id in self._watchers or watch_id in self._compacted):
            reason = DUPLICATE_ID
        elif request.start_revision < 0:
            reason = COMPACTED
        header = self._api.header(revision)
        if reason:
            self._control(header + _watch_id_field(INVALID_WATCH_ID) + _CREATED + _CANCELED + delimited(_CANCEL_REASON, reason.encode()))
            return
        if watch_id == 0:
            watch_id = self._pick_id()
        field = self._watchers[watch_id] = _watch_id_field(watch_id)
        if request.fragment:
            self._fragmented.add(watch_id)
        self._control(header + field + _CREATED)
        spec = WatchSpec(
            key=key,
            range_end=range_end,
            start_revision=request.start_revision,
            prev_kv=request.prev_kv,
            no_put=rpc.WatchCreateRequest.NOPUT in request.filters,
            no_delete=rpc.WatchCreateRequest.NODELETE in request.filters,
            progress_notify=request.progress_notify,
            fragment=request.fragment,
        )
        self._hub.create(watch_id, spec)

    def _pick_id(self) -> int:
        while self._next_id in self._watchers or self._next_id in self._compacted:
            self._next_id += 1
        picked = self._next_id
        self._next_id += 1
        return picked

    def _cancel(self, watch_id: int) -> None:
        if watch_id in self._compacted:
            self._compacted.discard(watch_id)
            field = _watch_id_field(watch_id)
        elif watch_id in self._watchers:
            self._hub.cancel(watch_id)
            field = self._forget(watch_id)
        else:
            return
        self._control(self._api.header(self._api.current_revision()) + field + _CANCELED)

    def _forget(self, watch_id: int) -> bytes:
        self._fragmented.discard(watch_id)
        return self._watchers.pop(watch_id)

    # The responses.

    def _control(self, response: bytes) -> None:
        self._stream.send(response)
        if not self._stream.writable:
            self._stream.pause()

    def _send_fragments(self, head: bytes, events: bytes) -> None:
        """Splits one response at its events: each piece but the last says that more follow, and only a lone event may exceed the bound."""
        room = self._fragment_bytes_max - len(head) - len(_FRAGMENT)
        start = end = 0
        while end < len(events):
            next_end = field_end(events, end)
            if end > start and next_end - start >= room:
                self._stream.send(b"".join((head, _FRAGMENT, events[start:end])))
                start = end
            end = next_end
        self._stream.send(head + events[start:])
