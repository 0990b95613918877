"""Majority and joint arithmetic against a twin that tries every set of members."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from raftkv.raft.messages import ConfState
from raftkv.raft.quorum import VoteResult, has_quorum, quorum_index, vote_result

CONFS = [
    ConfState(first, voters_outgoing=second)
    for first in ((), (1,), (1, 2), (1, 2, 3))
    for second in ((), (1,), (2, 3), (1, 2, 3), (3, 4))
    if first or not second
]


def is_quorum(conf: ConfState, members: set[int]) -> bool:
    """The definition, word for word."""
    halves = [half for half in (conf.voters, conf.voters_outgoing) if half]
    return bool(conf.voters) and all(2 * len(members & set(half)) > len(half) for half in halves)


def naive_index(conf: ConfState, values: dict[int, int]) -> int:
    """The largest value that the members who reached it make a quorum for."""
    reached = [value for value in values.values() if is_quorum(conf, {one for one in values if values[one] >= value})]
    return max(reached, default=0)


def naive_vote(conf: ConfState, votes: dict[int, bool]) -> VoteResult:
    """Won when the yes votes are a quorum, lost when all that are still missing could not make them one."""
    if not conf.voters:
        return VoteResult.WON
    yes = {member for member, granted in votes.items() if granted}
    if is_quorum(conf, yes):
        return VoteResult.WON
    missing = {*conf.voters, *conf.voters_outgoing} - set(votes)
    return VoteResult.PENDING if is_quorum(conf, yes | missing) else VoteResult.LOST


def test_index_of_every_small_case_is_the_naive_one() -> None:
    """An index counts when a majority of each half has it; exhaustive for four members and three values."""
    for conf in CONFS:
        members = sorted({*conf.voters, *conf.voters_outgoing})
        for drawn in product(range(3), repeat=len(members)):
            values = dict(zip(members, drawn, strict=True))
            assert quorum_index(conf, values) == naive_index(conf, values), (conf, values)


def test_vote_of_every_small_case_is_the_naive_one() -> None:
    """An election is decided exactly when no missing vote can change it; exhaustive for four members."""
    for conf in CONFS:
        members = sorted({*conf.voters, *conf.voters_outgoing})
        for drawn in product((True, False, None), repeat=len(members)):
            votes = {member: vote for member, vote in zip(members, drawn, strict=True) if vote is not None}
            assert vote_result(conf, votes) is naive_vote(conf, votes), (conf, votes)


def test_active_quorum_of_every_small_case_is_the_naive_one() -> None:
    """The check-quorum rule uses the same quorums."""
    for conf in CONFS:
        for size in range(5):
            for members in combinations((1, 2, 3, 4), size):
                assert has_quorum(conf, set(members)) is is_quorum(conf, set(members)), (conf, members)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.sets(st.integers(1, 12), min_size=1, max_size=9), st.sets(st.integers(1, 12), max_size=9), st.data())
def test_large_cases_agree_with_the_naive_twin(first: set[int], second: set[int], data: st.DataObject) -> None:
    """The same for sizes nobody runs."""
    conf = ConfState(tuple(sorted(first)), voters_outgoing=tuple(sorted(second)))
    members = sorted(first | second)
    values = {member: data.draw(st.integers(0, 20)) for member in members}
    assert quorum_index(conf, values) == naive_index(conf, values)
    votes = data.draw(st.dictionaries(st.sampled_from(members), st.booleans()))
    assert vote_result(conf, votes) is naive_vote(conf, votes)


def test_votes_of_strangers_do_not_count() -> None:
    """A member outside the configuration, a learner for one, decides nothing."""
    conf = ConfState((1, 2, 3), learners=(4,))
    assert vote_result(conf, {1: True, 4: True, 9: True}) is VoteResult.PENDING
