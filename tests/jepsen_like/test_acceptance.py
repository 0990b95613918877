"""Runs that prove nothing are rejected, each rule by itself."""

from __future__ import annotations

import pytest

from jepsen_like.acceptance import rejections
from jepsen_like.history import FAIL, OK, UNKNOWN, History, Operation, WatchResponse
from jepsen_like.ledger import FaultRecord
from jepsen_like.workload.catalog import REFINED, WORKLOADS, entry_of

SECOND = 1_000_000_000


def operation(at_s: float, outcome: str = OK, error: str = "") -> Operation:
    at_ns = int(at_s * SECOND)
    return Operation(0, "put", "k", "v", () if outcome == OK else None, at_ns, at_ns + 1_000_000, outcome, error=error)


def fault(start_s: float, end_s: float, *, verified: bool = True, skipped: str = "") -> FaultRecord:
    return FaultRecord("pause", int(start_s * SECOND), int(end_s * SECOND), ("n1",), "", verified, "", skipped)


def history(operations: list[Operation], faults: list[FaultRecord]) -> History:
    return History(operations, marks=[one.to_mark() for one in faults])


READ = operation(9.999)._replace(f="get", argument=0, result=None)
PLENTY = [*(operation(number / 100) for number in range(999)), READ]
GOOD = [fault(2, 3), fault(5, 6)]


def rejected(operations: list[Operation], faults: list[FaultRecord], wanted=("pause",)) -> str:
    return "; ".join(rejections(history(operations, faults), entry_of("register"), time_s=10, wanted_faults=wanted))


def test_run_with_load_and_seen_faults_counts():
    assert rejected(PLENTY, GOOD) == ""


def test_run_without_faults_counts_when_none_were_asked_for():
    assert rejected(PLENTY, [], wanted=()) == ""


@pytest.mark.parametrize(
    ("operations", "faults", "said"),
    [
        ([], GOOD, "too little was tried"),
        (PLENTY[:60], GOOD, "too little was tried"),
        (PLENTY + [operation(9, UNKNOWN)] * 20, GOOD, "too much is not known"),
        (PLENTY, [], "none of the faults pause was injected"),
        (PLENTY, [fault(2, 2, verified=False, skipped="no such thing")], "was injected: pause: no such thing"),
        (PLENTY, [*GOOD, fault(7, 8, verified=False)], "only 2 of 3 faults were seen to work"),
        (PLENTY, [fault(50, 60)], "no call overlaps a fault"),
        ([operation(n / 100, FAIL, "connection refused") for n in range(100)] + PLENTY[200:], GOOD, "was not well before"),
    ],
)
def test_run_that_proves_nothing_is_rejected_by_name(operations, faults, said):
    """An empty history, a fault that did nothing, a cluster that was never well: none of them passes for valid."""
    assert said in rejected(operations, faults)


def test_refusals_before_the_first_fault_are_answers():
    """Somebody else's lock is no illness of the cluster."""
    refused = [operation(n / 100, FAIL, "etcdserver: requested lease not found") for n in range(100)]
    assert rejected(refused + PLENTY[100:] + PLENTY, GOOD) == ""


ENTRIES = {entry.name: entry for entry in WORKLOADS}


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.needs])
def test_run_without_the_calls_that_a_part_of_its_checks_is_about_is_rejected(name):
    """Adds that nobody reads lose nothing; nor do locks under which nobody writes let two in."""
    entry = ENTRIES[name]
    calls = [operation(number)._replace(f=sorted(some)[0]) for number, some in enumerate(entry.needs)]
    own = operation(9)._replace(f=sorted(entry.own - REFINED)[0])
    responses = [WatchResponse(0, 1, 2)] if entry.watches else []

    def said(some: list[Operation]) -> str:
        return "; ".join(rejections(History(some, responses=responses), entry, time_s=0))

    assert "not judged" not in said([*calls, own]), name
    for index, needed in enumerate(entry.needs):
        left = [*(one for one in (*calls, own) if one.f not in needed), operation(10)._replace(f="hashkv")]
        assert " or ".join(sorted(needed)) in said(left) or "nothing of" in said(left), (name, index)
