"""Whether a run proves anything: too little load, faults that were not seen to work, too much that nobody knows.

A run that breaks a rule is rejected: it found nothing wrong, and could not have. Rejection never hides an anomaly. Source:
spec/faults.md §8 (etcd's robustness suite rejects such runs too), §5c H1-H3.
"""

from __future__ import annotations

from collections.abc import Sequence

from jepsen_like.history import FAIL, OK, UNKNOWN, History, Mark, Operation
from jepsen_like.ledger import FAULT, PHASE, SKIPPED, VERIFIED, FaultRecord
from jepsen_like.workload.catalog import Entry
from jepsen_like.workload.outcome import BY_TEXT

VERIFIED_MIN = 0.95
"""Of the faults that were injected."""

SUCCESS_BEFORE_MIN = 0.9
"""Of the calls that ended in the warm-up, or before the first fault."""

WARM_UP = "warm-up"
"""The phase before any fault."""

NOT_SENT = "connection "
"""How the client's words for a request that reached nobody begin."""

UNKNOWN_FEW = 5
"""So many unknown outcomes are never too many."""


def faults_of(history: History) -> list[FaultRecord]:
    """The ledger of a history."""
    return [FaultRecord.from_mark(mark) for mark in history.marks if mark.kind == FAULT]


def not_injected(history: History) -> list[str]:
    """Each fault that was asked for and never begun, with its reason."""
    faults = faults_of(history)
    injected = {one.name for one in faults if one.status != SKIPPED}
    return list(dict.fromkeys(f"{one.name}: {one.skipped}" for one in faults if one.status == SKIPPED and one.name not in injected))


def rejections(history: History, entry: Entry, *, time_s: float, wanted_faults: Sequence[str] = ()) -> list[str]:
    """Every rule the run breaks, in words; none: it counts. A time of 0, which nobody knows, asks for one acknowledged call."""
    operations = history.operations
    acknowledged = sum(one.outcome == OK for one in operations)
    unknown = sum(one.outcome == UNKNOWN for one in operations)
    reasons = []
    wanted = max(entry.ok_per_s_min * time_s, 1)
    if acknowledged < wanted:
        reasons.append(f"too little was tried: {acknowledged} calls were acknowledged, of at least {wanted:.0f}")
    if acknowledged and not _was_judged(history, entry):
        calls = f"no acknowledged call of its own ({', '.join(sorted(entry.own))})"
        missing = f"{calls}, or nothing that a watcher was shown" if entry.watches else calls
        reasons.append(f"nothing of {entry.name} was judged: the history holds {missing}")
    elif acknowledged:
        reasons += _missing(history, entry)
    if unknown > max(UNKNOWN_FEW, entry.unknown_max * len(operations)):
        reasons.append(f"too much is not known: {unknown} of {len(operations)} outcomes, at most {entry.unknown_max:.0%} may be")
    if wanted_faults:
        reasons += _about_faults(history, wanted_faults)
    return reasons


def _was_judged(history: History, entry: Entry) -> bool:
    """Hashes of members, which every run asks for, are not what a workload is about."""
    return any(one.f in entry.own and one.outcome == OK for one in history.operations) and (bool(history.responses) or not entry.watches)


def _missing(history: History, entry: Entry) -> list[str]:
    """A part of the checks has nothing to look at: no read, say, that could show that a write was lost."""
    seen = {one.f for one in history.operations if one.outcome == OK}
    missing = [" or ".join(sorted(some)) for some in entry.needs if not some & seen]
    return [f"a part of {entry.name} was not judged: the history holds no acknowledged {', no '.join(missing)}"] if missing else []


def _about_faults(history: History, wanted: Sequence[str]) -> list[str]:
    faults = faults_of(history)
    injected = [one for one in faults if one.status != SKIPPED]
    if not injected:
        return [": ".join((f"none of the faults {', '.join(wanted)} was injected", *filter(None, ["; ".join(not_injected(history))])))]
    reasons = []
    verified = sum(one.status == VERIFIED for one in injected)
    if verified < VERIFIED_MIN * len(injected):
        missed = next(one for one in injected if one.status != VERIFIED)
        reasons.append(f"only {verified} of {len(injected)} faults were seen to work; {missed.name}: {missed.effect or 'nothing was seen'}")
    if not any(one.invoke_ns <= fault.end_ns and one.complete_ns >= fault.start_ns for fault in injected for one in history.operations):
        reasons.append("no call overlaps a fault")
    # NB: a fault's record may begin when it was done; the warm-up ends before it was begun.
    first_ns = min([one.start_ns for one in injected] + [mark.end_ns for mark in history.marks if _is_warm_up(mark)])
    before = [_was_served(one) for one in history.operations if one.complete_ns < first_ns]
    if not before or sum(before) < SUCCESS_BEFORE_MIN * len(before):
        reasons.append(f"the cluster was not well before the first fault: {sum(before)} of {len(before)} calls were served")
    return reasons


def _is_warm_up(mark: Mark) -> bool:
    return mark.kind == PHASE and bool(mark.detail["name"] == WARM_UP)


def _was_served(operation: Operation) -> bool:
    """The cluster answered, be it with a refusal: somebody else's lock, a lease that has ended."""
    if operation.outcome == FAIL:
        return BY_TEXT.get(operation.error) != UNKNOWN and not operation.error.startswith(NOT_SENT)
    return operation.outcome == OK
