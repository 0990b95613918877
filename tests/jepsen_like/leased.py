"""Leases of a store that keeps its promises: runs that did happen, and a twin that tries every order of a small one."""

from __future__ import annotations

import heapq
from itertools import combinations, permutations
from random import Random
from typing import Any

from jepsen_like.history import FAIL, OK, UNKNOWN, Event, History, KeyValue, Operation, RangeArgument, RangeResult, Watch, WatchResponse

SECOND = 1_000_000_000

NOT_FOUND = "etcdserver: requested lease not found"


class Server:
    """Leases and keys; an instant is given by the caller."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.revision = 1
        self.held: dict[str, KeyValue] = {}
        self.expires: dict[int, int] = {}
        self.ttl: dict[int, int] = {}
        self.events: list[tuple[int, int, tuple[Event, ...]]] = []

    def end(self, lease: int, now: int) -> None:
        del self.expires[lease]
        gone = sorted(key for key, kv in self.held.items() if kv.lease == lease)
        if gone:
            self.revision += 1
            self.events.append((self.revision, now, tuple(Event("delete", KeyValue(key, "", 0, self.revision, 0)) for key in gone)))
        for key in gone:
            del self.held[key]

    def expire(self, now: int) -> None:
        for lease, when in sorted(self.expires.items(), key=lambda one: one[1]):
            if when <= now:
                self.end(lease, when)

    def apply(self, f: str, lease: int, key: str, now: int) -> tuple[Any, str]:
        """The result, and an error that is a definite failure."""
        slack = self._random.randrange(SECOND // 2)
        if f == "grant":
            self.ttl[lease] = 2
            self.expires[lease] = now + 2 * SECOND + slack
            return 2, ""
        if f == "put":
            if lease not in self.expires:
                return None, NOT_FOUND
            self.revision += 1
            old = self.held.get(key)
            created, version = (old.create_revision, old.version + 1) if old else (self.revision, 1)
            self.held[key] = KeyValue(key, f"v{self.revision}", created, self.revision, version, lease)
            self.events.append((self.revision, now, (Event("put", self.held[key], None, version == 1),)))
            return (), ""
        if f == "read":
            kvs = tuple(self.held[one] for one in sorted(self.held))
            return RangeResult(kvs, len(kvs)), ""
        if f == "get":
            return self.held.get(key), ""
        if lease not in self.expires:
            return (None, NOT_FOUND) if f == "revoke" else (0, "")
        if f == "revoke":
            self.end(lease, now)
            return None, ""
        if f == "keepalive":
            self.expires[lease] = max(self.expires[lease], now + 2 * SECOND + slack)
        return (2 if f == "keepalive" else (self.expires[lease] - now) // SECOND + 1), ""


def leased(seed: int, leases: int = 20, calls: int = 12, *, unknown: float = 0.05, keys: bool = True) -> History:
    """A valid history of that many leases, each of about that many calls over some seconds."""
    random = Random(seed)
    server = Server(random)
    heap: list[tuple[int, int, str, int, str, int, int]] = []
    for lease in range(1, leases + 1):
        begin = random.randrange(4 * SECOND)
        instant = begin
        for number in range(calls):
            f = "grant" if not number else random.choice(["keepalive"] * 4 + ["lease-ttl", "put", "put", "get", "read"])
            if number == calls - 1 and random.random() < 0.5:
                f = "revoke"
            if not keys and f in ("put", "get", "read"):
                f = "keepalive"
            latency = 1 + random.randrange(SECOND // 4)
            effect = instant + random.randrange(latency)
            heapq.heappush(heap, (effect, len(heap), f, lease, f"l{lease}{random.choice('abc')}", instant, instant + latency))
            instant += latency + random.randrange(SECOND * 2)
    operations: list[Operation] = []
    process = 0
    while heap:
        effect, _, f, lease, key, began, ended = heapq.heappop(heap)
        server.expire(effect)
        lost = f not in ("get", "read", "grant", "lease-ttl") and random.random() < unknown
        process += 1
        if lost and random.random() < 0.5:
            result, error = None, ""
        else:
            result, error = server.apply(f, lease, key, effect)
        if f == "read":
            operations.append(Operation(process, "range", "l", RangeArgument("m"), result, began, ended, OK, server.revision))
            continue
        argument = {"grant": 2, "put": f"v{server.revision}"}.get(f, 0)
        name, attached = (key, lease if f == "put" else 0) if f in ("put", "get") else (str(lease), 0)
        outcome = UNKNOWN if lost else FAIL if error else OK
        result = result if outcome == OK else None
        revision = server.revision if outcome == OK else 0
        operations.append(Operation(process, f, name, argument, result, began, ended, outcome, revision, "n1", error, attached))
    opened = Watch(0, process + 1, "l", "m", 2, 0, "n1")
    sent = [WatchResponse(0, when + 5_000_000, revision, events) for revision, when, events in server.events]
    return History(operations, [opened] if sent else [], sent)


def possible(operations: list[Operation]) -> bool:
    """Whether some order of the calls of one lease, with one end, explains them: by trying all."""
    unknown = [one for one in operations if one.f == "revoke" and one.outcome == UNKNOWN]
    certain = [one for one in operations if one.outcome != UNKNOWN]
    happened = [extra for count in (0, 1) for extra in combinations(unknown, count)]  # two that both ended it cannot be
    return any(_explained(order) for extra in happened for order in permutations([*certain, *extra, None]))


def _explained(order: tuple[Operation | None, ...]) -> bool:
    """None stands for expiry, which need not come to pass within the history."""
    now = alive = 0
    earliest = 0
    for one in order:
        if one is None:
            if alive != 1:
                continue
            now = max(now, earliest)
            alive = 2
            continue
        now = max(now, one.invoke_ns)
        if one.outcome != UNKNOWN and now > one.complete_ns:
            return False
        if one.f == "grant":
            if alive:
                return False
            alive, earliest = 1, now + one.result * SECOND
            continue
        needs = (one.outcome == OK and (one.result is None or one.result == () or one.result > 0)) or one.outcome == UNKNOWN
        if needs != (alive == 1):
            return False
        if one.f == "revoke" and needs:
            alive = 2
        elif one.f == "keepalive" and needs:
            earliest = max(earliest, now + one.result * SECOND)
    return True
