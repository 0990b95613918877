"""The smallest part of a failing history that still fails, and for the same reason.

`smallest` serves the search on one key: leaving out an observer never makes a possible history impossible. Leaving out a write can,
unless nobody in what is left observes its value and versions do not count; only such writes are left out. So whatever comes
back is itself a proof. `around` serves every checker: it keeps the operations that an anomaly names and leaves out what
the checker does not need to name the same ones again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from jepsen_like.checker.verdict import Anomaly, Verdict
from jepsen_like.ddmin import smaller
from jepsen_like.history import UNKNOWN, Operation

TRIALS_MAX = 600
"""Searches spent on making one failing history smaller."""

Check = Callable[[list[Operation]], Verdict]

Fails = Callable[[Sequence[Operation], bool], bool]
"""Whether these operations are impossible, with versions held to account or without."""


def around(operations: Sequence[Operation], anomaly: Anomaly, check: Check, *, trials_max: int = TRIALS_MAX) -> tuple[Operation, ...]:
    """A part of `operations`, in their order, in which `check` still finds the anomaly with the same operations.

    No single operation can be left out of it, within `trials_max` checks. What other keys' operations say goes first, so that a
    large history costs few checks. The whole comes back when the check does not find the anomaly in it again.
    """
    proof = set(anomaly.operations)

    def shows(part: list[Operation]) -> bool:
        return any(one.kind == anomaly.kind and set(one.operations) == proof for one in check(part).anomalies)

    kept = list(operations)
    near = [one for one in kept if one in proof or (set(anomaly.keys) & _keys(one))]
    for part in (list(filter(proof.__contains__, kept)), near):
        if shows(part):
            kept = part
            break
    return tuple(smaller(kept, shows, tries_max=trials_max, staying=lambda _, part: [one for one in part if one in proof]))


def _keys(operation: Operation) -> set[str]:
    if operation.f == "append":
        return {step[1] for step in operation.argument}
    if operation.f == "txn":
        return {step[1] for steps in operation.argument[1:] for step in steps}
    return {operation.key}


def smallest(calls: Sequence[Operation], stuck: Operation, fails: Fails, *, versioned: bool) -> tuple[Operation, ...]:
    """A failing part of `calls` from which no single operation can be left out, within `TRIALS_MAX` trials.

    Args:
        calls: one key's operations, impossible as a whole.
        stuck: the operation whose return the search did not get past: nothing called after it matters.
        fails: the search.
        versioned: whether the failure may rest on versions.
    """
    kept = [call for call in calls if call.invoke_ns <= stuck.complete_ns]
    if not fails(kept, versioned):
        kept = list(calls)
    if versioned and fails(kept, False):
        versioned = False
    return tuple(
        smaller(
            kept,
            lambda part: fails(part, versioned),
            tries_max=TRIALS_MAX,
            staying=lambda whole, part: _staying(whole, part, versioned=versioned),
        )
    )


def _staying(kept: Sequence[Operation], part: Sequence[Operation], *, versioned: bool) -> list[Operation]:
    """What of the part cannot be left out: writes that may matter to what stays."""
    writes = [call for call in part if not _observes_only(call)]
    if versioned or not writes:
        return writes
    inside = set(map(id, part))
    staying = [call for call in kept if id(call) not in inside or not _observes_only(call)]
    if any(call.f == "cas" and call.result == (False,) for call in staying):
        return writes  # "some other value": every write may be the other one
    presence = any(call.f == "delete" and call.result for call in staying)
    observed = Counter(value for call in staying for value in _observed(call))
    result = []
    for call in writes:
        value = _written(call)
        if observed[value] > _observed(call).count(value) or (presence and value is not None):
            result.append(call)
    return result


def _observes_only(call: Operation) -> bool:
    if call.outcome == UNKNOWN:
        return False
    return call.f == "get" or (call.f == "cas" and not call.result[0]) or (call.f == "delete" and not call.result)


def _written(call: Operation) -> str | None:
    if call.f == "put":
        return str(call.argument)
    return str(call.argument[1]) if call.f == "cas" else None


def _observed(call: Operation) -> tuple[str | None, ...]:
    """The values whose absence from the history could make this call impossible."""
    if call.f == "cas":
        shown = () if call.outcome == UNKNOWN or len(call.result) < 2 else (call.result[1],)
        return (call.argument[0], *(kv.value if kv is not None else None for kv in shown))
    if call.outcome == UNKNOWN:
        return ()
    if call.f == "get":
        return (call.result.value if call.result is not None else None,)
    if call.f == "put":
        return tuple(kv.value if kv is not None else None for kv in call.result)
    return (None,) if call.f == "delete" and not call.result else ()
