"""Faults survive the history's file, and broken ones are refused by name."""

from __future__ import annotations

import io

import pytest

from jepsen_like import ledger
from jepsen_like.history import History, HistoryWriter, Mark, load
from jepsen_like.ledger import FaultRecord

FAULT = FaultRecord("partition-halves", 5, 9, ("n1->n2", "n3"), "n1 | n2 n3", True, "12 packets dropped")


def _read_back(*marks: Mark) -> History:
    stream = io.StringIO()
    writer = HistoryWriter(stream)
    for mark in marks:
        writer.write(mark)
    writer.close()
    return load(stream.getvalue().splitlines(keepends=True))


def test_fault_written_to_a_history_is_read_back_as_it_was() -> None:
    """A ledger is evidence: nothing of it may be lost in the file."""
    history = _read_back(FAULT.to_mark(), FaultRecord("netem", 1, 1, skipped="the kernel has none").to_mark())
    first, second = map(FaultRecord.from_mark, history.marks)
    assert first == FaultRecord("partition-halves", 5, 9, ("n1->n2", "n3"), "n1 | n2 n3", True, "12 packets dropped", "", "partition")
    assert (first.status, second.status, second.group) == ("verified", "skipped", "netem")


def test_fault_that_was_only_asked_for_is_unverified() -> None:
    """A nemesis that silently does nothing must show."""
    assert FaultRecord("pause", 1, 2).status == "unverified"


@pytest.mark.parametrize("mark", [Mark("leader", 1, 2, {"name": "x"}), Mark("fault", 1, 2, None), Mark("fault", 1, 2, {"name": 3})])
def test_mark_that_is_no_fault_is_refused(mark: Mark) -> None:
    with pytest.raises(ValueError, match="not a fault"):
        FaultRecord.from_mark(mark)


def test_fault_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="healed before"):
        FaultRecord("kill", 3, 2)
    with pytest.raises(ValueError, match="both skipped and verified"):
        FaultRecord("kill", 3, 3, verified=True, skipped="no")


def test_builders_give_every_kind_of_the_table() -> None:
    """The table of the module and its builders agree."""
    marks = [
        FAULT.to_mark(),
        ledger.leader("n1", 3, 1),
        ledger.member_state("n1", "down", 1, 2),
        ledger.phase("heal", 1, 2),
        ledger.clock("n1", 0.5, 3),
        ledger.reached("snapshot sent twice", 2, 4),
        ledger.note("anything", 5),
    ]
    assert tuple(mark.kind for mark in marks) == ledger.KINDS
    assert _read_back(*marks).marks[1].detail == {"member": "n1", "term": 3}
