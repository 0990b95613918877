"""Who does not hear whom."""

from __future__ import annotations

import pytest

from jepsen_like.nemesis.partitions import apart, bridge, majorities_ring

NAMES = [f"n{number}" for number in range(1, 10)]


@pytest.mark.parametrize("size", range(2, 10))
def test_groups_that_are_apart_hear_only_themselves(size):
    names = NAMES[:size]
    grudges = apart(names[:1], names[1:])
    assert all(set(names) - grudges[name] == ({name} if name == "n1" else set(names[1:])) for name in names)


@pytest.mark.parametrize("size", [5, 7, 9])
def test_ring_lets_every_member_hear_a_majority_and_no_two_the_same(size):
    """Every member thinks that all is well, and no two agree with whom."""
    names = NAMES[:size]
    heard = {name: frozenset(names) - grudge for name, grudge in majorities_ring(names).items()}
    assert all(len(set_) > size // 2 and name in set_ for name, set_ in heard.items())
    assert len(set(heard.values())) == size
    assert all(a in heard[b] for a in names for b in heard[a])


@pytest.mark.parametrize("size", [3, 4, 5])
def test_bridge_leaves_one_member_that_hears_everybody(size):
    names = NAMES[:size]
    grudges = bridge(names)
    middle = [name for name in names if name not in grudges]
    assert len(middle) == 1
    assert all(middle[0] not in grudge for grudge in grudges.values())
    assert all(b in grudges[a] and a in grudges[b] for a in grudges for b in grudges[a])
