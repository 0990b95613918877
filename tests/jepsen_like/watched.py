"""Watchers of a store of one dict: runs that did happen, with everything a watcher may legally be sent."""

from __future__ import annotations

from bisect import bisect_right
from random import Random
from typing import NamedTuple

from jepsen_like.history import (
    OK,
    UNKNOWN,
    Event,
    History,
    KeyValue,
    Operation,
    TxnArgument,
    TxnResult,
    Watch,
    WatchResponse,
)

STEP_NS = 1000
"""Between two changes of the store."""

Log = list[tuple[int, int, list[Event]]]
"""(revision, when, events with their previous records), in order."""


class Run(NamedTuple):
    operations: list[Operation]
    log: Log
    compacted: list[tuple[int, int]]
    """(when, to which revision)."""


def run(random: Random, changes: int, *, keys: int = 4, unknown: float = 0.1, compactions: bool = True) -> Run:
    """A run of that many calls that change something; unknown ones all took effect or none did, at random."""
    held: dict[str, KeyValue] = {}
    log: Log = []
    operations: list[Operation] = []
    compacted: list[tuple[int, int]] = []
    revision, process = 1, 0
    for number in range(changes):
        now = (number + 1) * STEP_NS
        process += 1
        if compactions and revision > 10 and random.random() < 0.01:
            target = random.randint(max(compacted[-1][1] + 1 if compacted else 2, revision - 30), revision)
            if target <= revision:
                compacted.append((now, target))
                operations.append(Operation(process, "compact", "", target, None, now - 300, now + 300, OK, revision))
                continue
        f, key, argument, events, result = _call(random, held, keys, number, revision + 1)
        lost = random.random() < unknown
        if (not lost or random.random() < 0.5) and events:
            revision += 1
            log.append((revision, now, events))
            for event in events:
                held.pop(event.kv.key, None)
                if event.type == "put":
                    held[event.kv.key] = event.kv
        if lost:
            operations.append(Operation(process, f, key, argument, None, now - 400, now + 400, UNKNOWN))
        else:
            operations.append(Operation(process, f, key, argument, result, now - 400, now + 400, OK, revision))
        if random.random() < 0.1:
            key = f"k{random.randrange(keys)}"
            operations.append(Operation(process + 10**6, "get", key, 0, held.get(key), now + 401, now + 450, OK, revision))
    return Run(operations, log, compacted)


def _call(random: Random, held: dict[str, KeyValue], keys: int, number: int, revision: int):  # type: ignore[no-untyped-def]
    key = f"k{random.randrange(keys)}"
    kind = random.random()
    if kind < 0.5:
        previous = held.get(key)
        return "put", key, f"v{number}", [put(held, key, f"v{number}", revision)], (previous,) if random.random() < 0.3 else ()
    if kind < 0.65:
        events = [delete(held, key, revision)] if key in held else []
        return "delete", key, "", events, len(events)
    if kind < 0.7:
        events = [delete(held, one, revision) for one in sorted(held) if one >= key]
        return "delete", key, "\0", events, len(events)
    if kind < 0.85:
        other = f"k{random.randrange(keys)}"
        steps: list[tuple[str, ...]] = [("put", key, f"v{number}")]
        events = [put(held, key, f"v{number}", revision)]
        responses: list[object] = [()]
        if other != key and other in held and random.random() < 0.4:
            steps.append(("delete", other, ""))
            events.append(delete(held, other, revision))
            responses.append(1)
        elif other != key:
            steps.append(("put", other, f"w{number}"))
            events.append(put(held, other, f"w{number}", revision))
            responses.append(())
        return "txn", "", TxnArgument((), tuple(steps)), events, TxnResult(True, tuple(responses))
    expected = held[key].value if key in held else None
    return "cas", key, (expected, f"v{number}"), [put(held, key, f"v{number}", revision)], (True,)


def put(held: dict[str, KeyValue], key: str, value: str, revision: int) -> Event:
    old = held.get(key)
    kv = KeyValue(key, value, old.create_revision if old else revision, revision, old.version + 1 if old else 1)
    return Event("put", kv, old, old is None)


def delete(held: dict[str, KeyValue], key: str, revision: int) -> Event:
    return Event("delete", KeyValue(key, "", 0, revision, 0), held[key])


def watches(random: Random, done: Run, count: int, *, keys: int = 4, span: int = 60) -> tuple[list[Watch], list[WatchResponse]]:
    """`count` legal watchers of the run, their responses in order of arrival."""
    opened: list[Watch] = []
    sent: list[WatchResponse] = []
    top = done.log[-1][0] if done.log else 1
    for number in range(count):
        key, range_end = random.choice([("k0", ""), (f"k{random.randrange(keys)}", ""), ("k", "l"), ("k1", "k3"), ("k", "\0")])
        filters = random.choice([(), (), (), ("noput",), ("nodelete",)])
        now_revision = random.randint(1, top)
        start = random.choice([0, 0, now_revision, max(2, now_revision - 20), now_revision + random.randrange(1, 30)])
        watch = Watch(number, 10**7 + number, key, range_end, start, 0, f"n{number % 3}", random.random() < 0.5, filters)
        opened.append(watch)
        sent.extend(_sent(random, done, watch, now_revision, span))
    sent.sort(key=lambda response: response.time_ns)
    return opened, sent


def _sent(random: Random, done: Run, watch: Watch, at: int, span: int) -> list[WatchResponse]:
    when = {revision: time for revision, time, _events in done.log}
    now = when.get(at, 0) + 10
    responses = [WatchResponse(watch.watch, now, at, created=True)]
    first = watch.start_revision or at + 1
    before = [revision for time, revision in done.compacted if time <= now]
    if before and first < before[-1]:
        return [*responses, WatchResponse(watch.watch, now + 1, 0, cancelled=True, compact_revision=before[-1])]
    waiting: list[Event] = []
    newest = first - 1
    for revision, time, events in done.log:
        if revision < first or newest >= max(at, first) + span:
            continue
        now = max(now + 1, time + 20)
        wanted = [_as_asked(watch, event) for event in events if _wants(watch, event)]
        cut = bisect_right(done.compacted, (now, 1 << 60))
        if cut and done.compacted[cut - 1][1] >= revision and watch.prev_kv:
            wanted = [event._replace(previous=None) if random.random() < 0.5 else event for event in wanted]
        waiting += wanted
        newest = revision
        if waiting and random.random() < 0.6:
            responses += _pieces(random, watch, now, revision, waiting)
            now += 10
            waiting = []
        elif not waiting and random.random() < 0.2:
            responses.append(WatchResponse(watch.watch, now + 5, revision))
            now += 5
    overtaken = [one for cut, one in done.compacted if cut <= now and one > max(first, newest_event(responses) + 1)]
    if overtaken and waiting:
        responses.append(WatchResponse(watch.watch, now + 20, 0, cancelled=True, compact_revision=overtaken[-1]))
    elif waiting and random.random() < 0.5:
        responses += _pieces(random, watch, now, newest, waiting)
    if not responses[-1].cancelled and random.random() < 0.3:
        responses.append(WatchResponse(watch.watch, now + 30, 0, cancelled=True, reason="the stream was lost"))
    return responses


def newest_event(responses: list[WatchResponse]) -> int:
    return max((event.kv.mod_revision for response in responses for event in response.events), default=0)


def _wants(watch: Watch, event: Event) -> bool:
    key = event.kv.key
    inside = key == watch.key if not watch.range_end else key >= watch.key and (watch.range_end == "\0" or key < watch.range_end)
    return inside and f"no{event.type}" not in watch.filters


def _as_asked(watch: Watch, event: Event) -> Event:
    return event if watch.prev_kv else event._replace(previous=None)


def _pieces(random: Random, watch: Watch, now: int, revision: int, events: list[Event]) -> list[WatchResponse]:
    if len(events) > 1 and random.random() < 0.3:
        cut = random.randrange(1, len(events))
        return [
            WatchResponse(watch.watch, now, revision, tuple(events[:cut]), fragment=True),
            WatchResponse(watch.watch, now + 1, revision, tuple(events[cut:])),
        ]
    return [WatchResponse(watch.watch, now, revision, tuple(events))]


def watched(seed: int, changes: int = 300, watchers: int = 20, span: int = 60, **how: object) -> History:
    """A whole valid history."""
    random = Random(seed)
    done = run(random, changes, **how)  # type: ignore[arg-type]
    opened, sent = watches(random, done, watchers, span=span)
    return History(done.operations, opened, sent)
