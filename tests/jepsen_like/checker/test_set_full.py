"""The checker of growing sets against every order there is, and what it says of each element."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.checker import set_full
from jepsen_like.history import FAIL, OK, UNKNOWN, Operation
from tests.jepsen_like.checker import twins
from tests.jepsen_like.grown import history


def _mutated(random: Random, operations: list[Operation]) -> list[Operation]:
    """One read that loses an element, gains one, or shows what another one saw."""
    places = [place for place, one in enumerate(operations) if one.f == "members" and one.outcome == OK]
    if not places:
        return operations
    place = random.choice(places)
    elements = list(operations[place].result)
    draw = random.random()
    if draw < 0.4 and elements:
        elements.pop(random.randrange(len(elements)))
    elif draw < 0.7:
        elements.append(random.choice([one.argument for one in operations if one.f == "add"] or [99]))
    else:
        elements = list(operations[random.choice(places)].result)
    changed = list(operations)
    changed[place] = changed[place]._replace(result=tuple(elements))
    return changed


@pytest.mark.slow
@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.integers(0, 2**40))
def test_verdict_of_small_histories_is_that_of_trying_every_order(seed: int) -> None:
    """Exact in both directions: no false alarm, nothing missed, unknown and failed adds included."""
    random = Random(seed)
    operations = history(
        random, random.randint(2, 8), clients=random.choice([2, 3, 8]), unknown=random.choice([0, 0.3]), failed=random.choice([0, 0.2])
    )
    for _ in range(random.choice([0, 1, 1, 2])):
        operations = _mutated(random, operations)
    expected = twins.explained(operations, frozenset(), twins.grow_set, accepts=twins.grow_set_accepts)
    verdict = set_full.check(operations)
    assert verdict.valid == expected, verdict.anomalies


@pytest.mark.slow
def test_large_history_that_happened_is_valid() -> None:
    """No false alarm, and every element whose add was acknowledged and read afterwards is stable at once."""
    operations = history(Random(1), 20_000, clients=20, unknown=0.05)
    verdict = set_full.check(operations)
    assert verdict.valid, verdict.anomalies[:2]
    fates = set_full.fates(operations)
    assert not [fate for fate in fates if fate.outcome == set_full.LOST or fate.stale_ns]
    assert sum(fate.outcome == set_full.STABLE for fate in fates) > 8000


@pytest.mark.slow
def test_hidden_elements_are_always_refuted() -> None:
    """A read loses an element that had been acknowledged before it began: every such change is found."""
    tried = 0
    for seed in range(4):
        operations = history(Random(seed), 200)
        ended = {one.argument: one.complete_ns for one in operations if one.f == "add" and one.outcome == OK}
        for place, one in enumerate(operations):
            for element in one.result or ():
                if ended.get(element, one.invoke_ns) < one.invoke_ns:
                    changed = list(operations)
                    changed[place] = one._replace(result=tuple(other for other in one.result if other != element))
                    tried += 1
                    assert set_full.check(changed).outcome == "invalid"
    assert tried > 1000


def _add(element: int, began: int, ended: int, outcome: str = OK) -> Operation:
    return Operation(element, "add", "s", element, None, began, ended, outcome)


def _read(process: int, began: int, ended: int, *elements: int) -> Operation:
    return Operation(process, "members", "s", None, elements, began, ended, OK)


NAMED: dict[str, list[Operation]] = {
    "lost": [_add(1, 1, 2), _read(8, 3, 4, 1), _read(9, 5, 6)],
    "stale-read": [_add(1, 1, 2), _read(8, 3, 4), _read(9, 5, 6, 1)],
    "phantom-element": [_read(8, 1, 2, 7)],
    "aborted-read": [_add(1, 1, 2, FAIL), _read(8, 3, 4, 1)],
    "duplicate-elements": [_add(1, 1, 2), _read(8, 3, 4, 1, 1)],
    "future-read": [_read(8, 1, 2, 1), _add(1, 3, 4)],
    "incompatible-order": [_add(1, 1, 9), _add(2, 1, 9), _read(8, 1, 9, 1), _read(9, 1, 9, 2)],
}


@pytest.mark.parametrize("kind", NAMED)
def test_anomaly_is_named_with_its_operations(kind: str) -> None:
    """Each way to be wrong has its name, and the operations that prove it."""
    verdict = set_full.check(NAMED[kind])
    assert kind in verdict.kinds, verdict.anomalies
    assert all(set(anomaly.operations) <= set(NAMED[kind]) and anomaly.operations for anomaly in verdict.anomalies)


def test_fates_tell_how_long_an_element_was_missing() -> None:
    """The figure that a report shows: from the acknowledgement to the last read that began without it."""
    operations = [_add(1, 1, 10), _read(8, 30, 40), _read(9, 50, 60, 1), _add(2, 70, 80), _add(3, 90, 95, UNKNOWN)]
    assert set_full.fates(operations) == [
        set_full.Fate("s", 1, set_full.STABLE, 10, 20),
        set_full.Fate("s", 2, set_full.NEVER_READ, 80, 0),
    ]


@pytest.mark.parametrize("process", [0, 1])
def test_read_that_begins_as_the_last_call_of_its_process_ends_comes_after_it(process: int) -> None:
    """Of one process they are in sequence; of two they are concurrent."""
    add = Operation(0, "add", "s", 1, None, 1, 2, OK)
    read = Operation(process, "members", "s", None, (), 2, 3, OK)
    assert set_full.check([add, read]).valid == bool(process)
