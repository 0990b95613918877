"""What every call passes before its service sees it: its metadata, and the count of clients by version.

Owns the rules of `hasleader` and `client-api-version` and the monitor that ends streams of a member without leader;
refuses to know services. Hot path (every put comes through `admit_unary`): a header block that the transport has seen
before is one object, so its verdict is remembered by identity. Source: etcd's api/v3rpc/interceptor.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from raftkv.errors import InvalidClientAPIVersionError, NoLeaderError, RaftKVError
from raftkv.metrics import Family, Metrics, Number
from raftkv.rpc.call import Metadata
from raftkv.server.api import MemberApi

NO_LEADER_COUNT_MAX = 3
"""Election timeouts without a leader after which a stream that asked for one is ended."""


class Guard:
    """Admits calls of one member."""

    __slots__ = ("_api", "_plain", "_requests", "_unary_unknown")

    def __init__(self, api: MemberApi, metrics: Metrics) -> None:
        self._api = api
        self._requests: Family = metrics.family("etcd_server_client_requests_total")
        self._unary_unknown: Number = self._requests.number("unary", "unknown")
        self._plain: Metadata | None = None
        """The last block that asked for nothing. Held, so its identity cannot be another block's."""

    def admit_unary(self, metadata: Metadata) -> RaftKVError | None:
        """Counts a unary call; the error it is refused with, if any."""
        if metadata is self._plain:
            self._unary_unknown.value += 1
            return None
        require_leader, version = _read(metadata)
        if version is None:
            return InvalidClientAPIVersionError()
        if version == "unknown" and not require_leader:
            self._plain = metadata
        self._requests.number("unary", version).value += 1
        if require_leader and not self._api.has_leader():
            return NoLeaderError()
        return None

    def admit_stream(self, metadata: Metadata) -> tuple[bool, RaftKVError | None]:
        """Counts a streaming call; whether it must be ended when the leader is lost, and the error it is refused with."""
        require_leader, version = _read(metadata)
        if version is None:
            return False, InvalidClientAPIVersionError()
        self._requests.number("stream", version).value += 1
        if require_leader and not self._api.has_leader():
            return True, NoLeaderError()
        return require_leader, None


def _read(metadata: Metadata) -> tuple[bool, str | None]:
    """`hasleader` and `client-api-version`; of a repeated name the first counts. The version is None when it is not text."""
    leader_value: bytes | None = None
    version_value: bytes | None = None
    for name, value in metadata:
        if name == b"hasleader" and leader_value is None:
            leader_value = value
        elif name == b"client-api-version" and version_value is None:
            version_value = value
    version: str | None = "unknown"
    if version_value is not None:
        try:
            version = version_value.decode()
        except UnicodeDecodeError:
            version = None
    return leader_value == b"true", version


class LeaderMonitor:
    """Ends the streams that asked for a leader once there was none for NO_LEADER_COUNT_MAX election timeouts.

    One timer for all of them, armed only while there are any.
    """

    __slots__ = ("_api", "_interval_s", "_loop", "_missed_count", "_streams", "_timer")

    def __init__(self, api: MemberApi, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._api = api
        self._loop = loop
        self._interval_s = interval_s
        self._missed_count = 0
        self._streams: set[Callable[[RaftKVError], None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, end: Callable[[RaftKVError], None]) -> None:
        """Watches over a stream; `end` is called at most once, and must be taken out when the stream ends by itself."""
        self._streams.add(end)
        if self._timer is None:
            self._missed_count = 0
            self._timer = self._loop.call_later(self._interval_s, self._check)

    def discard(self, end: Callable[[RaftKVError], None]) -> None:
        """Forgets a stream."""
        self._streams.discard(end)
        if not self._streams and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        self._missed_count = 0 if self._api.has_leader() else self._missed_count + 1
        if self._missed_count >= NO_LEADER_COUNT_MAX:
            streams = list(self._streams)
            self._streams.clear()
            for end in streams:
                end(NoLeaderError())
        if self._streams:
            self._timer = self._loop.call_later(self._interval_s, self._check)
