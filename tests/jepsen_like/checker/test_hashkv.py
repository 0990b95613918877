"""Hashes that can be compared must agree; those that cannot leave the verdict unknown."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest

from jepsen_like.checker import hashkv
from jepsen_like.history import OK, History, Operation


def _hash(member: str, revision: int, value: int, compacted: int = 0, at: int = 0) -> Operation:
    return Operation(at, "hashkv", "", revision, (value, compacted), at, at + 1, OK, revision, member)


def test_equal_hashes_of_all_members_are_valid() -> None:
    verdict = hashkv.check(History([_hash(name, 9, 5) for name in ("n1", "n2", "n3")]), members=("n1", "n2", "n3"))
    assert verdict.valid
    assert verdict.checked == 3


def test_different_hashes_at_one_revision_and_compaction_diverge() -> None:
    """M1: silent divergence is what a consistent API cannot show."""
    verdict = hashkv.check(History([_hash("n1", 9, 5), _hash("n2", 9, 5), _hash("n3", 9, 6)]))
    assert verdict.kinds == ("hash-divergence",)
    assert "n3 has hash 6" in verdict.anomalies[0].explanation


def test_hashes_at_different_compactions_are_compared_with_nobody() -> None:
    """A compacted store hashes less: no alarm, and no silence either."""
    verdict = hashkv.check(History([_hash("n1", 9, 5, 3), _hash("n2", 9, 6, 4)]))
    assert verdict.outcome == "unknown"
    assert "n2" in verdict.reasons[1]


@pytest.mark.parametrize("members", [("n1", "n2", "n3"), ()])
def test_member_that_never_answered_leaves_the_verdict_unknown(members: tuple[str, ...]) -> None:
    hashes = [_hash("n1", 9, 5), _hash("n2", 9, 5)]
    assert hashkv.check(History(hashes), members=members).outcome == ("unknown" if members else "valid")


def test_hash_of_the_newest_revision_is_not_compared() -> None:
    """Its revision is not told: the header's may be a later one."""
    assert hashkv.check(History([_hash("n1", 0, 5), _hash("n2", 0, 6)])).outcome == "unknown"


def test_compact_revision_above_the_hashed_or_falling_is_refused() -> None:
    assert "hash-compact-revision" in hashkv.check(History([_hash("n1", 9, 5, 10), _hash("n2", 9, 5, 10)])).kinds
    hashes = [_hash("n1", 9, 5, 4), _hash("n1", 9, 5, 3, at=5), _hash("n2", 9, 5, 4), _hash("n2", 9, 5, 4, at=5)]
    assert hashkv.check(History(hashes)).kinds == ("hash-compact-revision",)


@pytest.mark.parametrize("seed", range(50))
def test_hash_checker_and_comparing_all_pairs_agree(seed: int) -> None:
    """The naive twin."""
    random = Random(seed)
    hashes = [
        _hash(f"n{random.randrange(3)}", random.choice([8, 9]), random.choice([5, 5, 5, 6]), 3) for _ in range(random.randrange(1, 7))
    ]
    differ = any(one[3] == other[3] and one[4] != other[4] for one, other in combinations(hashes, 2))
    assert (hashkv.check(History(hashes)).outcome == "invalid") == differ
