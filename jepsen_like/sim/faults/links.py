"""Faults of the network: partitions of every shape, slow links, broken and refused connections, and a follower left behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence

from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import SEEN_WITHIN_S, Injury, SkippedError, UnseenError, chance
from jepsen_like.sim.faults.processes import end
from jepsen_like.sim.reached import reached
from raftkv.client import AsyncClient
from raftkv.errors import RaftKVError

CLIENTS = "client"
"""The machine all clients run on."""

RESET_SHARE = 0.3
"""Of partitions that end with broken connections instead of with what was held."""

INSTALLING_SHARE = 0.7
"""Of followers that crash around a snapshot: they do while they install it, if they come so far."""

STREAM_CUT_SHARE = 0.25
"""Of followers that take a snapshot in: a connection of theirs breaks meanwhile."""

BEHIND_WITHIN_S = 10.0
"""How long a follower is kept away until it needs a snapshot, at least."""

LED_WITHIN_S = 8.0
"""How long the others may be without a leader, before it shows that they are none to write a log without the follower."""

LOG_BURST = 20
"""Leases granted and revoked at once to fill the log."""

LEASE_TTL_S = 60

LEFT_BEHIND = "a follower left behind"
"""For `Injury.alone`."""

Pairs = Sequence[tuple[str, str]]


def _names(members: Iterable[SimulatedMember]) -> list[str]:
    return [member.host for member in members]


def _both_ways(left: Iterable[str], right: Iterable[str]) -> list[tuple[str, str]]:
    return [pair for a, b in itertools.product(left, right) for pair in ((a, b), (b, a))]


def _needs(injury: Injury, count: int) -> list[str]:
    names = _names(injury.cluster.members)
    if len(names) < count:
        raise SkippedError(f"needs {count} members")
    return names


async def _partition(injury: Injury, pairs: Pairs) -> str:
    network = injury.network
    leader = injury.cluster.leader()
    if leader is not None and any(leader.host in pair for pair in pairs):
        reached("leader_partitioned")
    for pair in pairs:
        network.cut(*pair)
    await injury.last()

    def held_now() -> int:
        return sum(len(network.link(*pair).held) for pair in pairs)

    await injury.until(held_now, SEEN_WITHIN_S)
    held = held_now()
    if chance(injury.random, RESET_SHARE):
        for source, target in pairs:
            network.reset(source, target)
    for pair in pairs:
        network.mend(*pair)
    return _held(held)


def _held(count: int) -> str:
    if not count:
        raise UnseenError("nothing was sent on the cut links")
    return f"{count} messages held"


async def isolate(injury: Injury) -> str:
    """One member, or two together, on its own."""
    _needs(injury, 2)
    inside = _names(injury.targets)
    return await _partition(injury, _both_ways(inside, [name for name in _names(injury.cluster.members) if name not in inside]))


async def halves(injury: Injury) -> str:
    """A random majority and the rest."""
    names = _needs(injury, 2)
    injury.random.shuffle(names)
    middle = len(names) // 2 + 1
    return await _partition(injury, _both_ways(names[:middle], names[middle:]))


async def ring(injury: Injury) -> str:
    """Every member sees a majority, and no two the same."""
    names = _needs(injury, 4)
    injury.random.shuffle(names)
    count, reach = len(names), (len(names) // 2 + 1) // 2
    pairs = [(names[a], names[b]) for a in range(count) for b in range(count) if a != b and min((a - b) % count, (b - a) % count) > reach]
    return await _partition(injury, pairs)


async def bridge(injury: Injury) -> str:
    """Two halves that only one member sees both of."""
    names = _needs(injury, 3)
    injury.random.shuffle(names)
    middle = (len(names) - 1) // 2
    return await _partition(injury, _both_ways(names[1 : 1 + middle], names[1 + middle :]))


async def one_way(injury: Injury) -> str:
    """What one member sends to another, or to all, does not arrive; the rest does."""
    _needs(injury, 2)
    others = _names(injury.others(injury.target))
    if injury.fault.amount < 0.5:
        others = [injury.random.choice(others)]
    outward = chance(injury.random, 0.5)
    reached("one_way_partition")
    return await _partition(injury, [(injury.target.host, other) if outward else (other, injury.target.host) for other in others])


async def client_cut(injury: Injury) -> str:
    """The clients do not reach a member, or do not hear it."""
    pair = (CLIENTS, injury.target.host)
    return await _partition(injury, [pair if injury.fault.amount < 0.5 else (pair[1], pair[0])])


async def swizzle(injury: Injury) -> str:
    """A random set of members is cut off one by one and let in again in another order."""
    names = _needs(injury, 3)
    chosen = injury.random.sample(names, injury.random.randint(1, len(names)))
    pause_s = injury.fault.for_s / (2 * len(chosen))
    held = 0
    for name in chosen:
        injury.network.isolate(name, [other for other in names if other != name])
        await asyncio.sleep(pause_s)
    for name in injury.random.sample(chosen, len(chosen)):
        for pair in _both_ways([name], [other for other in names if other != name]):
            held += len(injury.network.link(*pair).held)
            injury.network.mend(*pair)
        await asyncio.sleep(pause_s)
    return _held(held)


async def flap(injury: Injury) -> str:
    """A member's links go and come, every 50 to 500 ms."""
    names = _needs(injury, 2)
    name = injury.target.host
    pairs = _both_ways([name], [other for other in names if other != name])
    end_s = injury.cluster.loop.now_s + injury.fault.for_s
    held = 0
    while injury.cluster.loop.now_s < end_s:
        for pair in pairs:
            injury.network.cut(*pair)
        await asyncio.sleep(injury.random.uniform(0.05, 0.5))
        for pair in pairs:
            held += len(injury.network.link(*pair).held)
            injury.network.mend(*pair)
        await asyncio.sleep(injury.random.uniform(0.05, 0.5))
    return _held(held)


async def slow_link(injury: Injury) -> str:
    """Up to 100 ms each way on one member's links, one in fifty messages up to a second."""
    span_s = 0.01 + 0.09 * injury.fault.amount
    return await _shaped(injury, (span_s * 0.5, span_s), tail=0.02, tail_s=1.0)


async def rate_limit(injury: Injury) -> str:
    """4 to 100 kB a second on each of one member's links."""
    return await _shaped(injury, injury.network.delay_s, rate_bytes_s=4_000 + 96_000 * injury.fault.amount)


async def _shaped(injury: Injury, delay_s: tuple[float, float], **shape: float) -> str:
    network, name = injury.network, injury.target.host
    links = [network.link(*pair) for pair in _both_ways([name], [CLIENTS, *_names(injury.others(injury.target))])]
    for link in links:
        link.shape(delay_s, **shape)
    before = sum(link.sent for link in links)
    await injury.last()
    await injury.until(lambda: sum(link.sent for link in links) > before, SEEN_WITHIN_S)
    for link in links:
        link.shape(network.delay_s)
    sent = sum(link.sent for link in links) - before
    if not sent:
        raise UnseenError(f"nothing went from or to {name}")
    return f"{sent} messages at {name}'s pace"


async def reset(injury: Injury) -> str:
    """Connections of one member break, those of clients too, up to five times."""
    network = injury.network
    name = (await injury.some(lambda member: network.connected(member.host), "has a connection")).host
    broken = 0
    for _ in range(1 + int(injury.fault.amount * 5)):
        others = network.connected(name)
        broken += network.reset(name, injury.random.choice(others)) if others else 0
        await asyncio.sleep(injury.random.uniform(0.0, 0.3))
    return f"{broken} connections broken"


async def accept_stall(injury: Injury) -> str:
    """A member takes no connection, while those it has are broken once."""
    network = injury.network
    name = (await injury.some(lambda member: network.is_up(member.host), "listens")).host
    network.stalled[name] += 1
    for other in [CLIENTS, *_names(injury.others(injury.target))]:
        network.reset(name, other)
    await injury.last()
    await injury.until(lambda: network.waiting(name), SEEN_WITHIN_S)
    network.stalled[name] -= 1
    waiting = network.accept_again(name)
    if not waiting:
        raise UnseenError(f"nobody tried to reach {name}")
    return f"{waiting} connections waited"


async def lag(injury: Injury) -> str:
    """A follower is cut off until the log it needs is gone, and let in again. While it takes the snapshot in its disk may be slow, the
    leader may change so that another one comes, and it may crash or lose power."""
    _needs(injury, 3)
    await injury.leader()
    member = await injury.some(lambda one: one.running is not None and one is not injury.cluster.leader(), "follows")
    await left_behind(injury, member)
    reached("follower_needs_a_snapshot")
    slow = chance(injury.random, 0.5) and member.disk_s is None
    if slow:
        member.disk_s = (0.02, 0.02 + 0.3 * injury.random.random())
    await _until_receiving(member)
    if member.running is not None and member.running.core.transfers.is_receiving:
        reached("snapshot_on_its_way")
        if chance(injury.random, 0.4):
            await asyncio.sleep(injury.random.uniform(0.0, 0.2))
            await _other_leader(injury, member)
        if chance(injury.random, STREAM_CUT_SHARE):
            await asyncio.sleep(injury.random.uniform(0.0, 0.01))
            injury.network.reset(member.host, injury.random.choice(_names(injury.others(member))))
            reached("snapshot_stream_cut")
        await asyncio.sleep(injury.random.uniform(0.0, 1.0 if slow else 0.05))
        if member.running is not None and not injury.injector.turns.is_held(member.host) and chance(injury.random, 0.5):
            async with injury.hold(member):
                if chance(injury.random, INSTALLING_SHARE):
                    await _until_installing(member)
                end(injury, member)
                reached("crash_around_a_snapshot")
                await asyncio.sleep(injury.random.uniform(0.05, 0.5))
                member.start()
    if slow:
        member.disk_s = None
    return f"{member.host} needed a snapshot"


async def left_behind(injury: Injury, member: SimulatedMember) -> None:
    """Cuts the member off until the leader's log begins behind its end, while the others write to theirs.

    Raises:
        UnseenError: that took too long.
        SkippedError: others were left behind until the load ended; several at once can be all that a majority needs.
    """
    async with injury.alone(LEFT_BEHIND):
        await _cut_off(injury, member)


async def _cut_off(injury: Injury, member: SimulatedMember) -> None:
    others = _names(injury.others(member))
    injury.network.isolate(member.host, others)
    for other in others:
        # The log is kept for whoever is connected, and a connection that only holds its bytes is one for seconds.
        injury.network.reset(member.host, other)
    try:
        loop = injury.cluster.loop
        led_s, end_s = loop.now_s, loop.now_s + BEHIND_WITHIN_S + injury.fault.for_s * 10
        while not _is_behind(injury, member):
            if injury.cluster.leader() is not None:
                led_s = loop.now_s
            if loop.now_s >= end_s or loop.now_s > led_s + LED_WITHIN_S:
                raise UnseenError(f"the others' logs still hold what {member.host} lacks")
            await write_log(injury, LOG_BURST)
            await asyncio.sleep(0.1)
    finally:
        for pair in _both_ways([member.host], others):
            injury.network.mend(*pair)


def _is_behind(injury: Injury, member: SimulatedMember) -> bool:
    leader = injury.cluster.leader()
    if leader is None or leader.running is None or member.running is None:
        return False
    return leader.running.core.raft_storage.first_index() > member.running.core.node.last_index + 1


async def write_log(injury: Injury, count: int) -> None:
    """Has the cluster write so many entries to its log, twice, that change no key and no revision; whatever fails, fails."""
    leader = injury.cluster.leader()
    if leader is None:
        return
    client = injury.injector.world.client(leader.host, timeout_s=1.0)
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(_grant(client), name=f"log entry {number}")
    finally:
        await client.aclose()


async def _grant(client: AsyncClient) -> None:
    try:
        lease = await client.leases.grant(LEASE_TTL_S)
        await client.leases.revoke(lease.id)
    except RaftKVError:
        # The member it was meant for may be just what was broken.
        return


async def _until_receiving(member: SimulatedMember) -> None:
    for _ in range(400):
        await asyncio.sleep(0.005)
        if member.running is None or member.running.core.transfers.is_receiving:
            return


async def _until_installing(member: SimulatedMember) -> None:
    """Until it puts the snapshot in the place of its store, or has none to put there."""
    for _ in range(1000):
        transfers = None if member.running is None else member.running.core.transfers
        if transfers is None or transfers._installing is not None or not transfers.is_receiving:
            return
        await asyncio.sleep(0.001)


async def _other_leader(injury: Injury, member: SimulatedMember) -> None:
    """Leadership moves to one that is neither the present leader nor the member, which it then sends a snapshot of its own."""
    leader = injury.cluster.leader()
    others = [one for one in injury.others(member) if one is not leader and one.running is not None]
    if leader is None or not others:
        return
    target = injury.random.choice(others)
    assert target.running is not None
    target_id = target.running.member_id
    leader.run(lambda running: running.core.transfer_leader(target_id, lambda error: None))
    reached("leader_moved_under_a_snapshot")
