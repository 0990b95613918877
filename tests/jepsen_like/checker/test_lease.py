"""Leases that lived as promised pass; one answer moved or turned, and they do not; trying every order agrees."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like import ledger
from jepsen_like.checker import lease
from jepsen_like.checker.lease import Bounds
from jepsen_like.history import FAIL, OK, UNKNOWN, Event, History, KeyValue, Operation, Watch, WatchResponse
from jepsen_like.ledger import note
from jepsen_like.workload import catalog
from tests.jepsen_like.leased import NOT_FOUND, SECOND, leased, possible


@pytest.mark.parametrize("seed", range(20))
def test_lease_history_that_happened_is_valid(seed: int) -> None:
    """No false alarm: slow expiries, unknown outcomes, keys and reads included."""
    verdict = lease.check(leased(seed))
    assert verdict.valid, verdict.anomalies[:2]


@pytest.mark.slow
def test_large_lease_history_that_happened_is_valid() -> None:
    verdict = lease.check(leased(1, 1_000, 20), bounds=Bounds(late_ns=2 * SECOND))
    assert verdict.valid, verdict.anomalies[:2]
    assert verdict.checked > 10_000


def _call(f: str, begin: float, end: float, result: object = None, outcome: str = OK, **more: object) -> Operation:
    argument = {"put": "v", "grant": 10}.get(f, 0)
    key = "k" if f == "put" else "7"
    operation = Operation(0, f, key, argument, result, int(begin * SECOND), int(end * SECOND), outcome)
    return operation._replace(**more)


GRANT = _call("grant", 0, 1, 10)


def _kinds(*calls: Operation, **how: object) -> tuple[str, ...]:
    return lease.check(History([GRANT, *calls]), **how).kinds  # type: ignore[arg-type]


def test_lease_gone_within_its_ttl_expired_early() -> None:
    """L3: counted from when the renewal was called, the earliest it can have been accepted."""
    assert _kinds(_call("lease-ttl", 8, 9.9, -1)) == ("lease-expired-early",)
    assert _kinds(_call("lease-ttl", 8, 10, -1)) == ()
    assert _kinds(_call("keepalive", 5, 6, 10), _call("keepalive", 13, 14.9, 0)) == ("lease-expired-early",)
    assert _kinds(_call("put", 8, 9, None, FAIL, error=NOT_FOUND, lease=7)) == ("lease-expired-early",)


def test_lease_gone_early_within_the_declared_clock_error_is_valid() -> None:
    """A bound that was declared is not held against the store."""
    gone = _call("lease-ttl", 8, 9.9, -1)
    assert _kinds(gone, bounds=Bounds(clock_rate_error=0.02)) == ()
    assert _kinds(gone, bounds=Bounds(clock_error_ns=SECOND)) == ()
    assert _kinds(gone, bounds=Bounds(clock_rate_error=0.001)) == ("lease-expired-early",)


def test_lease_gone_early_that_somebody_may_have_revoked_is_valid() -> None:
    assert _kinds(_call("revoke", 2, 3, None, UNKNOWN), _call("lease-ttl", 8, 9, -1)) == ()
    assert _kinds(_call("revoke", 2, 3), _call("lease-ttl", 8, 9, -1)) == ()


def test_lease_renewed_after_its_revoke_or_its_end_is_refuted() -> None:
    """A deposed leader must not answer for a lease that is gone."""
    assert _kinds(_call("revoke", 2, 3), _call("keepalive", 4, 5, 10)) == ("lease-renewed-revoked",)
    assert _kinds(_call("revoke", 2, 4.5), _call("keepalive", 4, 5, 10)) == ()
    assert _kinds(_call("lease-ttl", 12, 13, -1), _call("keepalive", 14, 15, 10)) == ("lease-renewed-dead",)
    assert _kinds(_call("revoke", 2, 3), _call("put", 4, 5, (), lease=7, revision=0)) == ("lease-used-revoked",)
    assert _kinds(_call("revoke", 2, 3), _call("revoke", 4, 5)) == ("lease-revoked-twice",)


def test_lease_that_lives_on_is_late_only_beyond_the_declared_bound() -> None:
    """Elections extend leases, so nothing is late by itself; a run that declares a bound is held to it."""
    alive = _call("lease-ttl", 15, 16, 3)
    assert _kinds(alive) == ()
    assert _kinds(alive, bounds=Bounds(late_ns=5 * SECOND)) == ()
    assert _kinds(alive, bounds=Bounds(late_ns=3 * SECOND)) == ("lease-never-expired",)
    assert _kinds(alive, _call("keepalive", 2, 9, None, UNKNOWN), bounds=Bounds(late_ns=3 * SECOND)) == ()


def test_lease_that_was_given_time_anew_is_late_only_after_that() -> None:
    """Whoever is elected gives every lease its full time; while a fault lasts nobody need end one."""
    alive = _call("lease-ttl", 40, 41, 3)
    late = Bounds(late_ns=5 * SECOND)
    assert _kinds(alive, bounds=late) == ("lease-never-expired",)
    assert _kinds(alive, bounds=late._replace(anew=((26 * SECOND, 26 * SECOND),))) == ()
    assert _kinds(alive, bounds=late._replace(anew=((2 * SECOND, 24 * SECOND),))) == ("lease-never-expired",)
    assert _kinds(alive, bounds=late._replace(anew=((2 * SECOND, 50 * SECOND), (3 * SECOND, 4 * SECOND)))) == ()
    assert _kinds(alive, bounds=late._replace(anew=((41 * SECOND, 42 * SECOND),))) == ("lease-never-expired",)


def test_lease_that_is_listed_too_late_never_expired() -> None:
    """A list is a member's own state, which may be behind: it proves nothing but that."""
    history = History([GRANT, _call("revoke", 2, 3)], marks=[note({lease.LISTED: [7], "member": "n1"}, 20 * SECOND)])
    assert lease.check(history, bounds=Bounds(late_ns=5 * SECOND)).kinds == ("lease-never-expired",)
    assert lease.check(history, bounds=Bounds(late_ns=15 * SECOND)).valid
    assert lease.check(history).valid


def test_lease_key_shown_long_after_its_end_is_refuted_by_the_workload() -> None:
    """The workload declares a bound, also for histories without a mark."""
    put = Operation(0, "put", "e/a", "v", (), SECOND, 2 * SECOND, OK, 2, lease=7)
    shown = Operation(0, "get", "e/a", 0, KeyValue("e/a", "v", 2, 2, 1, 7), 1000 * SECOND, 1001 * SECOND, OK, 2)
    assert "lease-never-expired" in catalog.make("lease").check(History([GRANT, put, shown])).kinds
    soon = shown._replace(invoke_ns=28 * SECOND, complete_ns=29 * SECOND)
    assert catalog.make("lease").check(History([GRANT, put, soon])).valid
    elected = ledger.leader("n1", 3, 990 * SECOND)
    assert catalog.make("lease").check(History([GRANT, put, shown], marks=[elected])).valid


def test_lease_that_nobody_asked_for_is_of_no_use() -> None:
    """A call that needs a lease succeeds only with one that was granted, or may have been."""
    put = _call("put", 4, 5, (), lease=8, revision=2)
    assert _kinds(put) == ("lease-never-granted",)
    assert _kinds(_call("keepalive", 4, 5, 10, key="8")) == ("lease-never-granted",)
    assert _kinds(_call("revoke", 4, 5, key="8")) == ("lease-never-granted",)
    assert _kinds(_call("keepalive", 4, 5, 0, key="8"), put._replace(outcome=FAIL, error=NOT_FOUND)) == ()
    assert _kinds(put, _call("grant", 2, 3, None, UNKNOWN, key="8")) == ()
    assert _kinds(put, _call("grant", 6, 7, None, UNKNOWN, key="8")) == ("lease-never-granted",)
    assert _kinds(put, _call("grant", 2, 3, None, FAIL, key="8", error="etcdserver: lease already exists")) == ()
    assert _kinds(put, closed=False) == ()
    assert _kinds(put, initial={"other": KeyValue("other", "v", 1, 1, 1, 8)}) == ()


def test_lease_with_more_time_than_anybody_gave_it_is_refuted() -> None:
    """A new leader adds an election timeout to a TTL, which is the longer one; a renewal is for what was granted."""
    assert _kinds(_call("lease-ttl", 2, 3, 500)) == ("lease-wrong-ttl",)
    assert _kinds(_call("lease-ttl", 2, 3, 17)) == ()
    assert _kinds(_call("lease-ttl", 2, 3, 9_223_372_036)) == ()
    assert _kinds(_call("keepalive", 2, 3, 9)) == ("lease-wrong-ttl",)


def test_lease_granted_for_less_or_twice_is_refuted() -> None:
    assert lease.check(History([GRANT._replace(result=5)])).kinds == ("lease-short-grant",)
    assert _kinds(_call("grant", 20, 21, 10)) == ("lease-granted-twice",)


def _attached(key: str, revision: int) -> Operation:
    return Operation(0, "put", key, "v", (), SECOND, 2 * SECOND, OK, revision, lease=7)


def _deleted(revision: int, when: float, *keys: str) -> WatchResponse:
    return WatchResponse(0, int(when * SECOND), revision, tuple(Event("delete", KeyValue(key, "", 0, revision, 0)) for key in keys))


def _of_keys(*records: Operation | WatchResponse) -> tuple[str, ...]:
    operations = [one for one in records if isinstance(one, Operation)]
    responses = [one for one in records if isinstance(one, WatchResponse)]
    return lease.check(History([GRANT, *operations], [Watch(0, 1, "a", "z", 2, 0)], responses)).kinds


def test_keys_of_a_lease_deleted_at_two_revisions_are_piecemeal() -> None:
    """L2: its keys go in one revision."""
    keys = (_attached("a", 2), _attached("b", 3))
    assert _of_keys(*keys, _deleted(4, 12, "a", "b")) == ()
    assert _of_keys(*keys, _deleted(4, 12, "a"), _deleted(5, 12, "b")) == ("lease-keys-piecemeal",)


def test_key_of_a_lease_that_outlives_the_others_is_refuted() -> None:
    keys = (_attached("a", 2), _attached("b", 3), _deleted(4, 12, "a"))
    shown = Operation(0, "get", "b", 0, KeyValue("b", "v", 3, 3, 1, 7), 13 * SECOND, 14 * SECOND, OK, 4)
    assert _of_keys(*keys, shown) == ("lease-keys-survived",)
    later = Operation(0, "put", "b", "w", (KeyValue("b", "v", 3, 3, 1, 7),), 13 * SECOND, 14 * SECOND, OK, 5)
    assert _of_keys(*keys, later) == ("lease-keys-survived",)


def test_key_of_a_lease_that_vanishes_early_is_an_early_expiry() -> None:
    """An event, or a read that misses the key, is as good as an answer."""
    missed = Operation(0, "get", "a", 0, None, 5 * SECOND, 6 * SECOND, OK, 4)
    assert _of_keys(_attached("a", 2), _deleted(3, 5, "a")) == ("lease-expired-early",)
    assert _of_keys(_attached("a", 2), missed) == ("lease-expired-early",)
    ranged = Operation(0, "delete", "a", "c", 1, 3 * SECOND, 4 * SECOND, OK, 3)
    assert _of_keys(_attached("a", 2), missed, ranged) == ()


def test_key_attached_after_the_end_of_its_lease_is_refuted() -> None:
    keys = (_attached("a", 2), _deleted(3, 12, "a"), _attached("b", 4)._replace(complete_ns=14 * SECOND))
    assert _of_keys(*keys) == ("lease-keys-attached-late",)


def _mutated(random: Random, history: History) -> History | None:
    """One answer about one lease turned into its opposite, where nothing else can explain that."""
    operations = list(history.operations)
    renewals = [place for place, one in enumerate(operations) if one.f == "keepalive" and one.outcome == OK]
    random.shuffle(renewals)
    for place in renewals:
        one = operations[place]
        others = [other for other in operations if other.f in ("keepalive", "grant") and other.key == one.key and other.outcome == OK]
        tried = [other for other in operations if other.f == "revoke" and other.key == one.key]
        if tried:
            continue
        if one.result > 0 and any(
            other is not one and other.result > 0 and other.invoke_ns < one.invoke_ns and one.complete_ns < other.invoke_ns + 2 * SECOND
            for other in others
        ):
            operations[place] = one._replace(result=0)
            return History(operations, history.watches, history.responses)
        if one.result <= 0 and any(other.result <= 0 and other.complete_ns < one.invoke_ns for other in others):
            operations[place] = one._replace(result=2)
            return History(operations, history.watches, history.responses)
    return None


def test_lease_history_with_one_answer_turned_is_refuted() -> None:
    """A checker that cannot fail proves nothing."""
    applied = 0
    for seed in range(60):
        history = _mutated(Random(seed), leased(seed, 6, 10))
        if history is not None:
            applied += 1
            assert not lease.check(history).valid, seed
    assert applied > 40


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.data())
def test_lease_checker_and_trying_every_order_agree(data: st.DataObject) -> None:
    """An instant for its end is left exactly when some order of the calls has one."""
    calls = [_call("grant", 0, 1, 2, argument=2)]  # what may come before the grant the checker leaves alone: so nothing does
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(2, 9))
        end = begin + data.draw(st.integers(1, 3)) - 0.5
        f = data.draw(st.sampled_from(["keepalive", "keepalive", "lease-ttl", "revoke"]))
        if f == "revoke":
            outcome = data.draw(st.sampled_from([OK, UNKNOWN, FAIL]))
            calls.append(_call(f, begin, end, None, outcome, error=NOT_FOUND if outcome == FAIL else ""))
        else:
            calls.append(_call(f, begin, end, data.draw(st.sampled_from([0, 2]))))
    verdict = lease.check(History(calls))
    assert verdict.valid == possible(calls), (calls, verdict.anomalies)
