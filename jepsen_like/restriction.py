"""The smallest part of a failing history that still shows one anomaly of it, and shows it whatever was left out.

Leaving out a read never makes a possible history impossible; leaving out a write can: its readers then saw what nobody wrote. So a
part counts only if the checkers find the very anomaly in it, with the same records as its proof and the same sentence, and find it
again when every write that was left out, and that anything kept could have seen, is put back as one of unknown outcome: called, with
nothing told of whether and when it took effect. A history weakened like that allows everything that the whole one allows, so what is
impossible in it did not happen. Works for every checker that judges unknown outcomes rightly.

A part shows other things as well that the whole does not, such as values nobody in it wrote; so its stamp names the one anomaly that
it was made for, and nothing else in it is judged (`stamped`, `only_its_own`).

The search on single keys (`not-linearizable`) gives a proof of its own that is sound by construction (`checker.shrinking`); that is kept
as it is, because thousands of unknown outcomes are beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from jepsen_like.checker.verdict import Anomaly, Verdict
from jepsen_like.ddmin import smaller
from jepsen_like.history import FAIL, OK, UNKNOWN, History, Mark, Operation, TxnArgument, Watch, WatchResponse
from jepsen_like.ledger import NOTE
from jepsen_like.workload.keyspace import BASE

TRIES_MAX = 400

PART = "part_made_for"
"""In the stamp of a part: kind and keys of the anomaly that it shows, and how many calls the whole has."""

SEARCHED = "not-linearizable"

READS = frozenset({"get", "range", "members", "hashkv", "lease-ttl", "observe", "member-list", "cache"})
"""Calls that change nothing, whatever came of them."""

SINGLE = frozenset({"get", "put", "cas", "add", "members", "acquire", "release", "guarded", "observe"})
"""Calls that have to do with the key they name and no other."""

EVERYTHING = ("", "\0")
"""The span of all keys: a range end of one zero byte has no end."""

Call = Operation | Watch
Check = Callable[[History], Verdict]
Span = tuple[str, str]


def smallest(history: History, anomaly: Anomaly, check: Check) -> History:
    """A part of the history, in its order, from which hardly a call or watch can be left out without losing the anomaly.

    Args:
        history: in which `check` finds it.
        anomaly: as `check` gave it; its proof stays.
        check: all checkers of the history.

    Returns:
        The part; the whole history when nothing can be left out of it.
    """
    proof = set(anomaly.operations)
    whole: list[Call] = [*history.watches, *history.operations]
    numbers = {one.watch for one in proof if isinstance(one, Watch | WatchResponse)}
    stay = {id(one) for one in whole if one in proof or (isinstance(one, Watch) and one.watch in numbers)}
    spans = [span for one in whole if id(one) in stay for span in _spans(one)] + [(key, "") for key in anomaly.keys]
    near = {id(one) for one in whole if _meet(_spans(one), spans)}

    def shows(kept: list[Call]) -> bool:
        return _finds(check(part(history, kept)), anomaly, told=True) and (
            anomaly.kind == SEARCHED or _finds(check(weakened(history, kept)), anomaly, told=False)
        )

    kept = whole
    for some in (
        [one for one in whole if id(one) in stay],
        [one for one in whole if id(one) in stay or (id(one) in near and writes(one))],
        [one for one in whole if id(one) in stay or id(one) in near],
        [one for one in whole if id(one) in stay or writes(one)],
    ):
        if shows(some):
            kept = some
            break
    return part(history, smaller(kept, shows, tries_max=TRIES_MAX, staying=lambda _, some: [one for one in some if id(one) in stay]))


def part(history: History, kept: Iterable[Call]) -> History:
    """Only these calls and watches. When writes are missing, it no longer says that nobody else wrote."""
    some = list(kept)
    inside = set(map(id, some))
    watches = [one for one in some if isinstance(one, Watch)]
    numbers = {one.watch for one in watches}
    every_write = all(id(one) in inside for one in history.operations if writes(one))
    return replace(
        history,
        operations=[one for one in some if isinstance(one, Operation)],
        watches=watches,
        responses=[one for one in history.responses if one.watch in numbers],
        marks=[mark for mark in history.marks if every_write or not _says_alone(mark)],
    )


def stamped(history: History, anomaly: Anomaly, calls: int) -> History:
    """The part with what it was made for in its stamp; `calls` is how many the whole has."""
    made_for = {"kind": anomaly.kind, "keys": sorted(anomaly.keys), "of_calls": calls}
    return replace(history, about={**history.about, PART: made_for})


def is_part(history: History) -> bool:
    """Whether the history was made by `stamped`."""
    return isinstance(history.about.get(PART), dict)


def only_its_own(history: History, verdict: Verdict) -> Verdict:
    """What a verdict says of a part: of all its anomalies the one that it was made for."""
    if not is_part(history):
        return verdict
    made_for = history.about[PART]
    kind, keys = made_for.get("kind"), made_for.get("keys")
    found = tuple(one for one in verdict.anomalies if (one.kind, sorted(one.keys)) == (kind, keys))
    reasons = () if found else (f"this part of a history was made to show {kind}, and does not",)
    return Verdict(found, len(found), reasons, verdict.checked)


def weakened(history: History, kept: Sequence[Call]) -> History:
    """The part, and every write left out that something kept could have seen, with an unknown outcome."""
    inside = set(map(id, kept))
    spans = [span for one in kept for span in _spans(one)]
    process = min((one.process for one in history.operations), default=0)
    added: list[Operation] = []
    for one in history.operations:
        if id(one) not in inside and writes(one) and _meet(_spans(one), spans):
            process -= 1
            added.append(_possible(one, process))
    rest = part(history, kept)
    return replace(rest, operations=[*rest.operations, *added])


def writes(one: Call) -> bool:
    """Whether the call may have changed something, as far as it is known to have ended."""
    if isinstance(one, Watch) or one.outcome == FAIL or one.f in READS:
        return False
    if one.f == "append":
        return any(step[0] == "append" for step in one.argument)
    if one.f == "txn":
        return any(step[0] not in ("get", "range") for steps in one.argument[1:] for step in steps)
    if one.outcome == OK and one.f in ("cas", "delete"):
        return bool(one.result[0] if one.f == "cas" else one.result)
    return True


def _possible(one: Operation, process: int) -> Operation:
    """The call as if nobody had heard of it again, by a process of its own.

    NB: plain writes become transactions, which may take effect whatever was compared: the order of revisions reads them alike, and the
    search, for which so many are too many, passes them over.
    """
    call = one._replace(process=process, outcome=UNKNOWN, result=None, revision=0, error="")
    if one.lease or one.f not in ("put", "cas", "delete"):
        return call
    step = ("delete", one.key, one.argument) if one.f == "delete" else ("put", one.key, one.argument if one.f == "put" else one.argument[1])
    return call._replace(f="txn", key="", argument=TxnArgument((), (step,)))


def _finds(verdict: Verdict, anomaly: Anomaly, *, told: bool) -> bool:
    """Whether the anomaly is among those found; `told`: in the same words."""
    proof = set(anomaly.operations)
    for one in verdict.anomalies:
        if (one.kind, set(one.keys)) == (anomaly.kind, set(anomaly.keys)):
            if anomaly.kind == SEARCHED and set(one.operations) <= proof:
                return True
            if set(one.operations) == proof and (not told or one.explanation == anomaly.explanation):
                return True
    return False


def _spans(one: Call) -> list[Span]:
    """The keys and ranges a call or watch has to do with."""
    if isinstance(one, Watch):
        return [(one.key, one.range_end)]
    if one.f in SINGLE:
        return [(one.key, "")]
    if one.f == "delete":
        return [(one.key, one.argument)]
    if one.f == "range":
        return [(one.key, one.argument[0])]
    if one.f == "append":
        return [(step[1], "") for step in one.argument]
    if one.f == "txn":
        compared = [(compare[0], "") for compare in one.argument[0]]
        return compared + [(step[1], _end(step)) for steps in one.argument[1:] for step in steps]
    return [EVERYTHING]


def _end(step: Sequence[Any]) -> str:
    return step[2] if step[0] in ("delete", "range") else ""


def _meet(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(_overlap(one, other) for one in some for other in others)


def _overlap(one: Span, other: Span) -> bool:
    return _reaches(one, other[0]) if one[0] <= other[0] else _reaches(other, one[0])


def _reaches(span: Span, key: str) -> bool:
    """Whether a span that does not begin after the key holds it."""
    start, end = span
    return start == key if not end else end == "\0" or key < end


def _says_alone(mark: Mark) -> bool:
    return mark.kind == NOTE and isinstance(mark.detail, dict) and BASE in mark.detail
