"""What an onlooker holds members to: each rule passes what is right, and names what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jepsen_like.sim.cluster import SimulatedCluster, simulate
from jepsen_like.sim.rules import InvariantError
from jepsen_like.sim.rules.leases import LeaseRules, _watch_handler
from jepsen_like.sim.rules.reads import UNASKED_TURNS_MAX, ReadRules
from jepsen_like.sim.rules.writes import WriteRules
from raftkv.raft.messages import Entry, EntryKind, Message, MessageKind, ReadState
from raftkv.server.member import MemberCore
from raftkv.server.reads import Reads
from raftkv.state.requests import LeaseExpiry, RequestKind, encode


def _taken() -> tuple[ReadRules, Reads, list[int], Callable[[], None], Callable[[tuple[ReadState, ...]], None]]:
    rules, reads, turns = ReadRules(), Reads(timeout_s=7.0, wake=lambda: None), [0]
    waiting, answered = rules.attach("m0", reads, lambda: turns[0])
    return rules, reads, turns, waiting, answered


def test_read_confirmed_at_an_index_older_than_itself_is_told() -> None:
    """Thesis §6.4: what was committed anywhere when a read came is what it must see at least."""
    rules, reads, _turns, waiting, answered = _taken()
    rules.commit = 7
    reads.submit(lambda error: None)
    waiting()
    rules.commit = 9
    context = reads.start_round(2, 1.0)
    assert context is not None
    answered((ReadState(3, b"of a round long gone"),))
    answered((ReadState(7, context),))
    reads.submit(lambda error: None)
    waiting()
    # As a member would have it whose reads join the round under way.
    reads._round.reads += reads.waiting  # type: ignore[union-attr]
    with pytest.raises(InvariantError, match="is to be served at 8, 9 was committed"):
        answered((ReadState(8, context),))


def test_read_that_nobody_asks_for_is_told_after_some_turns() -> None:
    """Behind a round a read may wait for as long as that lasts; without one its time would never run out."""
    _rules, reads, turns, waiting, _answered = _taken()
    reads.submit(lambda error: None)
    reads.start_round(2, 1.0)
    reads.submit(lambda error: None)
    for turns[0] in range(100):
        waiting()
    reads._round = None
    for turns[0] in range(100, 100 + UNASKED_TURNS_MAX):
        waiting()
    turns[0] += 1
    with pytest.raises(InvariantError, match="1 reads wait for no round"):
        waiting()


def _entry(index: int, request: int) -> Entry:
    return Entry(2, index, EntryKind.NORMAL, encode(RequestKind.PUT, request, b""))


def test_write_told_lost_is_committed_neither_before_nor_after() -> None:
    """Whoever is told that a write is lost may do it again: it must never be seen."""
    rules = WriteRules()
    rules.committed((_entry(5, 11), _entry(6, 12)))
    rules._told_lost("m0", [10])
    with pytest.raises(InvariantError, match=r"m1: says that request c is lost, which was committed at 6"):
        rules._told_lost("m1", [12])
    rules.committed((_entry(6, 12), Entry(3, 7, EntryKind.NORMAL, b""), _entry(8, 13)))
    with pytest.raises(InvariantError, match="request a is committed at 9, and m0 has told it lost"):
        rules.committed((_entry(9, 10),))


def _watched(check: Callable[[SimulatedCluster, MemberCore, dict[int, float]], Any], count: int = 1) -> None:
    """Runs a check at the leader of a cluster in which lease 7 of ten seconds lives, watched by the rules of leases."""

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        await cluster.until(cluster.leader)
        leader = cluster.leader()
        assert leader is not None and leader.running is not None and leader.life is not None
        led_s: dict[int, float] = {}
        LeaseRules(led_s).attach(leader.host, leader.running.core, leader.life)
        leader.running.core.machine.lessor.grant(7, 10)
        await check(cluster, leader.running.core, led_s)

    simulate(1, scenario, count)


def test_lease_renewed_by_who_leads_no_more_is_told() -> None:
    """Design §4 rule 12: a leader renews a lease only while no later one had been elected before it was asked."""

    async def check(cluster: SimulatedCluster, core: MemberCore, led_s: dict[int, float]) -> None:
        answers: list[int] = []
        await cluster.until(lambda: core.machine.lessor.renew(7, core.loop.time()) == 10)
        core.leases.keep_alive(7, lambda ttl_s, error: answers.append(ttl_s))
        await cluster.until(lambda: answers == [10])
        term = core.node.term
        led_s[term + 1] = 0.0
        core.leases.keep_alive(7, lambda ttl_s, error: answers.append(ttl_s))
        await cluster.until(core.failure.done)
        assert "renews a lease in term 2, and term 3 had its leader" in str(core.failure.exception())
        assert answers == [10]

    _watched(check)


def test_lease_ended_by_who_has_heard_of_no_quorum_since_is_told() -> None:
    """Design §4 rule 12: only a leader confirmed since the deadline passed ends a lease."""

    async def check(cluster: SimulatedCluster, core: MemberCore, led_s: dict[int, float]) -> None:
        core.machine.lessor.arm_fresh(core.loop.time())
        await cluster.until(lambda: core.loop.time() >= core.machine.lessor._leases[7].deadline_s)
        with pytest.raises(InvariantError, match="ends lease 7, which ran out 0.0.. s ago, and has heard of no quorum since"):
            core.leases._expire([7])
        await asyncio.sleep(0.3)
        core.leases._expire([7])

    _watched(check, 3)


def test_expiry_of_another_term_that_ends_a_lease_is_told() -> None:
    """What a deposed leader found is void in another's term."""

    async def check(cluster: SimulatedCluster, core: MemberCore, led_s: dict[int, float]) -> None:
        machine = core.machine
        watched = machine._handlers[RequestKind.LEASE_EXPIRE]
        watched(LeaseExpiry(machine.applied_term - 1, 7))
        assert 7 in machine.lessor
        machine._handlers[RequestKind.LEASE_EXPIRE] = lambda request: machine._end_lease(request.lease_id)
        _watch_handler("m0", machine)
        with pytest.raises(InvariantError, match="lease 7 ends at .* in term 2, as the leader of term 1 wanted"):
            machine._handlers[RequestKind.LEASE_EXPIRE](LeaseExpiry(machine.applied_term - 1, 7))
        machine.lessor.grant(8, 10)
        machine._handlers[RequestKind.LEASE_EXPIRE](LeaseExpiry(machine.applied_term, 8))
        assert 8 not in machine.lessor

    _watched(check)


def test_client_told_that_a_lease_is_gone_which_lives_is_told() -> None:
    """A keepalive of a lease that the answering member holds is never answered with "gone"."""

    async def check(cluster: SimulatedCluster, core: MemberCore, led_s: dict[int, float]) -> None:
        answers: list[int] = []
        core.leases.keep_alive(8, lambda ttl_s, error: answers.append(ttl_s))
        await cluster.until(lambda: answers == [0])
        core.machine.lessor.demote()
        core.leases.keep_alive(7, lambda ttl_s, error: answers.append(ttl_s))
        await cluster.until(core.failure.done)
        assert "tells a client that lease 7 is gone, which it holds" in str(core.failure.exception())

    _watched(check)


def test_look_for_expired_leases_before_what_came_meanwhile_is_read_is_told() -> None:
    """After a stall the queued keepalives come first."""

    async def check(cluster: SimulatedCluster, core: MemberCore, led_s: dict[int, float]) -> None:
        life = cluster.members[0].life
        assert life is not None and core._timer is not None
        core.machine.lessor.arm_fresh(core.loop.time())
        core._timer.cancel()
        await asyncio.sleep(11.0)
        life.unread = 3
        core.leases.tick()
        assert not core.leases._looking
        await asyncio.sleep(11.0)
        # As in a member that takes no stall for one.
        core.leases._election_s = 100.0
        with pytest.raises(InvariantError, match="stood still for 11.000 s, looks for leases that ran out, and has 3 unread"):
            core.leases.tick()

    _watched(check)


def test_write_for_a_leader_that_nothing_leads_to_is_told() -> None:
    """A write that would be thrown away waits."""

    async def check(cluster: SimulatedCluster, core: MemberCore, led_s: dict[int, float]) -> None:
        other = next(iter(core.peers._lanes))
        message = Message(MessageKind.PROPOSE, other, core.member_id, 2, entries=(Entry(0, 0, 0, b""),))
        WriteRules.handed_on(core, message)
        cluster.members[[member.running.member_id for member in cluster.members if member.running].index(other)].crash()
        await cluster.until(lambda: not core.peers.reaches(other))
        with pytest.raises(InvariantError, match="to which nothing leads"):
            WriteRules.handed_on(core, message)

    _watched(check, 3)
