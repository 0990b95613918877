"""Real time against revisions: what began after something had ended must not know less than it did.

Calls of one process follow one another even where one begins in the very instant in which the other ended; those of different
processes are concurrent then.

Hot path of the order checker: one bisection per operation. Source: spec/faults.md §4c (1), §5a K4, K6, K8.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from jepsen_like.checker.verdict import Findings
from jepsen_like.history import FAIL, OK, Operation

COMPACTED = "compacted"
FUTURE = "future"
"""Words that a failed read's error carries when its revision was refused."""


LINEARIZABLE = frozenset(
    ("get", "range", "put", "delete", "cas", "txn", "append", "add", "members", "acquire", "guarded", "observe") + ("release",)
)
"""Calls whose header promises the newest revision. A release is a lease's revoke, whose answer carries the revision at which it was
applied; those of other calls of leases and of maintenance carry the member's own, which may lag."""


class Floor:
    """For every instant the highest revision that some answer had shown by then."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        shown = [operation for operation in operations if operation[7] == OK and operation[8]]
        ends = [operation[6] for operation in shown]
        if any(map(int.__gt__, ends, ends[1:])):
            shown.sort(key=lambda operation: operation[6])
            ends = [operation[6] for operation in shown]
        self.shown = shown
        """Answers with a revision, in order of completion."""
        self.ends = ends
        highest = 0
        heights = [0]
        for operation in shown:
            revision = operation[8]
            if revision > highest:
                highest = revision
            heights.append(highest)
        self.heights = heights
        self._instants: dict[int, dict[int, list[Operation]]] = {}
        """Instant at which somebody went on at once -> by process, the answers that came just then."""

    def before(self, operation: Operation) -> int:
        """The highest revision in an answer that had come before the call began; 0 when there was none."""
        began = operation[5]
        place = bisect_left(self.ends, began)
        if place < len(self.ends) and self.ends[place] == began:
            return max(self.heights[place], max((one[8] for one in self._own(operation, place)), default=0))
        return self.heights[place]

    def witness(self, operation: Operation) -> Operation:
        """An answer that had come before the call began and showed the highest revision."""
        height = self.before(operation)
        place = bisect_left(self.ends, operation[5])
        if self.heights[place] < height:
            return next(one for one in self._own(operation, place) if one[8] == height)
        return next(one for one in self.shown if one[8] == height)

    def _own(self, operation: Operation, place: int) -> list[Operation]:
        """Answers to the same process that came in the instant in which it began the call, and before it."""
        began = operation[5]
        instant = self._instants.get(began)
        if instant is None:
            instant = self._instants[began] = {}
            for one in self.shown[place : bisect_right(self.ends, began)]:
                instant.setdefault(one[0], []).append(one)
        answers = instant.get(operation[0], [])
        itself = next((number for number, one in enumerate(answers) if one is operation), -1)
        if itself >= 0:
            return answers[:itself]
        # Of calls without an answer the place among those that took no time is not known.
        return [one for one in answers if one[5] < began or operation[6] > began]


def precedes(first: Operation, second: Operation) -> bool:
    """Whether the first call had ended before the second began."""
    if first[6] == second[5]:
        return first[0] == second[0] and first is not second and (first[5] < first[6] or second[5] < second[6])
    return first[6] < second[5]


def check(floor: Floor, writes: set[int], findings: Findings) -> None:
    """Note every answer whose revision is lower than one seen before its call, and every write that is not above it.

    Args:
        floor: of the history.
        writes: the `id()`s of operations that made their revision.
        findings: gets `stale-revision` and `revision-reused`.
    """
    ends, heights = floor.ends, floor.heights
    for operation in floor.shown:
        began = operation[5]
        place = bisect_left(ends, began)
        # Its own answer ends at or after its beginning, so there is one at this place.
        height = heights[place] if ends[place] != began else floor.before(operation)
        if operation[8] > height:
            continue
        if operation[8] < height:
            if operation[1] not in LINEARIZABLE or _may_be_stale(operation):
                continue
            witness = floor.witness(operation)
            findings.add(
                "stale-revision",
                f"{operation.f} of {operation.key!r} by process {operation.process} was answered at revision {operation.revision} although "
                f"process {witness.process} had been answered at revision {witness.revision} before it began",
                (witness, operation),
                (operation.key,),
            )
        elif id(operation) in writes:
            witness = floor.witness(operation)
            findings.add(
                "revision-reused",
                f"{operation.f} of {operation.key!r} made revision {operation.revision}, which had been shown before it began",
                (witness, operation),
                (operation.key,),
            )


def _may_be_stale(operation: Operation) -> bool:
    """A range that asked for it, and a transaction without steps, which etcd answers from any member's own state."""
    if operation.f == "range":
        return bool(operation.argument[3])
    return operation.f == "txn" and not operation.argument[1] and not operation.argument[2]


def check_window(operations: Sequence[Operation], floor: Floor, findings: Findings) -> None:
    """Note reads of old revisions that were answered although compacted or yet to come, or refused although they had to be answered."""
    compactions = [operation for operation in operations if operation[1] == "compact" and operation[7] != FAIL]
    done = sorted((operation for operation in compactions if operation[7] == OK), key=lambda one: one[6])
    for operation in operations:
        f = operation[1]
        if f not in ("get", "range"):
            continue
        asked = operation[3] if f == "get" else operation[3][2]
        if not asked:
            continue
        if operation[7] == OK:
            if operation[8] and asked > operation[8]:
                text = f"a read at revision {asked} was answered by a store whose newest revision was {operation[8]}"
                findings.add("future-read", text, (operation,), (operation.key,))
            before = [one for one in done if one[3] > asked and precedes(one, operation)]
            if before:
                text = f"a read at revision {asked} was answered although everything below {before[0].argument} had been compacted"
                findings.add("read-below-compaction", text, (before[0], operation), (operation.key,))
        elif operation[7] == FAIL and COMPACTED in operation.error:
            if not any(one[5] < operation[6] and one[3] > asked for one in compactions):
                text = f"a read at revision {asked} was refused as compacted although nobody had compacted above it"
                findings.add("spurious-compaction", text, (operation,), (operation.key,))
        elif operation[7] == FAIL and FUTURE in operation.error and asked <= floor.before(operation):
            text = f"a read at revision {asked} was refused as future although that revision had been shown before it began"
            findings.add("spurious-future", text, (floor.witness(operation), operation), (operation.key,))
