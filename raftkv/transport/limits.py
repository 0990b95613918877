"""What a peer may make us do: every bound of a connection, in one frozen record per role.

Sans-IO. The embedder builds these from its configuration; nothing in `transport` reads flags. What happens at a bound
stands in the field's docstring. `GOAWAY` and `RST` name the HTTP/2 error code sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raftkv.errors import ConfigError
from raftkv.transport.frames import STREAM_ID_MAX, WINDOW_DEFAULT, WINDOW_MAX


class TokenBucket:
    """A rate with a burst: `spend` is true while the caller keeps to it."""

    __slots__ = ("_at_s", "_burst", "_now", "_per_s", "_tokens")

    def __init__(self, now: Callable[[], float], *, burst: int, per_s: float) -> None:
        self._now = now
        self._burst = self._tokens = float(burst)
        self._per_s = per_s
        self._at_s = now()

    def spend(self, cost: int = 1) -> bool:
        """Take tokens; false, and nothing taken, when there are too few."""
        now_s = self._now()
        tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        self._tokens = tokens - cost if tokens >= cost else tokens
        return tokens >= cost


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What both roles bound. `validate` reports every fault at once."""

    stream_window_bytes: int = 1 << 20
    """Receive window announced for each stream, bytes, 65 535 to 2^31-1. One put of the default request limit fits in two round trips."""

    connection_window_bytes: int = 4 << 20
    """Receive window of the whole connection, bytes, 65 535 to 2^31-1; renewed when half is used."""

    message_bytes_max: int = 1 << 21
    """Longest message received, bytes. Over it the call ends with RESOURCE_EXHAUSTED before the message is buffered.
    The default is etcd's: 1.5 MiB for a request and 512 KiB on top."""

    partial_bytes_max: int = 64 << 20
    """Bytes of incomplete messages held for all streams of a connection. Over it the call that adds to them ends
    with RESOURCE_EXHAUSTED."""

    header_list_bytes_max: int = 32 << 10
    """Announced SETTINGS_MAX_HEADER_LIST_SIZE, RFC 7541's count. A larger list: RST ENHANCE_YOUR_CALM.
    A compressed block over it: GOAWAY ENHANCE_YOUR_CALM."""

    continuations_max: int = 16
    """CONTINUATION frames of one header block. More: GOAWAY ENHANCE_YOUR_CALM."""

    unsent_bytes_max: int = 64 << 20
    """Answers a connection may have waiting for its windows, bytes. Over it no further request of it is served until half has left."""

    stream_unsent_bytes_max: int = 256 << 10
    """What one stream may have waiting before it is no longer `writable`, bytes. Nothing is dropped: the sender decides."""

    control_bytes_max: int = 1 << 20
    """Bytes other than DATA put into the buffer of a connection that is not being read by its peer. Over it the connection is cut."""

    glitch_burst: int = 1000
    """Frames that make no progress (SETTINGS, PRIORITY, unknown types, empty DATA, frames for closed streams, surplus WINDOW_UPDATE)
    a peer may send at once."""

    glitches_per_s: float = 50.0
    """Their rate after the burst. Over it: GOAWAY ENHANCE_YOUR_CALM."""

    reset_burst: int = 2000
    """Streams a peer may reset at once (a client with that many calls may cancel them all)."""

    resets_per_s: float = 200.0
    """Their rate after the burst. Over it, the rapid reset attack: GOAWAY ENHANCE_YOUR_CALM."""

    stall_timeout_s: float = 60.0
    """How long a connection with `unsent_bytes_max` waiting may take nothing of it, seconds. Then GOAWAY ENHANCE_YOUR_CALM,
    and it is cut."""

    headers_timeout_s: float = 10.0
    """How long a header block may stay without its end, seconds. Then GOAWAY ENHANCE_YOUR_CALM."""

    def faults(self) -> list[str]:
        """What is wrong with the values, one sentence each."""
        faults = [
            f"{name} must be between {WINDOW_DEFAULT} and {WINDOW_MAX}"
            for name in ("stream_window_bytes", "connection_window_bytes")
            if not WINDOW_DEFAULT <= getattr(self, name) <= WINDOW_MAX
        ]
        for name, value in vars(self).items():
            if not name.endswith("window_bytes") and value is not None and not isinstance(value, bool) and value <= 0:
                faults.append(f"{name} must be above 0")
        return faults

    def validate(self) -> None:
        """Raises ConfigError naming every fault."""
        faults = self.faults()
        if faults:
            raise ConfigError("; ".join(faults))


@dataclass(frozen=True, kw_only=True)
class ServerLimits(ConnectionLimits):
    """Bounds of a server."""

    connections_max: int = 1 << 16
    """Open HTTP/2 and undecided connections of one server. One more is closed at once."""

    max_concurrent_streams: int = 1 << 15
    """Announced; a stream beyond it: RST REFUSED_STREAM. 2^31-1 or more is not announced. etcd's default is no bound; ours keeps
    what one connection can cost near 20 MB."""

    queued_calls_max: int = 4096
    """Unary calls of a connection that its handlers hold unanswered. Over it the connection is not read until half are answered."""

    preface_timeout_s: float = 10.0
    """From the connection to the end of its first SETTINGS (or the first byte of HTTP/1.1), seconds. Then it is cut."""

    ping_interval_min_s: float = 5.0
    """etcd's --grpc-keepalive-min-time. A client that pings faster without being sent anything, more than `ping_strikes_max` times:
    GOAWAY ENHANCE_YOUR_CALM `too_many_pings`."""

    ping_strikes_max: int = 2
    """grpc-go's."""

    idle_ping_interval_min_s: float = 7200.0
    """The interval that counts for a client without open streams; grpc-go's."""

    ping_without_stream: bool = False
    """Whether `ping_interval_min_s` also holds for clients without open streams. etcd: no."""

    keepalive_s: float = 7200.0
    """etcd's --grpc-keepalive-interval: a connection silent for so long is pinged."""

    keepalive_timeout_s: float = 20.0
    """etcd's --grpc-keepalive-timeout: and is cut when it stays silent for so long after."""

    @property
    def announced_streams(self) -> int | None:
        """The value of SETTINGS_MAX_CONCURRENT_STREAMS, if any."""
        return self.max_concurrent_streams if self.max_concurrent_streams < STREAM_ID_MAX else None


@dataclass(frozen=True, kw_only=True)
class ChannelLimits(ConnectionLimits):
    """Bounds of a client."""

    message_bytes_max: int = (1 << 31) - 1
    """Longest answer accepted unless a call says less, bytes; etcd's clients have no bound either.
    Over it the call ends with RESOURCE_EXHAUSTED."""

    partial_bytes_max: int = (1 << 31) - 1
    """See `ConnectionLimits`."""

    waiting_calls_max: int = 10_000
    """Calls that wait because the server allows no further stream. Over it a call fails UNAVAILABLE, unsent."""

    keepalive_s: float | None = None
    """A connection silent for so long is pinged, seconds; None: never. etcd's servers cut clients that ping more often than every 5 s."""

    keepalive_timeout_s: float = 20.0
    """And is given up when it stays silent for so long after, seconds."""

    keepalive_without_calls: bool = False
    """Whether to ping while no call is open; grpc servers allow that every two hours only, unless told otherwise."""
