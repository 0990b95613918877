"""What every call passes before its service sees it: its metadata, and the count of clients by version.

Owns the rules of `hasleader` and `client-api-version` and the monitor that ends streams of a member without leader;
refuses to know services. Hot path: every put comes through `admit_unary`. Source: etcd's api/v3rpc/interceptor.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from raftkv.errors import InvalidClientAPIVersionError, NoLeaderError, RaftKVError
from raftkv.metrics import LABEL_SETS_MAX, Family, Metrics, Number
from raftkv.rpc.call import Metadata
from raftkv.server.api import MemberApi

NO_LEADER_COUNT_MAX = 3
"""Election timeouts without a leader after which a stream that asked for one is ended."""

CLIENT_VERSION_CHARS_MAX = 64
"""A longer client API version is counted under `other`: what a client sends as its version is kept for ever."""


class Guard:
    """Admits calls of one member."""

    __slots__ = ("_api", "_requests", "_unary")

    def __init__(self, api: MemberApi, metrics: Metrics) -> None:
        self._api = api
        self._requests: Family = metrics.family("etcd_server_client_requests_total")
        self._unary: dict[str | bytes | None, Number] = {None: self._requests.number("unary", "unknown")}
        """Counters by the raw value of the version, for values that were found good; bounded as the family is."""

    def admit_unary(self, metadata: Metadata) -> RaftKVError | None:
        """Counts a unary call; the error it is refused with, if any. 0.2 µs."""
        version = metadata.get("client-api-version")
        counter = self._unary.get(version)
        if counter is None:
            label = _version_label(version)
            if label is None:
                return InvalidClientAPIVersionError()
            counter = self._requests.number("unary", label)
            if label == version and len(self._unary) < LABEL_SETS_MAX:
                self._unary[version] = counter
        counter.value += 1
        if metadata.get("hasleader") == "true" and not self._api.has_leader():
            return NoLeaderError()
        return None

    def admit_stream(self, metadata: Metadata) -> tuple[bool, RaftKVError | None]:
        """Counts a streaming call; whether it must be ended when the leader is lost, and the error it is refused with."""
        label = _version_label(metadata.get("client-api-version"))
        if label is None:
            return False, InvalidClientAPIVersionError()
        self._requests.number("stream", label).value += 1
        require_leader = metadata.get("hasleader") == "true"
        if require_leader and not self._api.has_leader():
            return True, NoLeaderError()
        return require_leader, None


def _version_label(version: str | bytes | None) -> str | None:
    """What a client's API version is counted under; None when it is not text."""
    if version is None:
        return "unknown"
    if isinstance(version, bytes):
        return None
    try:
        label = version.encode("latin-1").decode()
    except UnicodeError:
        return None
    return label if len(label) <= CLIENT_VERSION_CHARS_MAX else "other"


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
        # In the order they came: a set would end them by the addresses they happen to have.
        self._streams: dict[Callable[[RaftKVError], None], None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, end: Callable[[RaftKVError], None]) -> None:
        """Watches over a stream; `end` is called at most once, and must be taken out when the stream ends by itself."""
        self._streams[end] = None
        if self._timer is None:
            self._missed_count = 0
            self._timer = self._loop.call_later(self._interval_s, self._check)

    def discard(self, end: Callable[[RaftKVError], None]) -> None:
        """Forgets a stream."""
        self._streams.pop(end, None)
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
