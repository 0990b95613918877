"""Who stood first in line: by the revisions of answers, and by the real time in which they came.

Owns what the store itself says of a lock or an election: the holder at a revision is the key with the lowest create revision alive
then. A create revision never comes back, so the holder's token only rises, with revisions and with real time, whoever asks. What
holders believe is in `lock`. Linear but for the sorts. Source: spec/faults.md §5a K4, L5; etcd client/v3/concurrency.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jepsen_like.checker.real_time import Floor
from jepsen_like.checker.verdict import Findings
from jepsen_like.history import OK, Operation

WENT_BACK = "election-went-back"
NOT_FIRST = "lock-not-first"
TOKEN_ORDER = "lock-token-order"
STALE_TOKEN = "lock-stale-token"


class Head(NamedTuple):
    """An answer that shows who was first in line, at an instant of its call and at the revision of its header."""

    token: int
    """0: nobody stood in line."""

    operation: Operation


def heads(operations: Iterable[Operation], *, fenced: bool) -> list[Head]:
    """What acquires, observers and, where writes are `fenced`, accepted writes show."""
    found = []
    for one in operations:
        if one.outcome != OK:
            continue
        if one.f == "acquire":
            found.append(Head(one.result, one))
        elif one.f == "observe":
            found.append(Head(one.result[1], one))
        elif one.f == "guarded" and fenced:
            found.append(Head(one.argument, one))
    return found


def check(name: str, operations: Sequence[Operation], floor: Floor, findings: Findings, *, fenced: bool) -> None:
    """Note whoever is shown as first although he cannot have been.

    Args:
        name: of the lock or the election.
        operations: its calls.
        floor: of the whole history.
        findings: gets the kinds above.
        fenced: whether an accepted write proves that its token came first.
    """
    shown = heads(operations, fenced=fenced)
    _check_tokens(name, shown, floor, findings)
    _check_revisions(name, [one for one in shown if one.operation.revision], operations, findings)
    _check_times(name, shown, operations, findings)


def _check_tokens(name: str, shown: Sequence[Head], floor: Floor, findings: Findings) -> None:
    """A token is the revision of a write: not above its answer's, and made within the call that asked for it."""
    for token, one in shown:
        if one.revision and token > one.revision:
            text = f"{one.f} of {name!r} by process {one.process} shows token {token} at revision {one.revision}, before it was made"
            findings.add(NOT_FIRST, text, (one,), (name,))
        elif one.f == "acquire" and one.revision and token <= floor.before(one):
            witness = floor.witness(one)
            text = (
                f"{name!r} was acquired by process {one.process} with token {token}, although process {witness.process} had been "
                f"answered at revision {witness.revision} before it asked"
            )
            findings.add(TOKEN_ORDER, text, (witness, one), (name,))


def _check_revisions(name: str, shown: Sequence[Head], operations: Sequence[Operation], findings: Findings) -> None:
    """At each revision who was first is the oldest of those known to be alive then, and nobody known to be dead."""
    alive: dict[int, Operation] = {}
    for token, one in shown:
        if token and (token not in alive or one.revision > alive[token].revision):
            alive[token] = one
    # The oldest of those alive at a revision: tokens ascend, so the first whose life reaches that far.
    tokens = sorted(alive)
    first = _First([alive[token].revision for token in tokens])
    released = {one.argument: one for one in operations if one.f == "release" and one.outcome == OK and one.revision}
    for token, one in shown:
        place = first.reaching(one.revision)
        oldest = tokens[place] if place < len(tokens) else 0
        gone = released.get(token)
        if oldest and oldest <= one.revision and (oldest < token or not token):
            witness = alive[oldest]
            if witness.f == one.f == "guarded" and witness.revision > one.revision:
                continue  # Two writes, which `lock` lays in order.
            who = f"token {token}" if token else "nobody"
            text = (
                f"{one.f} of {name!r} by process {one.process} shows {who} as first at revision {one.revision}, where the older token "
                f"{oldest} was alive: the {witness.f} of process {witness.process} shows it at revision {witness.revision}"
            )
            findings.add(NOT_FIRST, text, (witness, one), (name,))
        elif gone is not None and one.revision >= gone.revision:
            text = (
                f"{one.f} of {name!r} by process {one.process} shows token {token} as first at revision {one.revision}, "
                f"which was released by revision {gone.revision}"
            )
            findings.add(NOT_FIRST, text, (gone, one), (name,))


class _First:
    """Places in a list by how far what stands there reaches."""

    def __init__(self, reaches: Sequence[int]) -> None:
        self._highest = []
        highest = 0
        for reach in reaches:
            highest = max(highest, reach)
            self._highest.append(highest)

    def reaching(self, revision: int) -> int:
        """The first place that reaches the revision, or the length of the list."""
        return bisect_left(self._highest, revision)


def _check_times(name: str, shown: Sequence[Head], operations: Sequence[Operation], findings: Findings) -> None:
    """Who asks after an answer had come sees no older token than it showed, and none whose release had been answered.

    Pairs without an observer are left to `lock`, which lays the holds in order.
    """
    everybody, observers = _Newest(shown), _Newest([one for one in shown if one.operation.f == "observe"])
    released = {one.argument: one for one in operations if one.f == "release" and one.outcome == OK}
    mine: dict[int, Head] = {}
    for head in sorted(shown, key=lambda one: (one.operation.invoke_ns, one.operation.complete_ns)):
        token, one = head
        if not token:
            continue
        seen = one.f == "observe"
        before = (everybody if seen else observers).before(one.invoke_ns)
        own = mine.get(one.process) if seen else None
        if own is not None and (before is None or own.token > before.token):
            before = own  # Of one process, which may go on in the very instant of an answer.
        gone = released.get(token) if seen else None
        if before is not None and token < before.token:
            kind = WENT_BACK if seen else TOKEN_ORDER if one.f == "acquire" else STALE_TOKEN
            who = "observer" if seen else "process"
            text = (
                f"{who} {one.process} of {name!r} was shown token {token} by its {one.f}, although the {before.operation.f} of process "
                f"{before.operation.process} had shown {before.token} before it began"
            )
            findings.add(kind, text, (before.operation, one), (name,))
        elif gone is not None and gone.complete_ns < one.invoke_ns:
            text = f"observer {one.process} of {name!r} saw token {token} after its release had been answered"
            findings.add("lock-used-after-release", text, (gone, one), (name,))
        if seen and (one.process not in mine or token > mine[one.process].token):
            mine[one.process] = head


class _Newest:
    """For every instant the answer, come by then, that showed the greatest token."""

    def __init__(self, shown: Iterable[Head]) -> None:
        ordered = sorted(shown, key=lambda one: one.operation.complete_ns)
        self._ends = [one.operation.complete_ns for one in ordered]
        self._newest: list[Head] = []
        for one in ordered:
            self._newest.append(max(self._newest[-1], one, key=lambda head: head.token) if self._newest else one)

    def before(self, time_ns: int) -> Head | None:
        """The one that had come before `time_ns`, if any."""
        place = bisect_left(self._ends, time_ns)
        return self._newest[place - 1] if place else None
