"""Partitions that are neither whole nor fair: whoever can reach a quorum goes on, and nobody is deposed for nothing."""

from __future__ import annotations

from itertools import combinations

import pytest

from raftkv.raft.messages import ConfState
from tests.raft.sim import Cluster

ELECTION_TICKS = 10


def make(size: int, seed: int = 0) -> Cluster:
    return Cluster(ConfState(tuple(range(1, size + 1))), seed=seed)


def connect_only(cluster: Cluster, links: set[tuple[int, int]]) -> None:
    """Cuts every link but these, both ways."""
    for one, other in combinations(cluster.members, 2):
        if (one, other) not in links and (other, one) not in links:
            cluster.cut |= {(one, other), (other, one)}


def wait_committed(cluster: Cluster, data: bytes, *, ticks: int) -> int:
    """Ticks until some leader commits a proposal; returns how many it took."""
    for tick in range(ticks):
        for member in cluster.up():
            if member.running.leader_id == member.id and member.running.has_committed_in_term:
                if not member.running.transferee:
                    member.running.propose([data])
                    cluster.settle()
                if any(one == data for _, one in member.history):
                    return tick
                data += b"'"
        cluster.tick()
    raise AssertionError("no progress\n" + "\n".join(member.running.describe() for member in cluster.up()))


@pytest.mark.parametrize("leader", [1, 2, 3])
def test_chain_of_three_keeps_the_leader_that_reaches_a_quorum(leader: int) -> None:
    """1–2–3 with no link between the ends: the cut-off end must not depose anybody again and again (faults §5c 19)."""
    cluster = make(3)
    cluster.elect(leader)
    connect_only(cluster, {(1, 2), (2, 3)})
    terms = len(cluster.oracle.leaders)
    cluster.tick(20 * ELECTION_TICKS)
    assert len(cluster.oracle.leaders) == terms
    assert wait_committed(cluster, b"x", ticks=1) == 0


@pytest.mark.parametrize("seed", range(4))
def test_leader_left_with_a_minority_is_replaced_by_those_who_see_a_quorum(seed: int) -> None:
    """Five members, the leader reaches one other, which reaches everybody (the outage of November 2020)."""
    cluster = make(5, seed)
    cluster.elect(1)
    connect_only(cluster, {(1, 2), (2, 3), (2, 4), (2, 5), (3, 4), (3, 5), (4, 5)})
    assert wait_committed(cluster, b"x", ticks=8 * ELECTION_TICKS) >= 0
    leader = cluster.leader()
    assert leader is not None


@pytest.mark.parametrize("seed", range(4))
def test_ring_where_each_sees_another_majority_goes_on(seed: int) -> None:
    """Every member of five reaches two neighbours on a ring: each has a majority, no two the same."""
    cluster = make(5, seed)
    cluster.elect(1)
    connect_only(cluster, {(1, 2), (2, 3), (3, 4), (4, 5), (5, 1)})
    cluster.tick(5 * ELECTION_TICKS)
    wait_committed(cluster, b"x", ticks=8 * ELECTION_TICKS)


def test_member_cut_off_again_and_again_deposes_nobody() -> None:
    """Fifty times isolated and healed: pre-vote keeps its term from rising (faults §5c 20)."""
    cluster = make(3)
    cluster.elect(1)
    for _ in range(50):
        cluster.isolate(3)
        cluster.tick(3 * ELECTION_TICKS)
        cluster.heal()
        cluster.tick(2)
    assert len(cluster.oracle.leaders) == 1


@pytest.mark.parametrize("seed", range(6))
def test_leader_killed_is_replaced_within_three_election_timeouts(seed: int) -> None:
    cluster = make(3, seed)
    cluster.elect(1)
    cluster.members[1].crash(0)
    assert wait_committed(cluster, b"x", ticks=3 * ELECTION_TICKS) <= 3 * ELECTION_TICKS


def test_one_way_link_to_the_leader_costs_at_most_one_leader() -> None:
    """A member that hears the leader but is not heard follows it; one that is heard but hears nothing is refused."""
    for cut in ((1, 3), (3, 1)):
        cluster = make(3)
        cluster.elect(1)
        cluster.cut.add(cut)
        cluster.tick(20 * ELECTION_TICKS)
        assert len(cluster.oracle.leaders) <= 2
        wait_committed(cluster, b"x", ticks=1)


def test_whole_cluster_killed_at_once_comes_back_with_everything() -> None:
    """What was committed is on a quorum's disks, whichever writes were still on their way."""
    cluster = make(3)
    cluster.elect(1)
    for number in range(5):
        cluster.propose(1, b"%d" % number)
        cluster.settle()
    cluster.propose(1, b"under way")
    cluster.take_ready(cluster.members[1])
    for member in cluster.members.values():
        member.crash(0)
    cluster.packets.clear()
    for member in cluster.members.values():
        member.start(0)
    wait_committed(cluster, b"x", ticks=5 * ELECTION_TICKS)
    cluster.tick(2)
    for member in cluster.members.values():
        assert [data for _, data in member.history][:5] == [b"0", b"1", b"2", b"3", b"4"]
