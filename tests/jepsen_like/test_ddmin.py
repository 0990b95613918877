"""Leaving out what a failure does not need."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jepsen_like.ddmin import smaller

WHOLE = st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(list(range(size))), st.sets(st.integers(0, size - 1))))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(WHOLE)
def test_what_is_needed_is_what_is_left(case):
    """Where a failure needs certain items and nothing else, nothing else stays, and in order."""
    whole, needed = case
    assert smaller(whole, lambda part: needed <= set(part), tries_max=10_000) == sorted(needed)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(WHOLE)
def test_what_stays_is_never_asked_about(case):
    """Items that may not go are in every try."""
    whole, fixed = case

    def fails(part: list[int]) -> bool:
        assert fixed <= set(part)
        return True

    assert smaller(whole, fails, tries_max=10_000, staying=lambda _, part: [one for one in part if one in fixed]) == sorted(fixed)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(WHOLE, st.integers(0, 30))
def test_tries_are_bounded_and_the_rest_still_fails(case, tries_max):
    """A bound that is reached leaves what failed last."""
    whole, needed = case
    tries = []

    def fails(part: list[int]) -> bool:
        tries.append(part)
        return needed <= set(part)

    left = smaller(whole, fails, tries_max=tries_max)
    assert len(tries) <= tries_max
    assert needed <= set(left)
