"""Histories that happened are valid; the same histories with one answer changed are not."""

from __future__ import annotations

import random

import pytest

from jepsen_like.checker import order, search
from jepsen_like.history import OK, KeyValue, Operation
from tests.jepsen_like.generated import EVERYTHING, SIMPLE, history


def _operations(seed: int, kinds: dict[str, int]) -> list[Operation]:
    return history(random.Random(seed), 400, unknown=0.05, mix=kinds)


@pytest.mark.parametrize("seed", range(10))
def test_order_of_what_happened_is_valid(seed: int) -> None:
    """No false alarm, unknown outcomes included."""
    verdict = order.check(_operations(seed, EVERYTHING))
    assert verdict.valid, verdict.anomalies[:2]


@pytest.mark.parametrize("seed", range(40))
def test_order_of_what_happened_with_repeated_values_is_valid(seed: int) -> None:
    """Several unknown writes that may have left the same value are no reason for an alarm."""
    draws = random.Random(seed)
    operations = history(draws, 300, keys=2, clients=8, unknown=0.3, mix=EVERYTHING, values=3)
    verdict = order.check(operations)
    assert verdict.valid, verdict.anomalies[:2]


@pytest.mark.parametrize("seed", range(10))
def test_search_of_what_happened_is_valid(seed: int) -> None:
    """The independent second opinion raises no alarm either."""
    verdict = search.check(_operations(seed, SIMPLE))
    assert verdict.valid, verdict.anomalies[:2]


def _with_another_value(operations: list[Operation]) -> list[Operation]:
    """One get answers a value nobody wrote."""
    changed = list(operations)
    for place, operation in enumerate(changed):
        if operation.f == "get" and operation.outcome == OK and isinstance(operation.result, KeyValue):
            changed[place] = operation._replace(result=operation.result._replace(value="nobody wrote this"))
            return changed
    raise AssertionError("the history has no get that found a key")


@pytest.mark.parametrize("seed", range(10))
def test_read_of_what_nobody_wrote_is_refuted_by_both(seed: int) -> None:
    """A checker that cannot fail proves nothing."""
    changed = _with_another_value(_operations(seed, SIMPLE))
    assert order.check(changed).outcome == "invalid"
    assert search.check(changed).outcome == "invalid"
