"""The changes a run is known to have made, key by key: merged from answers to writes and reads and from what watchers saw.

Owns what is known of every (revision, key), and which revisions may still hide a change that nobody saw. The store's own log
is not needed: a change that one watcher saw or one client was told of is one that every watcher of that key must see. What
is shown of a key (create revision, version, previous record) also proves changes nobody saw. Source: spec/faults.md §5a W1-W8.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

from jepsen_like.checker.placement import covers, effects
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import OK, Event, KeyValue, Operation, Record

UNKNOWN_LEASE = -1

KV_CALLS = frozenset({"put", "get", "range", "delete", "cas", "txn", "compact", "hashkv"})
"""Calls whose every effect on keys the history tells; beside others, an unexplained change is nobody's fault."""


class Change(NamedTuple):
    """One key at one revision. A field not known is None, 0 or `UNKNOWN_LEASE`."""

    revision: int
    key: str
    put: bool
    value: str | None = None
    create: int = 0
    version: int = 0
    lease: int = UNKNOWN_LEASE
    source: Record | None = None

    @property
    def complete(self) -> bool:
        """Whether create revision and version are known; a delete has none."""
        return not self.put or self.version > 0


Open = Callable[[int, str, bool], bool]
"""Whether (revision, key, put?) may hold a change that nobody saw."""


class Changes:
    """Invariants: 1. one change per (revision, key). 2. `of_key` lists are in revision order once `settle` was called."""

    def __init__(self, operations: Sequence[Operation], initial: Mapping[str, KeyValue], findings: Findings) -> None:
        self._findings = findings
        self.known: dict[tuple[int, str], Change] = {}
        self.of_key: dict[str, list[Change]] = {}
        self.order: list[tuple[int, str]] = []
        self.revisions: list[int] = []
        """Of `order`, for bisection."""
        self.made: dict[int, Operation] = {}
        """Revision -> the acknowledged write of the key-value API that made it."""
        self._taken: dict[tuple[int, str], KeyValue] = {}
        """What was merged as it stood, so that the same thing shown again costs one look."""
        self._ranged: list[int] | None = None
        """Revisions that deleted a range."""
        self._compactions: list[tuple[int, int]] = []
        """(when it was asked for, the highest revision asked for by then), in order of time."""
        for kv in initial.values():
            self._add(_of_kv(kv, None))
        for operation in operations:
            if operation.f == "compact":
                self._compactions.append((operation.invoke_ns, operation.argument))
            elif operation.outcome == OK:
                self._acknowledged(operation)
        self._compactions.sort()
        self._compactions = list(accumulate(self._compactions, lambda before, one: (one[0], max(before[1], one[1]))))
        for operation in operations:
            if operation.outcome == OK:
                for kv in shown(operation):
                    self._merge(_of_kv(kv, operation), "read")

    def see(self, event: Event, source: Record) -> None:
        """Take what a watcher was shown; differing from what is known is an anomaly."""
        kind, kv, previous, _is_create = event
        if previous is not None and self._taken.get((previous[3], previous[0])) != previous:
            self._taken.setdefault((previous[3], previous[0]), previous)
            self._merge(_of_kv(previous, source), "previous record")
        place = (kv[3], kv[0])
        if self._taken.get(place) == kv and self.known[place].put == (kind == "put"):
            return
        self._taken.setdefault(place, kv)
        if kind == "put":
            change = Change(kv[3], kv[0], True, kv[1], kv[2], kv[4], kv[5], source)
        else:
            change = Change(kv[3], kv[0], False, source=source)
        self._merge(change, "watcher")

    def settle(self) -> None:
        """Sort, after everything was taken."""
        for change in self.known.values():
            self.of_key.setdefault(change.key, []).append(change)
        for changes in self.of_key.values():
            changes.sort()
        self.order = sorted(self.known)
        self.revisions = [revision for revision, _key in self.order]

    def before(self, key: str, revision: int) -> Change | None:
        """The newest known change of the key below the revision."""
        changes = self.of_key.get(key, [])
        place = bisect_left(changes, (revision,))
        return changes[place - 1] if place else None

    def within(self, first: int, last: int, key: str, range_end: str) -> Iterable[Change]:
        """Known changes of a range of keys with `first` <= revision <= `last`, by revision and key."""
        if not range_end:
            changes = self.of_key.get(key, [])
            return changes[bisect_left(changes, (first,)) : bisect_right(changes, (last + 1,))]
        known = self.known
        span = self.order[bisect_left(self.revisions, first) : bisect_right(self.revisions, last)]
        return [known[place] for place in span if covers(key, range_end, place[1])]

    def compacted_by(self, when_ns: int) -> int:
        """The highest revision that a compaction had been asked for by then; 0: none."""
        place = bisect_right(self._compactions, (when_ns, sys.maxsize))
        return self._compactions[place - 1][1] if place else 0

    def in_deleted_range(self, key: str, after: int, last: int) -> bool:
        """Whether an acknowledged delete of a range, above `after` and up to `last`, may have taken the key."""
        revisions = self._ranged
        if revisions is None:
            revisions = self._ranged = sorted(revision for revision, maker in self.made.items() if deleted_ranges(maker))
        for revision in revisions[bisect_right(revisions, after) : bisect_right(revisions, last)]:
            if any(covers(start, end, key) for start, end in deleted_ranges(self.made[revision])):
                return True
        return False

    def may_hold(self, revision: int, key: str, put: bool) -> bool:
        """Whether, by the answers alone, the revision may hold a change of the key that nobody saw."""
        if revision < 2 or (revision, key) in self.known:
            return False
        maker = self.made.get(revision)
        return maker is None or (not put and any(covers(start, end, key) for start, end in deleted_ranges(maker)))

    def _acknowledged(self, operation: Operation) -> None:
        f, revision = operation.f, operation.revision
        if f == "put":
            self.made.setdefault(revision, operation)
            change = Change(revision, operation.key, True, operation.argument, lease=operation.lease, source=operation)
            if operation.result:
                change = _after(change, operation.result[0])
            self._add(change)
        elif f == "cas" and operation.result[0]:
            self.made.setdefault(revision, operation)
            change = Change(revision, operation.key, True, operation.argument[1], lease=operation.lease, source=operation)
            self._add(change if operation.argument[0] is not None else _after(change, None))
        elif f == "delete" and operation.result:
            self.made.setdefault(revision, operation)
            if not operation.argument:
                self._add(Change(revision, operation.key, False, source=operation))
        elif f == "txn":
            for change in _of_txn(operation):
                self.made.setdefault(revision, operation)
                self._add(change)
            if any(end for _start, end in deleted_ranges(operation)):
                self.made.setdefault(revision, operation)

    def _add(self, change: Change) -> None:
        self.known.setdefault((change.revision, change.key), change)

    def _merge(self, change: Change, who: str) -> None:
        place = (change.revision, change.key)
        held = self.known.get(place)
        if held is None:
            maker = self.made.get(change.revision)
            if maker is not None and not self.may_hold(change.revision, change.key, change.put):
                text = f"revision {change.revision} is {maker.f} {maker.key!r}, yet a {who} shows {told(change)} there"
                self._findings.add("watch-wrong-event", text, _records(maker, change.source), (change.key,))
            self.known[place] = change
            return
        agreed = _agreed(held, change)
        if agreed is not None:
            self.known[place] = agreed
            return
        kind = "watch-divergent" if who == "watcher" and not isinstance(held.source, Operation) else "watch-wrong-event"
        text = f"at revision {change.revision} a {who} shows {told(change)}, where it was {told(held)}"
        self._findings.add(kind, text, _records(held.source, change.source), (change.key,))


def check_chains(changes: Changes, opened: Open, missed: Callable[[Change, Change | None, str], None]) -> None:
    """Report, to `missed`, every complete change that its key's known past cannot lead to, even by changes nobody saw.

    `missed` gets the change, the last complete one before it, and what is missing between them.
    """
    for key, chain in changes.of_key.items():
        before: Change | None = None
        middle: list[Change] = []
        for change in chain:
            if not change.complete:
                middle.append(change)
                continue
            fault = _fault(before, middle, change, partial(_opened, opened, key))
            if fault:
                missed(change, before, fault)
            before = change
            middle = []


def _opened(opened: Open, key: str, revision: int, put: bool) -> bool:
    return opened(revision, key, put)


def _fault(before: Change | None, middle: list[Change], change: Change, opened: Callable[[int, bool], bool]) -> str:
    """What must have happened between the changes and cannot have; `middle` are puts of which only the value is known."""
    start = before.revision if before is not None else 1
    last = middle[-1].revision if middle else start
    alive = bool(middle) or (before is not None and before.put)
    if not change.put:
        return "" if alive or _slots(start, change.revision, 1, True, opened) else "a put"
    create, version = change.create, change.version
    if create > change.revision or (version == 1) != (create == change.revision) or version - 1 > change.revision - create:
        return "nothing: its version does not fit its create revision"
    if version == 1:
        return "" if not alive or _slots(last, change.revision, 1, False, opened) else "a delete"
    if before is not None and before.put and before.create == create:
        hidden = version - before.version - 1 - len(middle)
        if hidden < 0:
            return "fewer puts than were seen"
        return "" if _slots(start, change.revision, hidden, True, opened) else f"{hidden} more puts"
    if create <= start:
        return f"nothing: it says that it was created at {create}"
    earlier = [one for one in middle if one.revision < create]
    if all(one.revision != create for one in middle) and not opened(create, True):
        return f"its creation at {create}"
    ended = earlier[-1].revision if earlier else start
    if (earlier or (before is not None and before.put)) and not _slots(ended, create, 1, False, opened):
        return "a delete"
    hidden = version - 2 - sum(one.revision > create for one in middle)
    if hidden < 0:
        return "fewer puts than were seen"
    return "" if _slots(create, change.revision, hidden, True, opened) else f"{hidden} more puts"


def _slots(after: int, below: int, wanted: int, put: bool, opened: Callable[[int, bool], bool]) -> bool:
    """Whether that many revisions between the two may hold a put, or a delete, that nobody saw."""
    for revision in range(after + 1, below):
        if wanted <= 0:
            break
        wanted -= opened(revision, put)
    return wanted <= 0


def deleted_ranges(operation: Operation) -> list[tuple[str, str]]:
    """The ranges of keys that an acknowledged write deleted something of."""
    if operation.f == "delete":
        return [(operation.key, operation.argument)] if operation.argument else []
    if operation.f != "txn":
        return []
    return [(step[1], step[2]) for step, response in _steps(operation) if step[0] == "delete" and step[2] and response]


def _steps(operation: Operation) -> Iterator[tuple[tuple[str, ...], Any]]:
    succeeded, responses = operation.result
    return zip(operation.argument[1 if succeeded else 2], responses, strict=False)


def _of_txn(operation: Operation) -> Iterator[Change]:
    for step, response in _steps(operation):
        if step[0] == "put":
            yield Change(operation.revision, step[1], True, step[2], lease=operation.lease, source=operation)
        elif step[0] == "delete" and not step[2] and response:
            yield Change(operation.revision, step[1], False, source=operation)


def shown(operation: Operation) -> Iterable[KeyValue]:
    """The records that an answer shows as they were before it, or without it."""
    f, result = operation.f, operation.result
    if f == "get":
        return () if result is None else (result,)
    if f == "range":
        return tuple(result[0])
    if f in ("put", "cas"):
        return tuple(kv for kv in (result if f == "put" else result[1:]) if kv is not None)
    if f == "txn":
        return tuple(kv for response in result[1] for kv in _of_response(response))
    return ()


def _of_response(response: Any) -> tuple[KeyValue, ...]:
    if not isinstance(response, tuple) or not response:
        return ()
    return tuple(response[0]) if isinstance(response[0], tuple) else (KeyValue(*response),)


def values_tried(operations: Iterable[Operation]) -> set[tuple[str, str | None]]:
    """Every (key, value) that some call, whatever became of it, can have put; (key, None) for deletes of one key."""
    return {effect for operation in operations if operation.f in KV_CALLS for effect in effects(operation)}


def _of_kv(kv: KeyValue, source: Record | None) -> Change:
    return Change(kv[3], kv[0], True, kv[1], kv[2], kv[4], kv[5], source)


def _after(change: Change, previous: KeyValue | None) -> Change:
    if previous is None:
        return change._replace(create=change.revision, version=1)
    return change._replace(create=previous.create_revision, version=previous.version + 1)


def _agreed(held: Change, other: Change) -> Change | None:
    """Both as one, or None where they differ in something both know."""
    if held.put != other.put:
        return None
    if not held.put:
        return held
    if held.value is not None and other.value is not None and held.value != other.value:
        return None
    if held.version and other.version and (held.version, held.create) != (other.version, other.create):
        return None
    if UNKNOWN_LEASE not in (held.lease, other.lease) and held.lease != other.lease:
        return None
    version, create = (held.version, held.create) if held.version else (other.version, other.create)
    lease = held.lease if held.lease != UNKNOWN_LEASE else other.lease
    return held._replace(version=version, create=create, lease=lease)


def told(change: Change | None) -> str:
    """The change in words."""
    if change is None:
        return "nothing"
    if not change.put:
        return f"the delete of {change.key!r}"
    fields = f" (created {change.create}, version {change.version})" if change.version else ""
    return f"{change.key!r} = {change.value!r}{fields}"


def _records(*sources: Record | None) -> tuple[Record, ...]:
    return tuple(source for source in sources if source is not None)
