"""Shrunk histories show the anomaly they were made from, on the same key, and not one that was made by leaving writes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from jepsen_like import judgement, restriction
from jepsen_like.checker.verdict import Anomaly, Verdict
from jepsen_like.history import FAIL, OK, UNKNOWN, Event, History, KeyValue, Operation, TxnArgument, Watch, WatchResponse
from jepsen_like.ledger import note
from tests.jepsen_like import appended, generated, grown, leased, locked, mutations, watched

ALONE = note({"base revision": 1}, 0)


def shrunk(history: History, workload: str) -> tuple[Anomaly, History]:
    """The first anomaly of an invalid history, and the part made for it."""
    anomaly = judgement.checked(history, workload).anomalies[0]
    return anomaly, restriction.smallest(history, anomaly, lambda part: judgement.checked(part, workload))


def shows(verdict: Verdict, anomaly: Anomaly) -> bool:
    return any((one.kind, one.keys, one.explanation) == (anomaly.kind, anomaly.keys, anomaly.explanation) for one in verdict.anomalies)


def kinds_and_keys(verdict: Verdict) -> set[tuple[str, tuple[str, ...]]]:
    return {(one.kind, tuple(sorted(one.keys))) for one in verdict.anomalies}


def without_lie(small: History, truth: History, lied: History) -> History:
    """The part, with what really happened in the place of each lie, and the writes left out put back as possible ones."""
    true = {id(lie): call for lie, call in zip(lied.operations, truth.operations, strict=True)}
    return restriction.weakened(truth, [true[id(one)] for one in small.operations])


def registers(seed: int) -> History:
    return History(generated.history(Random(seed), 400, unknown=0.02 * (seed % 2)), marks=[ALONE])


def transactions(seed: int) -> History:
    return History(generated.history(Random(seed), 300, mix=generated.EVERYTHING, unknown=0.02 * (seed % 2)), marks=[ALONE])


def lists(seed: int) -> History:
    return History(appended.history(Random(seed), 200))


def sets(seed: int) -> History:
    return History(grown.history(Random(seed), 200))


def lie(history: History, seed: int) -> History:
    """One answer changed; a change that leaves calls out as well is drawn again."""
    draws = Random(seed)
    while True:
        operations = mutations.mutated(draws, history.operations)
        if len(operations) == len(history.operations):
            return replace(history, operations=operations)


def dropped(history: History, seed: int) -> History:
    """A read, or one step of one, without the newest element."""
    operations = list(history.operations)
    draws = Random(seed)
    places = [at for at, one in enumerate(operations) if one.outcome == OK and _lists(one)]
    at = draws.choice(places[len(places) // 2 :])
    one = operations[at]
    if one.f == "members":
        operations[at] = one._replace(result=one.result[:-1])
    else:
        operations[at] = one._replace(result=tuple(step[:-1] if step else step for step in one.result))
    return replace(history, operations=operations)


def _lists(one: Operation) -> bool:
    return bool(one.result) if one.f == "members" else one.f == "append" and any(one.result)


def stolen(history: History, seed: int) -> History:
    """A token given to somebody else, or a write with one that is over."""
    operations = list(history.operations)
    draws = Random(seed)
    held = [at for at, one in enumerate(operations) if one.f == "acquire" and one.outcome == OK]
    one, other = draws.sample(held, 2)
    operations[one] = operations[one]._replace(result=operations[other].result)
    return replace(history, operations=operations)


def ended_early(history: History, seed: int) -> History:
    operations = list(history.operations)
    kept = [at for at, one in enumerate(operations) if one.f in ("keepalive", "lease-ttl") and one.outcome == OK and one.result > 0]
    at = Random(seed).choice(kept[: len(kept) // 2])
    operations[at] = operations[at]._replace(result=0 if operations[at].f == "keepalive" else -1)
    return replace(history, operations=operations)


CASES: dict[str, tuple[Callable[[int], History], Callable[[History, int], History]]] = {
    "register": (registers, lie),
    "txn": (transactions, lie),
    "append": (lists, dropped),
    "set": (sets, dropped),
    "unfenced-lock": (locked.locked, stolen),
    "lease": (leased.leased, ended_early),
}


@pytest.mark.parametrize("workload", CASES)
def test_part_shows_the_anomaly_and_not_what_was_left_out(workload):
    """Same kind, key and words as in the whole; with the truth in the place of the lie nothing shows it; the part is small."""
    make, plant = CASES[workload]
    found, sizes = 0, []
    for seed in range(24):
        truth = make(seed)
        lied = plant(truth, seed)
        whole = judgement.checked(lied, workload)
        if not whole.anomaly_count:
            continue
        found += 1
        anomaly, small = shrunk(lied, workload)
        again = judgement.checked(small, workload)
        assert (anomaly.kind, tuple(sorted(anomaly.keys))) in kinds_and_keys(again), (seed, anomaly)
        if anomaly.kind != restriction.SEARCHED:
            assert shows(again, anomaly), (seed, anomaly)
        assert not shows(judgement.checked(without_lie(small, truth, lied), workload), anomaly), (seed, anomaly)
        sizes.append(len(small.operations))
    assert found >= 6
    assert sorted(sizes)[len(sizes) // 2] <= 6, sizes


def kv(key: str, value: str, revision: int, version: int = 1, created: int = 0) -> KeyValue:
    return KeyValue(key, value, created or revision, revision, version)


def test_write_left_out_does_not_become_a_key_that_was_nothing():
    """A compare that succeeded on what somebody wrote is no anomaly once that write is left out."""
    calls = [
        Operation(0, "put", "a", "1", (), 10, 20, OK, 2),
        Operation(0, "cas", "a", ("1", "2"), (True,), 30, 40, OK, 3),
        Operation(0, "put", "b", "x", (), 50, 60, OK, 4),
        Operation(0, "put", "b", "y", (), 70, 80, OK, 5),
        Operation(1, "cas", "b", ("x", "z"), (True,), 90, 99, OK, 6),
    ]
    anomaly, small = shrunk(History(calls, marks=[ALONE]), "txn")
    assert (anomaly.kind, anomaly.keys) == ("wrong-compare", ("b",))
    assert small.operations == calls[2:]


def test_revision_that_nobody_made_keeps_every_write():
    """That nobody wrote is proved by all that was written, and by nothing less."""
    calls = [Operation(0, "put", "a", str(at), (), at * 10, at * 10 + 5, OK, at) for at in (2, 3, 5, 6)]
    reads = [Operation(1, "get", "a", 0, kv("a", "6", 6, 4, 2), 100 + at, 101 + at, OK, 6) for at in range(0, 20, 2)]
    anomaly, small = shrunk(History([*calls, *reads], marks=[ALONE]), "txn")
    assert anomaly.kind == "phantom-revision"
    assert small.operations == calls


def test_value_that_nobody_wrote_needs_no_more_than_its_reader():
    """Unless it was tried: then the sentence would be another."""
    calls = [Operation(0, "put", "a", str(at), (), at * 10, at * 10 + 5, OK, at) for at in (2, 3)]
    read = Operation(1, "get", "a", 0, kv("a", "made up", 3, 2, 2), 100, 101, OK, 3)
    anomaly, small = shrunk(History([*calls, read], marks=[ALONE]), "txn")
    assert read in small.operations and anomaly.keys == ("a",)
    assert shows(judgement.checked(small, "txn"), anomaly)


def test_event_never_shown_keeps_its_watch_and_its_write():
    for seed in range(12):
        history = watched.watched(seed, changes=80, watchers=6)
        responses = list(history.responses)
        full = [at for at, one in enumerate(responses) if len(one.events) == 1]
        at = Random(seed).choice(full)
        responses[at] = responses[at]._replace(events=())
        lied = replace(history, responses=responses)
        if not judgement.checked(lied, "watch").anomaly_count:
            continue
        anomaly, small = shrunk(lied, "watch")
        assert shows(judgement.checked(small, "watch"), anomaly)
        numbers = {one.watch for one in small.watches}
        true = replace(small, responses=[one for one in history.responses if one.watch in numbers])
        assert not shows(judgement.checked(true, "watch"), anomaly)
        assert len(small.watches) <= 3


def test_part_is_judged_for_what_it_was_made_for_and_nothing_else():
    """Its readers see values whose writes were left out; that is not held against the store."""
    calls = [
        Operation(0, "put", "a", "1", (), 10, 20, OK, 2),
        Operation(0, "put", "a", "2", (), 30, 40, OK, 3),
        Operation(1, "get", "a", 0, kv("a", "1", 2), 50, 60, OK, 2),
    ]
    anomaly, small = shrunk(History(calls, about={"workload": "register", "time_s": 9.0}), "register")
    part = restriction.stamped(small, anomaly, 3)
    about = json.loads(json.dumps(part.about))
    judged = judgement.judge(replace(part, about=about))
    assert len(small.operations) == 2
    assert judged.verdict.kinds == (anomaly.kind,)
    assert "made to show one anomaly" in judged.reasons[-1]
    healthy = judgement.judge(replace(part, operations=calls[:2], about=about))
    assert healthy.outcome == "unknown" and "does not" in healthy.reasons[0]


@pytest.mark.parametrize(
    ("call", "changes"),
    [
        (Operation(0, "get", "a", 0, None, 0, 1, OK, 2), False),
        (Operation(0, "put", "a", "1", None, 0, 1, FAIL), False),
        (Operation(0, "put", "a", "1", None, 0, 1, UNKNOWN), True),
        (Operation(0, "cas", "a", ("1", "2"), (False,), 0, 1, OK, 2), False),
        (Operation(0, "cas", "a", ("1", "2"), None, 0, 1, UNKNOWN), True),
        (Operation(0, "delete", "a", "", 0, 0, 1, OK, 2), False),
        (Operation(0, "delete", "a", "", 1, 0, 1, OK, 2), True),
        (Operation(0, "txn", "", TxnArgument((), (("get", "a"),)), None, 0, 1, UNKNOWN), False),
        (Operation(0, "txn", "", TxnArgument((), (("put", "a", "1"),)), None, 0, 1, UNKNOWN), True),
        (Operation(0, "append", "", (("r", "a"),), ((),), 0, 1, OK, 2), False),
        (Operation(0, "append", "", (("append", "a", 1),), (None,), 0, 1, OK, 2), True),
        (Operation(0, "revoke", "7", 0, None, 0, 1, OK, 2), True),
        (Watch(0, 0, "a", "", 1, 0), False),
    ],
)
def test_calls_that_change_nothing_are_told_from_writes(call, changes):
    assert restriction.writes(call) == changes


def test_put_back_are_the_writes_that_something_kept_could_have_seen():
    put = Operation(0, "put", "a", "1", (), 0, 1, OK, 2)
    other = Operation(0, "put", "z", "1", (), 2, 3, OK, 3)
    many = Operation(0, "delete", "a", "c", 1, 4, 5, OK, 4)
    revoke = Operation(0, "revoke", "7", 0, None, 6, 7, OK, 5)
    read = Operation(1, "get", "b", 0, None, 8, 9, OK, 5)
    watch = Watch(0, 2, "a", "b", 1, 0)
    history = History([put, other, many, revoke, read], [watch], [WatchResponse(0, 1, 1, (Event("put", kv("a", "1", 2)),))])
    back = restriction.weakened(history, [read]).operations
    assert [one.outcome for one in back] == [OK, UNKNOWN, UNKNOWN]
    assert [one.invoke_ns for one in back] == [8, 4, 6]
    assert [one.invoke_ns for one in restriction.weakened(history, [watch]).operations] == [0, 4, 6]
    assert len({one.process for one in back}) == 3
