"""The cycle checker against every order there is, against histories that happened, and by the anomaly's name."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.checker import list_append
from jepsen_like.history import FAIL, OK, UNKNOWN, Operation
from tests.jepsen_like.appended import history
from tests.jepsen_like.checker import twins


def _reads(operations: list[Operation]) -> list[tuple[int, int]]:
    """(operation, step) of every acknowledged read."""
    return [
        (number, place)
        for number, one in enumerate(operations)
        if one.outcome == OK
        for place, step in enumerate(one.argument)
        if step[0] == "r"
    ]


def _with_read(operations: list[Operation], number: int, place: int, elements: tuple[Any, ...]) -> list[Operation]:
    changed = list(operations)
    result = list(changed[number].result)
    result[place] = elements
    changed[number] = changed[number]._replace(result=tuple(result))
    return changed


def _mutated(random: Random, operations: list[Operation]) -> list[Operation]:
    """One read cut short, lengthened, shuffled or taken from elsewhere."""
    reads = _reads(operations)
    if not reads:
        return operations
    number, place = random.choice(reads)
    elements = operations[number].result[place]
    key = operations[number].argument[place][1]
    written = [step[2] for one in operations for step in one.argument if step[0] == "append" and step[1] == key]
    draw = random.random()
    if draw < 0.4:
        elements = elements[: random.randint(0, len(elements))]
    elif draw < 0.7 and written:
        elements = (*elements, random.choice(written))
    elif draw < 0.85:
        elements = tuple(random.sample(elements, len(elements)))
    else:
        other, step = random.choice(reads)
        elements = operations[other].result[step]
    return _with_read(operations, number, place, elements)


@pytest.mark.slow
@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.integers(0, 2**40))
def test_verdict_of_small_histories_is_that_of_trying_every_order(seed: int) -> None:
    """Exact in both directions: no false alarm, nothing missed, unknown and failed transactions included."""
    random = Random(seed)
    operations = history(
        random,
        random.randint(2, 8),
        keys=random.choice([1, 2, 3]),
        clients=random.choice([2, 3, 4, 8]),
        steps_max=random.choice([1, 2, 3]),
        unknown=random.choice([0, 0.1, 0.4]),
        failed=random.choice([0, 0.2]),
        revisions=False,
    )
    for _ in range(random.choice([0, 1, 1, 2])):
        operations = _mutated(random, operations)
    expected = twins.explained(operations, (), twins.lists, accepts=lambda call, result: bool(call.result == result))
    verdict = list_append.check(operations)
    assert verdict.valid == expected, verdict.anomalies


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("revisions", [True, False])
def test_histories_that_happened_are_valid(seed: int, revisions: bool) -> None:
    """No false alarm where many transactions overlap and many outcomes are unknown."""
    verdict = list_append.check(history(Random(seed), 500, keys=3, clients=20, unknown=0.1, revisions=revisions))
    assert verdict.valid, verdict.anomalies[:2]


@pytest.mark.slow
def test_large_history_that_happened_is_valid() -> None:
    """A rule that is wrong once in ten thousand transactions shows here and nowhere else."""
    verdict = list_append.check(history(Random(1), 30_000, clients=30, unknown=0.05))
    assert verdict.valid, verdict.anomalies[:2]
    assert verdict.checked == 30_000


def _certain_mutations(operations: list[Operation]) -> list[list[Operation]]:
    """Changes of one read that no order can explain: an acknowledged append hidden, an order turned round, an element made up."""
    writer = {(step[1], step[2]): one for one in operations if one.outcome == OK for step in one.argument if step[0] == "append"}
    longest: dict[str, tuple[Any, ...]] = {}
    for number, place in _reads(operations):
        key, elements = operations[number].argument[place][1], operations[number].result[place]
        longest[key] = max(longest.get(key, ()), elements, key=len)
    changed = []
    for number, place in _reads(operations):
        one = operations[number]
        key, elements = one.argument[place][1], one.result[place]
        changed.append(_with_read(operations, number, place, (*elements, -1)))
        last = writer.get((key, elements[-1])) if elements else None
        if last is not None and last.complete_ns < one.invoke_ns:
            changed.append(_with_read(operations, number, place, elements[:-1]))
        if 2 <= len(elements) < len(longest[key]):
            changed.append(_with_read(operations, number, place, (*elements[:-2], elements[-1], elements[-2])))
    return changed


@pytest.mark.slow
def test_changed_reads_that_cannot_have_happened_are_refuted() -> None:
    """Every single one: the rule of 99.9 % leaves no room for a kind of change that passes."""
    tried = 0
    for seed in range(3):
        for changed in _certain_mutations(history(Random(seed), 100, keys=3, clients=6)):
            tried += 1
            assert list_append.check(changed).outcome == "invalid"
    assert tried > 500


def _txn(process: int, began: int, ended: int, *steps: tuple[Any, ...], outcome: str = OK) -> Operation:
    """Steps are ("append", key, element), or ("r", key, what was read)."""
    argument = tuple(step if step[0] == "append" else step[:2] for step in steps)
    result = tuple(None if step[0] == "append" else step[2] for step in steps)
    return Operation(process, "append", "", argument, result if outcome == OK else None, began, ended, outcome)


NAMED: dict[str, list[Operation]] = {
    "G0": [
        _txn(0, 1, 9, ("append", "x", 1), ("append", "y", 1)),
        _txn(1, 1, 9, ("append", "x", 2), ("append", "y", 2)),
        _txn(2, 1, 9, ("r", "x", (1, 2))),
        _txn(3, 1, 9, ("r", "y", (2, 1))),
    ],
    "G1a": [_txn(0, 1, 9, ("append", "x", 1), outcome=FAIL), _txn(1, 1, 9, ("r", "x", (1,)))],
    "G1b": [_txn(0, 1, 9, ("append", "x", 1), ("append", "x", 2)), _txn(1, 1, 9, ("r", "x", (1,)))],
    "G1c": [_txn(0, 1, 9, ("append", "x", 1), ("r", "y", (2,))), _txn(1, 1, 9, ("append", "y", 2), ("r", "x", (1,)))],
    "G-single": [_txn(0, 1, 9, ("append", "x", 1), ("append", "y", 1)), _txn(1, 1, 9, ("r", "x", (1,)), ("r", "y", ()))],
    "G-nonadjacent": [
        _txn(0, 1, 9, ("append", "x", 1)),
        _txn(1, 1, 9, ("append", "y", 1)),
        _txn(2, 1, 9, ("r", "x", (1,)), ("r", "y", ())),
        _txn(3, 1, 9, ("r", "x", ()), ("r", "y", (1,))),
    ],
    "G2-item": [_txn(0, 1, 9, ("r", "x", ()), ("append", "y", 1)), _txn(1, 1, 9, ("r", "y", ()), ("append", "x", 1))],
    "G-single-realtime": [_txn(0, 1, 2, ("append", "x", 1)), _txn(1, 3, 4, ("r", "x", ()))],
    "G-single-process": [_txn(0, 1, 2, ("append", "x", 1)), _txn(0, 3, 4, ("r", "x", ()))],
    "G1c-realtime": [_txn(1, 1, 2, ("r", "x", (1,))), _txn(0, 3, 4, ("append", "x", 1))],
    "G0-realtime": [_txn(0, 1, 2, ("append", "x", 1)), _txn(1, 3, 4, ("append", "x", 2)), _txn(2, 1, 9, ("r", "x", (2, 1)))],
    "lost-update": [
        _txn(0, 1, 9, ("r", "x", ()), ("append", "x", 1)),
        _txn(1, 1, 9, ("r", "x", ()), ("append", "x", 2)),
    ],
    "incompatible-order": [
        _txn(0, 1, 9, ("append", "x", 1)),
        _txn(1, 1, 9, ("append", "x", 2)),
        _txn(2, 1, 9, ("r", "x", (1, 2))),
        _txn(3, 1, 9, ("r", "x", (2,))),
    ],
    "dirty-update": [
        _txn(0, 1, 9, ("append", "x", 1), outcome=FAIL),
        _txn(1, 1, 9, ("append", "x", 2)),
        _txn(2, 1, 9, ("r", "x", (1, 2))),
    ],
    "future-read": [_txn(0, 1, 9, ("r", "x", (1,)), ("append", "x", 1))],
    "internal": [_txn(0, 1, 9, ("append", "x", 1), ("r", "x", ()))],
    "phantom-element": [_txn(0, 1, 9, ("r", "x", (7,)))],
    "duplicate-elements": [_txn(0, 1, 9, ("append", "x", 1)), _txn(1, 1, 9, ("r", "x", (1, 1)))],
}


@pytest.mark.parametrize("kind", NAMED)
def test_anomaly_has_the_field_s_name_and_its_operations(kind: str) -> None:
    """What a person looks up is what the report says, with the operations that prove it."""
    operations = NAMED[kind]
    verdict = list_append.check(operations)
    assert kind in verdict.kinds, verdict.anomalies
    found = next(anomaly for anomaly in verdict.anomalies if anomaly.kind == kind)
    assert found.operations
    assert set(found.operations) <= set(operations)
    assert found.keys


def test_cycle_is_told_in_one_sentence_an_edge() -> None:
    """Who reads the report needs no knowledge of graphs."""
    verdict = list_append.check(NAMED["G-single-realtime"])
    (found,) = verdict.anomalies
    assert "read 'x' without 1, which" in found.explanation
    assert "was over before" in found.explanation


def test_unknown_transaction_that_nobody_saw_is_left_out() -> None:
    """It may never have happened, so that a read without its element is no anomaly."""
    operations = [_txn(0, 1, 2, ("append", "x", 1), outcome=UNKNOWN), _txn(1, 3, 4, ("r", "x", ()))]
    assert list_append.check(operations).valid


def test_unknown_transaction_seen_on_one_key_happened_on_the_other() -> None:
    """Half of a transaction proves the whole of it."""
    operations = [
        _txn(0, 1, 2, ("append", "x", 1), ("append", "y", 2), outcome=UNKNOWN),
        _txn(1, 3, 4, ("r", "x", (1,))),
        _txn(2, 5, 6, ("r", "y", ())),
    ]
    assert "G-single-realtime" in list_append.check(operations).kinds


def test_element_appended_twice_leaves_the_history_undecided() -> None:
    """Without unique elements a read does not say whose write it saw."""
    operations = [_txn(0, 1, 9, ("append", "x", 1)), _txn(1, 1, 9, ("append", "x", 1))]
    assert list_append.check(operations).outcome == "unknown"


def test_order_against_the_revisions_is_refuted() -> None:
    """Where answers carry revisions, they are the order of the appends."""
    operations = [
        _txn(0, 1, 9, ("append", "x", 1))._replace(revision=5),
        _txn(1, 1, 9, ("append", "x", 2))._replace(revision=4),
        _txn(2, 1, 9, ("r", "x", (1, 2))),
    ]
    assert "incompatible-order" in list_append.check(operations).kinds
