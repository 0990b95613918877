"""The store's state as the revisions go by, and each answer held against it.

Owns the replay of `order`: etcd's rules for versions, create revisions, ranges, transactions and leases. Where an answer
differs it asks the placement whether a write of unknown outcome can be the reason, and only then calls it impossible.

Hot path: `Replay.run`, about 0.5 µs an operation on CPython 3.11 (`python -m tests.jepsen_like.speed`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jepsen_like.checker.makers import holds
from jepsen_like.checker.placement import ANY, Placement, covers, effects, leaves, may_delete, may_put
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import Event, KeyValue, Operation

State = tuple[str, str, int, int, int, int]
"""A `KeyValue` without its name: key, value, create revision, mod revision, version, lease."""


HIDDEN_PUT = "hidden put"
HIDDEN_DELETE = "hidden delete"
"""Steps that are no operations: some unknown write put the key here, or took it away."""


class Replay:
    """Applies writes and compares answers in revision order.

    Invariants: 1. `_keys`, when kept, is the sorted keys of `_state`. 2. A key in `_uncertain` was changed by a hidden
    write: its create revision and version, and only these, are not known until somebody shows them. 3. `_state` holds what is
    known to have been done: a hidden write goes in only when an answer shows that it must have happened to this key, never
    because it is one of several reasons an answer can have.
    """

    def __init__(self, placement: Placement, findings: Findings, initial: Mapping[str, KeyValue], failed: Sequence[Operation]) -> None:
        self._placement = placement
        self._findings = findings
        self._state: dict[str, State] = {key: tuple(kv) for key, kv in initial.items()}  # type: ignore[misc]
        self._keys: list[str] | None = None
        self._failed = failed
        self._uncertain: set[str] = set()
        self._confirmed: dict[str, int] = {}
        """Key -> the newest revision at which somebody saw the whole of it as it was then: no hidden write changed it between the
        revision that was seen and this one."""

        self._leased: dict[str, int] = {}
        """Key written anew while it had a lease -> the revision at which it got it: it may have expired, unseen, in between."""

    def run(self, steps: Iterable[tuple[int, Operation]], *, ranged: bool) -> None:
        """Apply and compare everything in order; a step is twice its revision, one more for reads, and the operation."""
        state = self._state
        self._keys = keys = sorted(state) if ranged else None
        other = self._other
        get = state.get
        track = self._placement.any_unknown
        for position, operation in steps:
            f = operation[1]
            key = operation[2]
            if f == "get":
                if get(key) != operation[4]:
                    self._read(key, operation[4], position >> 1, operation)
                elif track:
                    self._confirm(key, position >> 1)
            elif f == "put":
                old = get(key)
                revision = position >> 1
                result = operation[4]
                if result:
                    self._compare(key, result[0], revision - 1, operation)
                    old = get(key)
                if old is None:
                    state[key] = (key, operation[3], revision, revision, 1, operation[11])
                    if keys is not None:
                        insort(keys, key)
                else:
                    if old[5]:
                        self._leased.setdefault(key, old[3])
                    state[key] = (key, operation[3], old[2], revision, old[4] + 1, operation[11])
            else:
                other(f, operation, position >> 1)

    def check_events(self, events: Iterable[Event]) -> None:
        """A watcher's put whose revision nobody of the history can have made."""
        made = self._placement.made
        reported: set[int] = set()
        for event in events:
            revision = event.kv.mod_revision
            if event.type == "put" and made and min(made) <= revision and not self._placement.known(revision) and revision not in reported:
                reported.add(revision)
                text = f"watchers saw {event.kv.key!r} = {event.kv.value!r} put at revision {revision}, which no operation can have made"
                self._findings.add("phantom-event", text, (), (event.kv.key,))

    def _other(self, f: str, operation: Operation, revision: int) -> None:
        if f == "delete":
            self._delete(operation, operation.key, operation.argument, operation.result, revision)
        elif f == "cas":
            self._cas(operation, revision)
        elif f == "txn":
            self._txn(operation, revision)
        elif f == "range":
            argument = operation.argument
            self._range(operation, operation.key, argument[0], argument[1], operation.result, revision)
        elif f == "revoke":
            self._revoke(operation, revision)
        elif f == HIDDEN_PUT:
            self._put(operation.key, operation.argument, revision, 0)
            self._uncertain.add(operation.key)
        else:
            assert f == HIDDEN_DELETE, f
            self._remove(operation.key)

    def _live(self, start: str, end: str) -> list[str]:
        if not end:
            return [start] if start in self._state else []
        keys = self._keys
        assert keys is not None, "a range in a history said to have none"
        stop = len(keys) if end == "\0" else bisect_left(keys, end)
        return keys[bisect_left(keys, start) : stop]

    def _put(self, key: str, value: str, revision: int, lease: int) -> None:
        old = self._state.get(key)
        if old is None:
            self._state[key] = (key, value, revision, revision, 1, lease)
            if self._keys is not None:
                insort(self._keys, key)
        else:
            if old[5]:
                self._leased.setdefault(key, old[3])
            self._state[key] = (key, value, old[2], revision, old[4] + 1, lease)

    def _remove(self, key: str) -> None:
        self._uncertain.discard(key)
        self._leased.pop(key, None)
        if self._state.pop(key, None) is not None and self._keys is not None:
            del self._keys[bisect_left(self._keys, key)]

    def _delete(self, operation: Operation, start: str, end: str, count: int | None, revision: int) -> None:
        """`count` None: unknown, all that is there goes."""
        live = self._live(start, end)
        if count == 0:
            for key in live:
                self._compare(key, None, revision, operation)
            return
        if count is not None and count != len(live) and not self._countable(start, end, live, count - len(live), revision - 1):
            text = f"a delete at revision {revision} says it removed {count} keys; there were {len(live)}: {', '.join(map(repr, live[:5]))}"
            self._findings.add("wrong-count", text, (operation,), (start,))
        for key in live:
            self._remove(key)
            self._confirmed[key] = revision

    def _countable(self, start: str, end: str, unshown: Sequence[str], difference: int, revision: int) -> bool:
        """Whether hidden writes by `revision` can be why a range held so many keys more than known, or fewer.

        Args:
            start, end: the range.
            unshown: the keys known to be in it that the answer does not name.
            difference: keys counted beyond those known; negative: below.
            revision: when.
        """
        if difference < 0:
            return sum(self._can_be_gone(key, revision) for key in unshown) >= -difference

        def able(operation: Operation) -> bool:
            return any(value is not None and covers(start, end, key) for key, value in effects(operation))

        return bool(self._placement.choices("", able, 0, revision, any_key=True))

    def _cas(self, operation: Operation, revision: int) -> None:
        expected, new = operation.argument
        key, result = operation.key, operation.result
        succeeded = True if result is None else result[0]
        held: State | KeyValue | None = self._state.get(key)
        shown = result is not None and len(result) == 2 and not succeeded
        if shown:
            self._compare(key, result[1], revision, operation)
            held = result[1]
        matches = (held[1] if held is not None else None) == expected
        if succeeded != matches and (shown or not self._turned(key, expected, succeeded, revision)):
            verb = "succeeded" if succeeded else "failed"
            text = f"a compare of {key!r} with {expected!r} {verb} at revision {revision}, where the key was {_shape(held)}"
            self._findings.add("wrong-compare", text, (*self._maker(key), operation), (key,))
        if succeeded:
            self._put(key, new, revision, operation.lease)

    def _turned(self, key: str, expected: str | None, succeeded: bool, revision: int) -> bool:
        """Whether a hidden write can be why a compare of the value came out as it did."""
        held = self._state.get(key)
        if held is not None and held[1] == ANY:
            return True
        if not succeeded:
            return self._can_change(key, revision)
        if expected is None:
            return self._gone(key, revision - 1)
        if not self._placement.hide(
            key, lambda operation: may_put(operation, key, expected), held[3] if held is not None else 0, revision - 1
        ):
            return False
        self._uncertain.add(key)
        return True

    def _can_change(self, key: str, revision: int) -> bool:
        """Whether a hidden write can have made the key something else by `revision`; nothing is decided about it."""
        if self._can_be_gone(key, revision):
            return True
        return bool(self._placement.choices(key, lambda operation: may_put(operation, key), self._since(key), revision))

    def _can_be_gone(self, key: str, revision: int) -> bool:
        held = self._state.get(key)
        if held is None:
            return False
        if held[5]:
            return bool(self._placement.free(self._since(key), revision))
        return bool(self._placement.choices(key, lambda operation: may_delete(operation, key), self._since(key), revision))

    def _txn(self, operation: Operation, revision: int) -> None:
        compares, success, failure = operation.argument
        fits = all(holds(compare, self._state.get(compare[0])) for compare in compares)
        result = operation.result
        taken = result[0] if result is not None else self._branch(operation, revision, fits)
        if taken != fits and not self._explained(compares, taken, revision):
            text = f"a transaction at revision {revision} took the {'success' if taken else 'failure'} branch; its compares say otherwise"
            self._findings.add("wrong-compare", text, (operation,), tuple(compare[0] for compare in compares))
        steps = success if taken else failure
        responses = result[1] if result is not None else (None,) * len(steps)
        for step, response in zip(steps, responses, strict=True):
            if step[0] == "put":
                self._put(step[1], step[2], revision, operation.lease)
            elif step[0] == "delete":
                self._delete(operation, step[1], step[2], response, revision)
            elif result is not None and step[0] == "get":
                self._compare(step[1], response, revision, operation)
            elif result is not None:
                self._range(operation, step[1], step[2], 0, response, revision)

    def _branch(self, operation: Operation, revision: int, fits: bool) -> bool:
        """The branch an unknown transaction must have taken, if what was seen of it stands in one branch only."""
        sight = self._placement.placed[revision][1]
        found = [leaves(branch, sight) for branch in operation.argument[1:]]
        return found[0] if found[0] != found[1] else fits

    def _explained(self, compares: Sequence[tuple[Any, ...]], wanted: bool, revision: int) -> bool:
        """Whether a hidden write to a compared key can turn the compares the other way."""
        if wanted:
            wrong = [compare for compare in compares if not holds(compare, self._state.get(compare[0]))]
            return all(self._can_differ(compare, revision) for compare in wrong)
        return any(self._can_differ(compare, revision) for compare in compares)

    def _can_differ(self, compare: tuple[Any, ...], revision: int) -> bool:
        """Whether a hidden write can be why a compare came out otherwise: after the key's last write, or, of what counts from the
        key's creation, before it."""
        key, target = compare[:2]
        held = self._state.get(key)
        if self._can_change(key, revision) or (held is not None and target == "value" and held[1] == ANY):
            return True
        if held is None or target not in ("create", "version"):
            return False
        return key in self._uncertain or self._can_have_changed(key, held)

    def _can_have_changed(self, key: str, held: State) -> bool:
        """Whether a hidden write can have changed what counts from the key's creation, before its last write."""
        if self._expired(key, held[3]):
            return True

        def able(operation: Operation) -> bool:
            return may_put(operation, key) or may_delete(operation, key)

        return bool(self._placement.choices(key, able, self._confirmed.get(key, 0), held[3] - 1))

    def _range(self, operation: Operation, start: str, end: str, limit: int, result: Any, revision: int) -> None:
        kvs, count, more = result
        shown = {kv[0]: kv for kv in kvs}
        for key in self._live(start, end):
            in_window = not limit or len(kvs) < limit or (kvs and key <= kvs[-1][0])
            if in_window:
                self._compare(key, shown.get(key), revision, operation)
        live = self._live(start, end)
        for key, kv in shown.items():
            if key not in self._state:
                self._read(key, kv, revision, operation)
            if not covers(start, end, key):
                self._findings.add("wrong-range", f"a range of {start!r} to {end!r} shows {key!r}", (operation,), (key,))
        if [kv[0] for kv in kvs] != sorted(shown):
            self._findings.add("wrong-range", f"a range of {start!r} to {end!r} is out of order or repeats a key", (operation,), (start,))
        unshown = [key for key in live if key not in shown] if limit and len(kvs) >= limit else []
        counted = count == len(live) or self._countable(start, end, unshown, count - len(live), revision)
        if not counted or more != (len(kvs) < count) or (count != len(kvs) and not limit):
            text = f"a range of {start!r} to {end!r} at revision {revision} counts {count} keys (more: {more}); there were {len(live)}"
            self._findings.add("wrong-count", text, (operation,), (start,))

    def _revoke(self, operation: Operation, revision: int) -> None:
        # The key names the lease; that of a history kept before it did may stand in its own field.
        lease = operation.lease or (int(operation.key) if operation.key.isdecimal() else 0)
        if not lease:
            return
        attached = [key for key, held in self._state.items() if held[5] == lease]
        if not attached:
            return
        other = self._placement.made.setdefault(revision, operation)
        if other is not operation:
            text = f"revision {revision} was given to a revoke that deleted {len(attached)} keys and to {other.f} {other.key!r}"
            self._findings.add("revision-reused", text, (other, operation), tuple(attached))
        for key in attached:
            self._remove(key)

    def _compare(self, key: str, observed: Any, revision: int, operation: Operation) -> None:
        if self._state.get(key) != observed:
            self._read(key, observed, revision, operation)
        elif self._placement.any_unknown:
            self._confirm(key, revision)

    def _confirm(self, key: str, revision: int) -> None:
        self._confirmed[key] = revision
        self._leased.pop(key, None)
        self._uncertain.discard(key)

    def _read(self, key: str, observed: KeyValue | None, revision: int, operation: Operation) -> None:
        """An answer differs from the replay: explain it by an unseen deletion, or note why it is impossible."""
        held = self._state.get(key)
        if held is not None and (self._gone(key, revision) if observed is None else self._rebased(held, observed)):
            self._confirm(key, revision)
            return
        kind, why = self._why(key, held, observed, revision)
        text = f"{operation.f} of {key!r} by process {operation.process} at revision {revision} saw {_shape(observed)}, {why}"
        self._findings.add(kind, text, (*self._maker(key), operation), (key,))

    def _since(self, key: str) -> int:
        """The newest revision at which the key is known to have been as it is."""
        held = self._state.get(key)
        return max(held[3] if held is not None else 0, self._confirmed.get(key, 0))

    def _gone(self, key: str, revision: int) -> bool:
        """Take the key away if an unknown deletion, or its lease's expiry, can have done so by `revision`."""
        held = self._state.get(key)
        if held is None:
            return False
        if held[5]:
            if not self._placement.free(self._since(key), revision):
                return False
        elif not self._placement.hide(key, lambda operation: may_delete(operation, key), self._since(key), revision):
            return False
        self._remove(key)
        return True

    def _expired(self, key: str, before: int) -> bool:
        """Whether the key can have expired and have been created again by what is known to have been a mere write."""
        leased = self._leased.get(key)
        return leased is not None and bool(self._placement.free(max(leased, self._confirmed.get(key, 0)), before - 1))

    def _rebased(self, held: State, observed: KeyValue) -> bool:
        """Whether the same write is seen, on a key that hidden writes had changed before it; the state then follows."""
        key = held[0]
        if (held[1], held[3], held[5]) != (observed[1], observed[3], observed[5]) or observed[2] > observed[3]:
            return False
        if key not in self._uncertain and not (observed[2] != held[2] and self._expired(key, observed[2])):
            seen = self._confirmed.get(key, 0)
            wrong = observed[4] - held[4] if observed[2] == held[2] else 1
            if wrong < 0:
                return False
            for _ in range(wrong):
                if not self._placement.hide(
                    key, lambda operation: may_put(operation, key) or may_delete(operation, key), seen, observed[3] - 1
                ):
                    return False
        self._state[key] = tuple(observed)  # type: ignore[assignment]
        self._uncertain.discard(key)
        return True

    def _why(self, key: str, held: State | None, observed: KeyValue | None, revision: int) -> tuple[str, str]:
        truth = f"where it must have been {_shape(held)}"
        if observed is None:
            return "lost-write", truth
        if observed[3] > revision:
            return "future-read", "which did not exist yet"
        maker = self._placement.made.get(observed[3])
        if maker is None or (key, observed[1]) not in set(effects(maker)):
            if any((key, observed[1]) in set(effects(operation)) for operation in self._failed):
                return "aborted-read", "which only a failed operation wrote"
            return "phantom-read", f"which no operation wrote at revision {observed[3]}"
        if held is None or observed[3] < held[3]:
            return "stale-read", truth
        return "wrong-read", truth

    def _maker(self, key: str) -> tuple[Operation, ...]:
        held = self._state.get(key)
        maker = self._placement.made.get(held[3]) if held is not None else None
        return (maker,) if maker is not None else ()


def _shape(held: tuple[Any, ...] | None) -> str:
    return "nothing" if held is None else f"{held[1]!r} of revision {held[3]} (created {held[2]}, version {held[4]})"
