"""KV.RangeStream: a range of any size in chunks of one revision.

Owns the size of chunks and their end; each chunk is one range of the member's, so a long stream never holds the loop
and a client that does not read holds no memory here. Source: etcd 3.7's api/v3rpc/key.go as described by its behaviour.
"""

from __future__ import annotations

from raftkv.failpoints import FAILPOINTS, hit
from raftkv.pb import rpc
from raftkv.rpc.method import Stream
from raftkv.rpc.status import Code
from raftkv.server.api import MemberApi, Result
from raftkv.wire import delimited

FIRST_CHUNK_KEYS = 10
"""The first chunk is small, because nothing is known of the values yet."""

NO_SORT = "RangeStream does not support custom sort orders"
NO_FILTERS = "RangeStream does not support revision filters"


class RangeStream:
    """One stream.

    Invariants: 1. every chunk is of the revision the first one saw. 2. At most one range is under way. 3. Header, count
    and `more` stand in the last message alone.
    """

    __slots__ = ("_api", "_busy", "_chunk_bytes", "_count", "_keys", "_left", "_next", "_revision", "_stream")

    def __init__(self, api: MemberApi, stream: Stream, request: rpc.RangeRequest, chunk_bytes: int) -> None:
        """Answers `request`, which it keeps and changes, in chunks of about `chunk_bytes`."""
        self._api = api
        self._stream = stream
        self._next = request
        self._chunk_bytes = chunk_bytes
        self._keys = FIRST_CHUNK_KEYS
        self._left = max(request.limit, 0)
        """Keys the client's limit still allows; without a limit 0 from the start."""
        self._count = -1
        self._revision = 0
        self._busy = False
        refusal = _refusal(request)
        if refusal:
            stream.fail_with(Code.UNIMPLEMENTED, refusal)
        else:
            self.step()

    def step(self) -> None:
        """Asks for the next chunk, unless one is under way or the client has enough to read."""
        if self._busy or not self._stream.open or not self._stream.writable:
            return
        self._busy = True
        if FAILPOINTS:
            hit("beforeRangeStreamChunk")
        if not self._next.count_only:
            self._next.limit = min(self._keys, self._left) if self._left else self._keys
        self._api.range(self._next, self._take)

    def _take(self, result: Result | None, error: Exception | None) -> None:
        self._busy = False
        if not self._stream.open:
            return
        if result is None:
            assert error is not None
            self._stream.fail(error)
            return
        chunk = rpc.RangeResponse.FromString(result[1])
        if self._count < 0:
            self._count = chunk.count
            self._revision = result[0]
            self._next.revision = self._next.revision if self._next.revision > 0 else self._revision
            # What this member has read once it can read again by itself.
            self._next.serializable = True
        if self._left:
            self._left -= len(chunk.kvs)
            last = self._left <= 0 or not chunk.more
        else:
            last = not chunk.more
        self._send(chunk, last)
        if not last:
            self._next.key = chunk.kvs[-1].key + b"\0"
            self._resize(len(result[1]))
            self.step()

    def _send(self, chunk: rpc.RangeResponse, last: bool) -> None:
        header = b""
        if last:
            header = self._api.header(self._revision)
            chunk.count = self._count
        else:
            chunk.ClearField("count")
            chunk.ClearField("more")
        self._stream.send(delimited(b"\x0a", header + chunk.SerializeToString()))
        if last:
            self._stream.finish()

    def _resize(self, chunk_bytes: int) -> None:
        """Doubles or halves the next chunk towards the size aimed at."""
        if chunk_bytes * 2 <= self._chunk_bytes:
            self._keys *= 2
        elif chunk_bytes > self._chunk_bytes:
            self._keys = max(self._keys // 2, 1)


def _refusal(request: rpc.RangeRequest) -> str:
    descending = request.sort_order not in (rpc.RangeRequest.NONE, rpc.RangeRequest.ASCEND)
    if descending or request.sort_target != rpc.RangeRequest.KEY:
        return NO_SORT
    filters = (request.min_mod_revision, request.max_mod_revision, request.min_create_revision, request.max_create_revision)
    return NO_FILTERS if any(filters) else ""
