"""Histories that did happen: clients of a store of one dict, whose effects fall at a random instant inside each call.

What a checker must accept, at any size, and what mutations start from.
"""

from __future__ import annotations

import heapq
from random import Random
from typing import Any

from jepsen_like.history import OK, UNKNOWN, KeyValue, Operation, RangeArgument, RangeResult, TxnArgument, TxnResult

SIMPLE = {"get": 50, "put": 30, "delete": 5, "cas": 15}
EVERYTHING = {"get": 30, "put": 20, "delete": 8, "cas": 12, "txn": 12, "range": 10, "old-get": 4, "range-delete": 4}


class Store:
    """etcd's revisions over a dict."""

    def __init__(self) -> None:
        self.revision = 1
        self.kvs: dict[str, KeyValue] = {}
        self.past: list[dict[str, KeyValue]] = []
        self.keep_past = False

    def put(self, key: str, value: str, revision: int) -> None:
        old = self.kvs.get(key)
        self.kvs[key] = KeyValue(key, value, old.create_revision if old else revision, revision, old.version + 1 if old else 1)

    def live(self, start: str, end: str) -> list[str]:
        if not end:
            return [start] if start in self.kvs else []
        return sorted(key for key in self.kvs if start <= key < end)

    def apply(self, f: str, key: str, argument: Any) -> tuple[Any, int]:
        """The result and the header's revision."""
        kvs = self.kvs
        if f == "put":
            self.revision += 1
            self.put(key, argument, self.revision)
            result: Any = ()
        elif f == "get":
            result = kvs.get(key)
            if argument:
                state = self.past[argument] if argument < len(self.past) else kvs
                result = state.get(key)
        elif f == "delete":
            live = self.live(key, argument)
            self.revision += bool(live)
            for one in live:
                del kvs[one]
            result = len(live)
        elif f == "cas":
            held = kvs.get(key)
            if (held.value if held else None) == argument[0]:
                self.revision += 1
                self.put(key, argument[1], self.revision)
                result = (True,)
            else:
                result = (False, held)
        elif f == "range":
            live = self.live(key, argument.range_end)
            shown = live[: argument.limit or None]
            result = RangeResult(tuple(kvs[one] for one in shown), len(live), len(shown) < len(live))
        else:
            result = self._txn(argument)
        if self.keep_past:
            while len(self.past) <= self.revision:
                self.past.append({})
            self.past[self.revision] = dict(kvs)
        return result, self.revision

    def _txn(self, argument: TxnArgument) -> TxnResult:
        succeeded = all(
            (self.kvs[key].mod_revision if key in self.kvs else 0) == operand for key, _target, _sign, operand in argument.compares
        )
        steps = argument.success if succeeded else argument.failure
        writes = any(step[0] == "put" or (step[0] == "delete" and self.live(step[1], step[2])) for step in steps)
        revision = self.revision + bool(writes)
        responses: list[Any] = []
        for step in steps:
            if step[0] == "put":
                self.put(step[1], step[2], revision)
                responses.append(())
            elif step[0] == "get":
                responses.append(self.kvs.get(step[1]))
            else:
                live = self.live(step[1], step[2])
                for one in live:
                    del self.kvs[one]
                responses.append(len(live))
        self.revision = revision
        return TxnResult(succeeded, tuple(responses))


def history(
    random: Random,
    count: int,
    *,
    keys: int = 5,
    clients: int = 5,
    unknown: float = 0.0,
    applied: float = 0.5,
    mix: dict[str, int] | None = None,
    values: int = 0,
) -> list[Operation]:
    """`count` operations in order of completion; a share of `unknown` has no known outcome and of those `applied` had an effect.

    `values` 0: every written value is unique.
    """
    mix = mix or SIMPLE
    kinds, weights = list(mix), list(mix.values())
    store = Store()
    store.keep_past = "old-get" in mix
    events: list[tuple[int, int, str, int, Any]] = [(random.randrange(1000), client, "call", client, None) for client in range(clients)]
    heapq.heapify(events)
    serial = fresh = clients
    made = 0
    done: list[Operation] = []
    while events:
        now, _, what, process, call = heapq.heappop(events)
        serial += 1
        if what == "call":
            if made >= count:
                continue
            made += 1
            f, key, argument = _drawn(random, store, kinds, weights, keys, values, made)
            latency = 1000 + int(random.expovariate(1 / 5000))
            effect = now + int(latency * random.random())
            lost = f not in ("get", "range") and random.random() < unknown
            call = [process, f, key, argument, now, now + latency, lost, None, 0]
            if not lost or random.random() < applied:
                late = int(latency * 5 * random.random()) if lost else 0
                heapq.heappush(events, (effect + late, serial, "effect", process, call))
            heapq.heappush(events, (now + latency, serial + count * 4, "return", process, call))
        elif what == "effect":
            call[7], call[8] = store.apply(call[1], call[2], call[3])
        else:
            _, f, key, argument, began, ended, lost, result, revision = call
            if lost:
                done.append(Operation(process, f, key, argument, None, began, ended, UNKNOWN))
                process = fresh
                fresh += 1
            else:
                done.append(Operation(process, f, key, argument, result, began, ended, OK, revision))
            heapq.heappush(events, (now + 1 + random.randrange(500), serial, "call", process, None))
    return done


def _drawn(random: Random, store: Store, kinds: list[str], weights: list[int], keys: int, values: int, number: int) -> tuple[str, str, Any]:
    f = random.choices(kinds, weights)[0]
    key = f"k{random.randrange(keys)}"
    value = f"v{random.randrange(values) if values else number}"
    held = store.kvs.get(key)
    if f == "get":
        return f, key, 0
    if f == "old-get":
        return "get", key, random.randint(max(1, store.revision - 20), store.revision) if len(store.past) > store.revision else 0
    if f == "put":
        return f, key, value
    if f == "delete":
        return f, key, ""
    if f == "range-delete":
        return "delete", key, f"k{random.randrange(keys)}z"
    if f == "cas":
        return f, key, (held.value if held and random.random() < 0.8 else random.choice([None, "v0"]), value)
    if f == "range":
        return f, key, RangeArgument("l", random.choice([0, 0, 2]))
    other = f"k{random.randrange(keys)}"
    guard = (key, "mod", "=", held.mod_revision if held and random.random() < 0.8 else 0)
    steps: list[tuple[str, ...]] = [("put", key, value)]
    if other != key:
        steps += [("put", other, f"{value}b") if random.random() < 0.6 else ("delete", other, "")]
    return "txn", "", TxnArgument((guard,), (*steps, ("get", key)), (("get", key), ("get", other)))
