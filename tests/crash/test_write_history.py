"""The checker itself: a true history passes, and each way to be wrong is found."""

from __future__ import annotations

import pytest

from tests.support.write_history import History, Kind, Operation, Outcome, WriteEvent


def put(value: bytes, revision: int, *, called_s: float | None = None, outcome: Outcome = Outcome.ACKNOWLEDGED) -> Operation:
    """A put of key k that took from a tenth before to a tenth after the second of its revision."""
    called_s = revision - 0.1 if called_s is None else called_s
    answered = revision if outcome is Outcome.ACKNOWLEDGED else 0
    return Operation(Kind.PUT, b"k", value, called_s, called_s + 0.2, outcome, answered)


def delete(revision: int, *, found: bool = True, outcome: Outcome = Outcome.ACKNOWLEDGED) -> Operation:
    return Operation(Kind.DELETE, b"k", b"", revision - 0.1, revision + 0.1, outcome, revision, found)


def read(value: bytes | None, revision: int) -> Operation:
    return Operation(Kind.READ, b"k", value or b"", revision, revision + 0.2, Outcome.ACKNOWLEDGED, revision, value is not None)


def event(value: bytes | None, revision: int, created: int, version: int) -> WriteEvent:
    return WriteEvent(Kind.DELETE if value is None else Kind.PUT, b"k", value or b"", revision, created, version)


EVENTS = [event(b"a", 2, 2, 1), event(b"b", 3, 2, 2), event(None, 4, 0, 0), event(b"c", 5, 5, 1)]
TRUE = [put(b"a", 2), put(b"b", 3), delete(4), put(b"c", 5), read(b"b", 3), read(None, 4), delete(1, found=False)]


def test_true_history_has_no_faults():
    """Acknowledged writes at their revisions, reads of what was there."""
    assert History(list(TRUE)).faults(EVENTS) == []


def test_unknown_write_may_have_happened_or_not():
    """A lost connection says nothing."""
    operations = [put(b"a", 2), put(b"b", 3, outcome=Outcome.UNKNOWN), delete(4), put(b"c", 5), put(b"d", 6, outcome=Outcome.UNKNOWN)]
    assert History(operations).faults(EVENTS) == []


def test_unknown_delete_explains_one_event():
    """Deletes have no value, so they are counted by key."""
    operations = [put(b"a", 2), put(b"b", 3), delete(4, outcome=Outcome.UNKNOWN), put(b"c", 5)]
    assert History(operations).faults(EVENTS) == []


@pytest.mark.parametrize(
    ("operations", "events", "said"),
    [
        pytest.param([*TRUE, put(b"d", 6)], EVENTS, "lost: put b'k' b'd'", id="acknowledged-and-gone"),
        pytest.param([*TRUE, put(b"d", 5, called_s=4.9)], EVENTS, "revision 5 was given to two writes", id="revision-used-twice"),
        pytest.param([put(b"a", 2), put(b"b", 3), put(b"x", 4), put(b"c", 5)], EVENTS, "lost: put b'k' b'x'", id="other-write-there"),
        pytest.param([*TRUE, delete(6)], EVENTS, "lost: delete", id="delete-gone"),
        pytest.param(TRUE[1:], EVENTS, "which nobody asked for", id="invented-write"),
        pytest.param([*TRUE[:2], *TRUE[3:]], EVENTS, "deletes b'k', which nobody asked for", id="invented-delete"),
        pytest.param(TRUE, [*EVENTS, event(b"a", 6, 5, 2)], "which was there before", id="applied-twice"),
        pytest.param(TRUE, [*EVENTS[:3], event(b"c", 6, 6, 1)], "revision 6 follows 4", id="gap"),
        pytest.param(TRUE, [*EVENTS[:3], event(b"c", 5, 2, 3)], "create revision 2 and version 3", id="version"),
        pytest.param([*TRUE, read(b"a", 3)], EVENTS, "wrong: read", id="stale-value"),
        pytest.param([*TRUE, delete(3, found=False)], EVENTS, "wrong: delete", id="delete-found-nothing"),
        pytest.param([put(b"a", 2, called_s=9.0), *TRUE[1:]], EVENTS, "back in time: put b'k' b'a'", id="old-revision-for-late-call"),
        pytest.param(
            [put(b"a", 2), put(b"b", 3, called_s=9.0, outcome=Outcome.UNKNOWN), *TRUE[2:]],
            EVENTS,
            "happened at revision 3",
            id="late",
        ),
        pytest.param(
            [put(b"a", 2, outcome=Outcome.REFUSED), *TRUE[1:]], EVENTS, "refused, and yet it happened at revision 2", id="refused-happened"
        ),
    ],
)
def test_impossible_history_is_found_out(operations, events, said):
    """Each rule of the checker fails on a history that breaks it."""
    faults = History(list(operations)).faults(events)
    assert any(said in fault for fault in faults), faults


def test_stale_read_is_found_out():
    """A read that begins after a write was answered sees it, whatever revision it claims."""
    late = Operation(Kind.READ, b"k", b"a", 9.0, 9.1, Outcome.ACKNOWLEDGED, 2, True)
    assert any(fault.startswith("back in time: read") for fault in History([*TRUE, late]).faults(EVENTS))
