"""Majority and joint arithmetic (thesis §4.3): what a quorum has acknowledged, and whether it has voted.

Pure functions of a configuration. In a joint configuration both majorities must agree; an empty half never objects.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import IntEnum
from itertools import repeat

from raftkv.raft.messages import ConfState

NO_LIMIT = (1 << 64) - 1
"""What an empty half has acknowledged: it never holds the other half back."""


class VoteResult(IntEnum):
    """How an election stands."""

    PENDING = 0
    """Votes that are missing decide."""

    LOST = 1
    """No missing vote can win it."""

    WON = 2
    """A quorum said yes."""


def quorum_index(conf: ConfState, reached_by: Mapping[int, int]) -> int:
    """The largest value that a quorum of `conf` has reached, given what each member has, 0 when it is missing; 0 without voters."""
    voters = conf.voters
    values = sorted(map(reached_by.get, voters, repeat(0)))
    reached = values[(len(values) - 1) // 2] if values else NO_LIMIT
    if conf.voters_outgoing:
        values = sorted(map(reached_by.get, conf.voters_outgoing, repeat(0)))
        reached = min(reached, values[(len(values) - 1) // 2])
    return 0 if reached == NO_LIMIT else reached


def vote_result(conf: ConfState, votes: Mapping[int, bool]) -> VoteResult:
    """How the election stands, given the votes that arrived. Votes of members outside `conf` do not count."""
    first = _majority_result(conf.voters, votes)
    second = _majority_result(conf.voters_outgoing, votes)
    if first is VoteResult.LOST or second is VoteResult.LOST:
        return VoteResult.LOST
    if first is VoteResult.WON and second is VoteResult.WON:
        return VoteResult.WON
    return VoteResult.PENDING


def has_quorum(conf: ConfState, members: Container[int]) -> bool:
    """True when `members` hold a majority of each half. False for a configuration without voters."""
    if not conf.voters:
        return False
    for half in (conf.voters, conf.voters_outgoing):
        if half and sum(member_id in members for member_id in half) <= len(half) // 2:
            return False
    return True


def _majority_result(voters: tuple[int, ...], votes: Mapping[int, bool]) -> VoteResult:
    if not voters:
        return VoteResult.WON
    needed = len(voters) // 2 + 1
    yes = sum(1 for member_id in voters if votes.get(member_id))
    missing = sum(1 for member_id in voters if member_id not in votes)
    if yes >= needed:
        return VoteResult.WON
    return VoteResult.PENDING if yes + missing >= needed else VoteResult.LOST
