"""The search of each key against every order there is; what it refutes, and what it shows of it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.checker import list_append, order, search, shrinking
from jepsen_like.history import OK, UNKNOWN, KeyValue, Operation
from tests.jepsen_like import appended
from tests.jepsen_like.checker import twins
from tests.jepsen_like.generated import history
from tests.jepsen_like.mutations import mutated
from tests.jepsen_like.speed import with_stale_read


def _blinded(random: Random, operations: list[Operation]) -> list[Operation]:
    """Some failed compares do not show what they found; reads of unknown outcome say nothing."""
    return [
        one._replace(result=(False,)) if one.f == "cas" and one.outcome == OK and not one.result[0] and random.random() < 0.3 else one
        for one in operations
        if one.f != "get" or one.outcome == OK
    ]


def _possible(operations: list[Operation], versioned: bool) -> bool:
    return twins.explained(
        operations, (None, 0), twins.register, accepts=lambda call, result: twins.register_accepts(call, result, versioned=versioned)
    )


@pytest.mark.slow
@settings(derandomize=True, max_examples=1000, deadline=None)
@given(st.integers(0, 2**40))
def test_verdict_of_small_histories_is_that_of_trying_every_order(seed: int) -> None:
    """Exact in both directions, with versions and without; and what is shown as proof is impossible by itself."""
    random = Random(seed)
    versioned = random.random() < 0.5
    operations = history(
        random,
        random.randint(2, 8),
        keys=1,
        clients=random.choice([2, 3, 8]),
        unknown=random.choice([0, 0.15, 0.4]),
        values=random.choice([0, 2, 3]),
    )
    operations = _blinded(random, operations)
    for _ in range(random.choice([0, 1, 1, 2])):
        operations = mutated(random, operations, revisions=False)
    verdict = search.check(operations, versioned=versioned)
    assert verdict.valid == _possible(operations, versioned)
    for anomaly in verdict.anomalies:
        assert not _possible([one for one in anomaly.operations if isinstance(one, Operation)], versioned)


@pytest.mark.slow
@pytest.mark.parametrize(("unknown", "values"), [(0, 0), (0, 5), (0.02, 0), (0.02, 5), (0.1, 0)])
def test_large_history_that_happened_is_valid(unknown: float, values: int) -> None:
    """A compare-and-swap of unknown outcome can be the only maker of a value read later: small histories rarely show it."""
    operations = history(Random(1), 10_000, keys=10, clients=10, unknown=unknown, values=values)
    verdict = search.check(operations)
    assert verdict.valid, (verdict.anomalies[:2], verdict.reasons)


@pytest.mark.slow
def test_stale_read_among_many_clients_on_one_key_is_always_refuted() -> None:
    """Where a plain search gives up: ten calls in flight at once."""
    for seed in range(20):
        random = Random(seed)
        operations = with_stale_read(random, history(random, 200, keys=1, clients=10))
        assert search.linearizable(operations) is False
        assert search.linearizable(operations, versioned=False) is False


@pytest.mark.slow
def test_answers_that_the_order_refutes_without_revisions_are_refuted() -> None:
    """The second opinion: one read of two in a row, by one client, goes back to an older value."""
    tried = 0
    for seed in range(200):
        random = Random(seed)
        changed = history(random, 100, keys=2, clients=5)
        ends: dict[str, int] = {}
        for place, one in enumerate(changed):
            if one.f == "put" and one.key in ends and one.invoke_ns > ends[one.key]:
                gets = [later for later in range(place, len(changed)) if changed[later].f == "get" and changed[later].key == one.key]
                after = [later for later in gets if changed[later].invoke_ns > one.complete_ns]
                if after:
                    changed[after[0]] = changed[after[0]]._replace(result=KeyValue(one.key, "never", 1, 1, 1))
                    tried += 1
                    break
            ends.setdefault(one.key, one.complete_ns)
        else:
            continue
        assert search.check(changed).outcome == "invalid"
    assert tried > 100


def test_search_that_runs_out_of_work_is_undecided() -> None:
    """Undecided is counted, and never passes for valid."""
    operations = history(Random(1), 200, keys=1, clients=20)
    verdict = search.check(operations, work_max=10)
    assert verdict.outcome == "unknown"
    assert len(verdict.reasons) == 1


def test_delete_of_one_key_that_counts_two_is_impossible() -> None:
    """An answer that contradicts itself needs no other operation to be refuted."""
    operation = Operation(0, "delete", "k", "", 2, 1, 2, OK, 2)
    put = Operation(1, "put", "k", "a", None, 0, 9, UNKNOWN)
    assert search.check([put, operation]).outcome == "invalid"


def test_part_around_an_anomaly_shows_the_same_operations() -> None:
    """What a reader is shown is small, and names what the whole history named."""
    random = Random(3)
    operations = with_stale_read(random, history(random, 120, keys=1, clients=4))
    anomaly = next(one for one in order.check(operations, closed=False).anomalies if one.kind == "stale-read")
    part = shrinking.around(operations, anomaly, lambda some: order.check(some, closed=False))
    assert set(anomaly.operations) <= set(part)
    assert len(part) < 6
    assert any(one.operations == anomaly.operations for one in order.check(part, closed=False).anomalies)


def test_part_around_a_cycle_is_the_cycle() -> None:
    """Transactions of other keys say nothing about it."""
    operations = appended.history(Random(2), 60, keys=3)
    late = max(one.complete_ns for one in operations) + 1
    written = next(step for one in operations if one.outcome == OK for step in one.argument if step[0] == "append")
    operations.append(Operation(999, "append", "", (("r", written[1]),), ((),), late, late + 1, OK))
    (anomaly,) = [one for one in list_append.check(operations).anomalies if one.kind == "G-single-realtime"]
    part = shrinking.around(operations, anomaly, list_append.check)
    assert set(anomaly.operations) <= set(part)
    assert len(part) < len(operations) / 3


def test_sentence_tells_seconds_since_the_first_call():
    """A clock that began when the machine did tells its reader nothing."""
    base = 39_463_000_000_000
    calls = [
        Operation(0, "put", "a", "1", (), base, base + 10, OK, 2),
        Operation(0, "put", "b", "1", (), base + 500_000_000, base + 500_000_010, OK, 3),
        Operation(1, "get", "b", 0, None, base + 1_000_000_000, base + 1_500_000_000, OK, 3),
    ]
    (anomaly,) = search.check(calls).anomalies
    assert "returned 1.500000 s after the run's first call" in anomaly.explanation
    assert "39463" not in anomaly.explanation


def test_call_that_begins_as_the_last_one_of_its_process_ends_comes_after_it() -> None:
    """Of one process they are in sequence; of two they are concurrent, beside others of the same instant too."""
    put = Operation(0, "put", "k", "a", (), 1, 2, OK)
    for process in (0, 1):
        get = Operation(process, "get", "k", 0, None, 2, 3, OK)
        assert search.check([put, get]).valid == bool(process)
    beside = Operation(2, "get", "k", 0, None, 1, 2, OK)
    seen = Operation(0, "get", "k", 0, KeyValue("k", "a", 2, 2, 1), 2, 2, OK)
    late = Operation(0, "get", "k", 0, None, 2, 4, OK)
    assert search.check([put, beside, seen]).valid
    assert not search.check([put, beside, seen, late]).valid
