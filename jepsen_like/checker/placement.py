"""Where writes of unknown outcome stand: at the revision at which somebody saw their effect, or nowhere.

Owns the unknown writes and the revisions that no acknowledged write made. A write whose value or revision was seen is placed
exactly, unless writes that do different things can have left it. Those, and one that shows only by what it did to others
(a key is gone, a version is one too high), are hidden: it must be some unknown write not placed, begun early enough, with a
free revision in reach, and no two effects may need the same one; which one it is stays open, by a bipartite matching, so
that a guess never raises an alarm.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from jepsen_like.checker.real_time import Floor
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import UNKNOWN, Operation

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


def _writes(operation: Operation) -> bool:
    """Whether the call can make a revision at all: a transaction may only read."""
    return operation.f != "txn" or any(step[0] in ("put", "delete") for step in (*operation.argument[1], *operation.argument[2]))


def _deletes_range(operation: Operation) -> bool:
    if operation.f == "delete":
        return bool(operation.argument)
    return operation.f == "txn" and any(step[0] == "delete" and step[2] for step in (*operation.argument[1], *operation.argument[2]))


def may_put(operation: Operation, key: str, value: str = ANY) -> bool:
    """Whether the write can leave `key` behind, with that value if one is named."""
    f = operation[1]
    if f == "put" or f == "cas":
        # By far the most, and asked for every hidden effect: no generator for them.
        return operation[2] == key and (value == ANY or value == (operation[3] if f == "put" else operation[3][1]))
    return any(one == key and held is not None and value in (ANY, held) for one, held in effects(operation))


def _same(one: Operation, other: Operation) -> bool:
    """Whether two writes do the same thing wherever they stand."""
    return one[1:4] == other[1:4] and one[11] == other[11]


def _forked(operation: Operation, sights: Sequence[Seen]) -> bool:
    """Whether a transaction leaves all these in either branch, so that the branch it took stays open."""
    return operation.f == "txn" and all(leaves(branch, one) for branch in operation.argument[1:] for one in sights)


def leaves(branch: Sequence[tuple[str, ...]], sight: Seen) -> bool:
    """Whether the branch's steps leave behind what was seen."""
    for step in branch:
        if step[0] == "put" and step[1] == sight.key and sight.value in (ANY, step[2]):
            return True
        if step[0] == "delete" and sight.value is None and covers(step[1], step[2], sight.key):
            return True
    return False


def covers(start: str, end: str, key: str) -> bool:
    """Whether etcd's range [start, end) holds the key: end "" is the one key, NUL everything from start."""
    if not end:
        return key == start
    return start <= key and (end == "\0" or key < end)


class Placement:
    """Invariant: a revision has one maker; an unknown write makes one revision at most, above its floor."""

    def __init__(self, operations: Sequence[Operation], made: dict[int, Operation], floor: Floor) -> None:
        """`made` maps every revision with an acknowledged maker to it; it is extended here."""
        unknown = (operation for operation in operations if operation[7] == UNKNOWN and operation[1] in WRITING and _writes(operation))
        floors = [(operation.invoke_ns, floor.before(operation), operation) for operation in unknown]
        floors.sort(key=lambda one: one[:2])
        self._left = [operation for _began, _height, operation in floors]
        self._floor = floor
        self._floors = {id(operation): height for _began, height, operation in floors}
        self.made = made
        self.placed: dict[int, tuple[Operation, Seen]] = {}
        """Revision -> the unknown write that made it, and the sight it was placed by."""
        self._by_key: dict[str, list[Operation]] = {}
        self._by_effect: dict[tuple[str, str | None], list[Operation]] = {}
        self._broad: list[Operation] = []
        """Those that delete ranges, of whatever keys."""
        for operation in self._left:
            left = set(effects(operation))
            for key in {key for key, _value in left}:
                self._by_key.setdefault(key, []).append(operation)
            for effect in left:
                self._by_effect.setdefault(effect, []).append(operation)
            if _deletes_range(operation):
                self._broad.append(operation)
        self._gaps: list[int] | None = None
        self._used: set[int] = set()
        self.hidden_puts: dict[tuple[int, str], str] = {}
        """(revision, key) -> value, `ANY` when nobody saw it: one of several unknown writes put the key there."""
        self.hidden_deletes: set[tuple[int, str]] = set()
        """(revision, key): one of several unknown writes took the key away there."""
        self._sighted: set[int] = set()
        """Revisions of which only an effect is known."""
        self._hidden: list[tuple[str, list[Operation]]] = []
        self._taken: dict[tuple[int, str], int] = {}
        self._holding: dict[int, int] = {}
        """Hidden effect -> the write it has, and the reverse for its key."""

    @property
    def any_unknown(self) -> bool:
        """Whether there is anything to place."""
        return bool(self._left)

    @property
    def unknown(self) -> Sequence[Operation]:
        """All unknown writes, placed or not, earliest first."""
        return self._left

    @property
    def left(self) -> list[Operation]:
        """Unknown writes that were not placed exactly, earliest first."""
        return [operation for operation in self._left if id(operation) not in self._used]

    def floor_of(self, operation: Operation) -> int:
        """The highest revision that had been shown before the unknown write began: it made none up to that."""
        return self._floors[id(operation)]

    def place_seen(self, seen: Sequence[Seen], findings: Findings) -> None:
        """Give every revision seen without a known maker the unknown write that left it.

        Exactly, when all that can have left it do the same; of those the latest begun, so that the ones left over, which
        began earlier, fit wherever it would. Otherwise the revision stays without a maker and only what was seen of it holds.
        """
        open_sights: list[Seen] = []
        for revision, group in groupby(sorted(seen, key=lambda sight: sight.revision), key=lambda sight: sight.revision):
            if revision in self.made:
                continue
            sights = list(group)
            valued = [one for one in sights if one.value != ANY]
            candidates = self._common(valued) if valued else []
            early = [operation for operation in candidates if self._floors[id(operation)] < revision]
            if early and all(_same(early[0], operation) for operation in early) and not _forked(early[0], valued):
                self._place(early[-1], valued[0])
            elif candidates and not early:
                self._report_early(candidates[0], valued[0], findings)
            else:
                open_sights += sights
        # Only now, when all revisions that will ever have a maker have one.
        self._hide_seen(open_sights)

    def _common(self, sights: Sequence[Seen]) -> list[Operation]:
        """Unknown writes not yet placed that can have left all of these, earliest begun first."""
        first, *others = sights
        candidates = self._candidates(first)
        for other in others:
            able = set(map(id, self._candidates(other)))
            candidates = [operation for operation in candidates if id(operation) in able]
        return candidates

    def _candidates(self, one: Seen) -> list[Operation]:
        if one.value is not None:
            able: Sequence[Operation] = self._by_effect.get((one.key, one.value), ())
        else:
            able = [operation for operation in self._touching(one.key) if may_delete(operation, one.key)]
        return [operation for operation in able if id(operation) not in self._used]

    def _touching(self, key: str) -> list[Operation]:
        own = self._by_key.get(key, [])
        if not self._broad:
            return own
        both = {id(operation): operation for operation in (*own, *self._broad)}
        return sorted(both.values(), key=lambda operation: operation.invoke_ns)

    def _report_early(self, operation: Operation, one: Seen, findings: Findings) -> None:
        floor = self._floors[id(operation)]
        earlier = self._floor.witness(operation)
        text = f"{operation.f} of {one.key!r} shows at revision {one.revision} although revision {floor} had been shown before it began"
        findings.add("write-before-call", text, (earlier, operation, *([one.witness] if one.witness else [])), (one.key,))
        self._place(operation, one)

    def _place(self, operation: Operation, one: Seen) -> None:
        self._used.add(id(operation))
        self.made[one.revision] = operation
        self.placed[one.revision] = (operation, one)

    def _hide_seen(self, sights: Sequence[Seen]) -> None:
        for one in sorted(sights, key=lambda sight: sight.value == ANY):
            place = (one.revision, one.key)
            if place in self.hidden_puts or place in self.hidden_deletes:
                continue

            def able(operation: Operation, one: Seen = one) -> bool:
                return may_delete(operation, one.key) if one.value is None else may_put(operation, one.key, one.value)

            if not self.hide(one.key, able, one.revision - 1, one.revision):
                continue
            if one.value is None:
                self.hidden_deletes.add(place)
            else:
                self.hidden_puts[place] = one.value
            self._sighted.add(one.revision)

    def choices(self, key: str, able: Callable[[Operation], bool], above: int, up_to: int, *, any_key: bool = False) -> list[Operation]:
        """The unknown writes that are `able` and can stand unseen at a revision in (above, up_to].

        `any_key`: the write need not touch `key`, which then only names the effect.
        """
        found = []
        used, floors = self._used, self._floors
        for operation in self._left if any_key else self._touching(key):
            number = id(operation)
            floor = floors[number]
            if floor >= up_to:
                # They are in the order in which they began, and so are their floors.
                break
            if number not in used and able(operation) and self.free(max(above, floor), up_to):
                found.append(operation)
        return found

    def hide(self, key: str, able: Callable[[Operation], bool], above: int, up_to: int) -> bool:
        """Whether some unknown write that is `able` can have changed `key` unseen at a revision in (above, up_to].

        True uses one up for this key; which one may still change when another effect needs it.
        """
        self._hidden.append((key, self.choices(key, able, above, up_to)))
        if self._matched(len(self._hidden) - 1):
            return True
        self._hidden.pop()
        return False

    def _matched(self, effect: int) -> bool:
        """Give the effect a write of its own, by the shortest augmenting path of the bipartite matching."""
        key = self._hidden[effect][0]
        reached: dict[int, int] = {}
        queue = [effect]
        for asking in queue:
            for operation in self._hidden[asking][1]:
                number = id(operation)
                if number in reached:
                    continue
                reached[number] = asking
                holder = self._taken.get((number, key))
                if holder is not None:
                    queue.append(holder)
                    continue
                while True:
                    owner = reached[number]
                    previous = self._holding.get(owner)
                    self._taken[number, key] = owner
                    self._holding[owner] = number
                    if owner == effect or previous is None:
                        return True
                    number = previous
        return False

    def known(self, revision: int) -> bool:
        """Whether some write can have made the revision, as far as anybody saw what it did."""
        return revision in self.made or revision in self._sighted

    def free(self, above: int, up_to: int) -> int:
        """The first revision in (above, up_to] without a maker, 0 when there is none."""
        if self._gaps is None:
            top = max(self.made, default=0)
            self._gaps = [revision for revision in range(1, top + 1) if revision not in self.made]
            self._gaps.append(top + 1)
        place = bisect_right(self._gaps, above)
        found = self._gaps[place] if place < len(self._gaps) else above + 1
        return found if found <= up_to else 0

    def unexplained(self, lowest: int, highest: int) -> list[int]:
        """Revisions from `lowest` to `highest` that no write of the history can have made."""
        gaps = sorted(set(range(lowest, highest + 1)).difference(self.made))
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
