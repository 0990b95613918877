"""Where writes of unknown outcome stand: at the revision at which somebody saw their effect, or nowhere.

Owns the unknown writes and the revisions that no acknowledged write made. A write whose value or revision was seen is placed
exactly. One that shows only by what it did to others (a key is gone, a version is one too high) is hidden: it must be some
unknown write not placed, begun early enough, with a free revision in reach, and no two effects may need the same one; which
one it is stays open, by a bipartite matching, so that a guess never raises an alarm.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from jepsen_like.checker.real_time import Floor
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import UNKNOWN, Operation

MATCHING_DEPTH_MAX = 300
"""Unknown writes looked at for one hidden effect; keeps the recursion shallow."""

WRITING = frozenset({"put", "delete", "cas", "txn", "revoke"})


ANY = "\0any"
"""The value of a put of which only the revision was seen: in a create revision, or in a compare that held."""


class Seen(NamedTuple):
    """Somebody saw that `key` was changed at `revision`; `value` None: deleted."""

    revision: int
    key: str
    value: str | None
    witness: Operation | None
    """None: a watcher."""


def effects(operation: Operation) -> Iterator[tuple[str, str | None]]:
    """The (key, value) pairs a write may leave behind, of either branch; value None for a single key's deletion."""
    f = operation.f
    if f == "put":
        yield operation.key, operation.argument
    elif f == "cas":
        yield operation.key, operation.argument[1]
    elif f == "delete":
        yield operation.key, None
    elif f == "txn":
        for step in (*operation.argument[1], *operation.argument[2]):
            if step[0] == "put":
                yield step[1], step[2]
            elif step[0] == "delete":
                yield step[1], None


def may_delete(operation: Operation, key: str) -> bool:
    """Whether the write can make `key` disappear."""
    if operation.f == "delete":
        return covers(operation.key, operation.argument, key)
    if operation.f == "txn":
        steps = (*operation.argument[1], *operation.argument[2])
        return any(step[0] == "delete" and covers(step[1], step[2], key) for step in steps)
    return False


def _deletes_range(operation: Operation) -> bool:
    if operation.f == "delete":
        return bool(operation.argument)
    return operation.f == "txn" and any(step[0] == "delete" and step[2] for step in (*operation.argument[1], *operation.argument[2]))


def may_put(operation: Operation, key: str, value: str = ANY) -> bool:
    """Whether the write can leave `key` behind, with that value if one is named."""
    return any(one == key and held is not None and value in (ANY, held) for one, held in effects(operation))


def covers(start: str, end: str, key: str) -> bool:
    """Whether etcd's range [start, end) holds the key: end "" is the one key, NUL everything from start."""
    if not end:
        return key == start
    return start <= key and (end == "\0" or key < end)


class Placement:
    """Invariant: a revision has one maker; an unknown write makes one revision at most, above its floor."""

    def __init__(self, operations: Sequence[Operation], made: dict[int, Operation], floor: Floor) -> None:
        """`made` maps every revision with an acknowledged maker to it; it is extended here."""
        unknown = (operation for operation in operations if operation[7] == UNKNOWN and operation[1] in WRITING)
        self._left = sorted(unknown, key=lambda operation: operation.invoke_ns)
        self._floor = floor
        self._floors = {id(operation): floor.at(operation.invoke_ns) for operation in self._left}
        self.made = made
        self.placed: dict[int, tuple[Operation, Seen]] = {}
        """Revision -> the unknown write that made it, and the sight it was placed by."""
        self._by_key: dict[str, list[Operation]] = {}
        self._broad: list[Operation] = []
        """Those that delete ranges, of whatever keys."""
        for operation in self._left:
            for key in sorted({key for key, _value in effects(operation)}):
                self._by_key.setdefault(key, []).append(operation)
            if _deletes_range(operation):
                self._broad.append(operation)
        self._gaps: list[int] | None = None
        self._used: set[int] = set()
        self.hidden_puts: set[tuple[int, str]] = set()
        """(revision, key): some unknown write put the key there, nobody saw with which value."""
        self._hidden: list[tuple[str, list[Operation]]] = []
        self._taken: dict[tuple[int, str], int] = {}

    @property
    def any_unknown(self) -> bool:
        """Whether there is anything to place."""
        return bool(self._left)

    @property
    def left(self) -> list[Operation]:
        """Unknown writes that were not placed exactly, earliest first."""
        return [operation for operation in self._left if id(operation) not in self._used]

    def place_seen(self, seen: Sequence[Seen], findings: Findings) -> None:
        """Give every revision seen without a known maker the unknown write that left it, the earliest begun first.

        A sight without a value only says that some put of the key stands there: it becomes a hidden one.
        """
        for one in sorted(seen, key=lambda sight: sight.revision):
            if one.revision not in self.made and one.value != ANY:
                candidates = self._candidates(one)
                if candidates:
                    self._place(candidates[0], one, findings)
        for one in seen:
            key, revision = one.key, one.revision
            if one.value != ANY or revision in self.made or (revision, key) in self.hidden_puts:
                continue
            if self.hide(key, lambda operation, key=key: may_put(operation, key), revision - 1, revision):  # type: ignore[misc]
                self.hidden_puts.add((revision, key))

    def _candidates(self, one: Seen) -> list[Operation]:
        fresh = [operation for operation in self._touching(one.key) if id(operation) not in self._used]
        if one.value is None:
            return [operation for operation in fresh if may_delete(operation, one.key)]
        return [operation for operation in fresh if may_put(operation, one.key, one.value)]

    def _touching(self, key: str) -> list[Operation]:
        own = self._by_key.get(key, [])
        if not self._broad:
            return own
        both = {id(operation): operation for operation in (*own, *self._broad)}
        return sorted(both.values(), key=lambda operation: operation.invoke_ns)

    def _place(self, operation: Operation, one: Seen, findings: Findings) -> None:
        floor = self._floors[id(operation)]
        if one.revision <= floor:
            earlier = self._floor.witness(operation.invoke_ns)
            text = f"{operation.f} of {one.key!r} shows at revision {one.revision} although revision {floor} had been shown before it began"
            findings.add("write-before-call", text, (earlier, operation, *([one.witness] if one.witness else [])), (one.key,))
        self._used.add(id(operation))
        self.made[one.revision] = operation
        self.placed[one.revision] = (operation, one)

    def hide(self, key: str, able: Callable[[Operation], bool], above: int, up_to: int, *, any_key: bool = False) -> bool:
        """Whether some unknown write that is `able` can have changed `key` unseen at a revision in (above, up_to].

        `any_key`: the write need not touch `key` itself, which then only names the effect. True uses one up for this key;
        which one may still change when another effect needs it.
        """
        choices = []
        for operation in self._left if any_key else self._touching(key):
            if id(operation) in self._used or not able(operation):
                continue
            if self.free(max(above, self._floors[id(operation)]), up_to):
                choices.append(operation)
        self._hidden.append((key, choices))
        if self._matched(len(self._hidden) - 1, set()):
            return True
        self._hidden.pop()
        return False

    def _matched(self, effect: int, tried: set[int]) -> bool:
        """One augmenting path of the bipartite matching; as deep as there are hidden effects that compete, which are few."""
        key, choices = self._hidden[effect]
        for operation in choices:
            if id(operation) in tried:
                continue
            tried.add(id(operation))
            holder = self._taken.get((id(operation), key))
            if holder is None or (len(tried) < MATCHING_DEPTH_MAX and self._matched(holder, tried)):
                self._taken[id(operation), key] = effect
                return True
        return False

    def free(self, above: int, up_to: int) -> int:
        """The first revision in (above, up_to] without a maker, 0 when there is none."""
        if self._gaps is None:
            top = max(self.made, default=0)
            self._gaps = [revision for revision in range(1, top + 1) if revision not in self.made]
            self._gaps.append(top + 1)
        place = bisect_right(self._gaps, above)
        found = self._gaps[place] if place < len(self._gaps) else above + 1
        return found if found <= up_to else 0

    def unexplained(self) -> list[int]:
        """Revisions between the first and the last known one that no write of the history can have made."""
        if not self.made:
            return []
        gaps = sorted(set(range(min(self.made), max(self.made) + 1)).difference(self.made))
        floors = sorted(self._floors[id(operation)] for operation in self.left)
        missing = []
        used = 0
        for revision in gaps:
            # Earliest first: the one with the lowest floor fits every later gap too.
            if used < len(floors) and floors[used] < revision:
                used += 1
            else:
                missing.append(revision)
        return missing
