"""What is measured: the loads of the table, each with the answer that is expected of it.

A scenario's name is `members.place.operation.connections x streams`, such as `three.leader.put.64x1`; `--only` picks by parts of it.
Values are 256 bytes. The plain put and range use one key, as the figures of design.md §2 do; `put-spread` goes through 10 000 keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from raftkv.pb import rpc

VALUE = b"v" * 256
ONE_KEY = b"bench/one"
LIST_KEYS = 10_000
SPREAD_KEYS = 10_000

PUT = "/etcdserverpb.KV/Put"
RANGE = "/etcdserverpb.KV/Range"

SHAPES = ((1, 1), (64, 1), (4, 64))
BUSY_SHAPES = SHAPES[1:]


def list_key(number: int) -> bytes:
    """Keys that the long ranges read; they are written once."""
    return b"bench/list/%06d" % number


def spread_key(number: int) -> bytes:
    """Keys that `put-spread` writes in turn."""
    return b"bench/spread/%06d" % number


class Operation(NamedTuple):
    """A request, or several sent in turn, and what one of them must answer."""

    name: str
    path: str
    messages: Sequence[bytes]
    shapes: Sequence[tuple[int, int]]
    probe_requests: int
    """Requests of the short run that finds out the rate."""
    keys_expected: int = 0
    """Keys in a range's answer."""


def _range(first: bytes, last: bytes = b"", *, serializable: bool = False) -> list[bytes]:
    return [rpc.RangeRequest(key=first, range_end=last, serializable=serializable).SerializeToString()]


def _put(key: bytes) -> bytes:
    return rpc.PutRequest(key=key, value=VALUE).SerializeToString()


def operations() -> list[Operation]:
    """In the order they are run: reads first, because etcd 3.4 copies its write buffer for each read, and a burst of writes leaves a
    large buffer behind until the next start (measured: 730 linearizable reads a second after 30 000 puts/s, 9 500 before)."""
    spread = [_put(spread_key(number)) for number in range(SPREAD_KEYS)]
    return [
        Operation("range", RANGE, _range(ONE_KEY), BUSY_SHAPES, 2000, 1),
        Operation("range-serializable", RANGE, _range(ONE_KEY, serializable=True), BUSY_SHAPES, 2000, 1),
        Operation("range-500", RANGE, _range(list_key(0), list_key(500)), ((8, 1),), 100, 500),
        Operation("range-10000", RANGE, _range(list_key(0), list_key(LIST_KEYS)), ((8, 1),), 24, LIST_KEYS),
        Operation("put", PUT, [_put(ONE_KEY)], SHAPES, 1000),
        Operation("put-spread", PUT, spread, BUSY_SHAPES, 1000),
    ]


class Scenario(NamedTuple):
    """One row of the table."""

    size: int
    place: str
    """`leader` or `follower`; empty with one member."""
    operation: Operation
    connections: int
    streams: int

    @property
    def name(self) -> str:
        """See the module."""
        place = f"three.{self.place}" if self.place else "one"
        return f"{place}.{self.operation.name}.{self.connections}x{self.streams}"


def load_scenarios(wanted: Callable[[str], bool]) -> dict[int, list[Scenario]]:
    """The wanted ones by cluster size, in the order they are run."""
    found: dict[int, list[Scenario]] = {}
    for size, places in ((1, ("",)), (3, ("leader", "follower"))):
        rows = [
            Scenario(size, place, operation, connections, streams)
            for operation in operations()
            for place in places
            for connections, streams in operation.shapes
        ]
        found[size] = [row for row in rows if wanted(row.name)]
    return found


WATCH = "one.watch"
IDLE_MEMORY = "memory.idle"
LOADED_MEMORY = "memory.loaded"
START = "start.fresh"
RESTART = "start.again"
OTHERS = (WATCH, IDLE_MEMORY, LOADED_MEMORY, START, RESTART)


def chooser(only: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name has one of the parts in it; every name when there are none."""
    return lambda name: not only or any(part in name for part in only)
