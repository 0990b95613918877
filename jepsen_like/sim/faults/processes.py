"""Faults of processes and their clocks: killed, cut from power, stopped, paused, and told the wrong time."""

from __future__ import annotations

import asyncio

from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import Injury, SkippedError, chance
from jepsen_like.sim.machine import WALL_START_S
from jepsen_like.sim.reached import reached
from raftkv.storage.memory_fs import MemoryFileSystem

STOP_WITHIN_S = 20.0
"""Of a graceful stop; after it the process is killed."""

READY_WITHIN_S = 3.0


def _down(injury: Injury, member: SimulatedMember) -> str:
    return f"{member.host} down" if not injury.network.is_up(member.host) else ""


def _note_crash(member: SimulatedMember) -> None:
    running = member.running
    if running is None:
        reached("crash_while_starting")
        return
    core = running.core
    if core.pipeline.is_leader():
        reached("leader_crashed")
    if core.transfers.is_receiving:
        reached("crash_while_receiving_a_snapshot")
    if not core.writer.idle:
        reached("crash_while_the_log_is_written")
    if core.store_writer.busy:
        reached("crash_while_the_store_commits")


async def kill(injury: Injury) -> str:
    """kill -9, and a start after `for_s`."""
    with injury.hold(*injury.targets):
        for member in injury.targets:
            _note_crash(member)
            member.crash()
        effect = " ".join(_down(injury, member) for member in injury.targets)
        await injury.last()
        for member in injury.targets:
            member.start()
    return effect


async def power(injury: Injury) -> str:
    """Power cuts; with an `amount` below one half nobody is told that the connections are gone."""
    with injury.hold(*injury.targets):
        for member in injury.targets:
            _note_crash(member)
            member.crash(power=True, silent=injury.fault.amount < 0.5)
        effect = " ".join(_down(injury, member) for member in injury.targets)
        await injury.last()
        for member in injury.targets:
            member.start()
    return effect


async def power_all(injury: Injury) -> str:
    """Every machine loses power at once; they come back one by one."""
    members = injury.cluster.members
    with injury.hold(*members):
        for member in members:
            _note_crash(member)
            member.crash(power=True)
        reached("whole_cluster_lost_power")
        await injury.last(0.5)
        for member in injury.random.sample(members, len(members)):
            await injury.last(injury.random.random() * 0.3)
            member.start()
    return "all down"


async def stop(injury: Injury) -> str:
    """SIGTERM, and a start after `for_s`."""
    member = injury.target
    with injury.hold(member):
        if member.running is None:
            raise SkippedError(f"{member.host} does not run")
        await _stop(member)
        effect = _down(injury, member)
        await injury.last(0.3)
        member.start()
    return effect


async def _stop(member: SimulatedMember) -> None:
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await member.stop()
        reached("stopped_in_time")
    except TimeoutError:
        reached("stop_took_too_long")
        member.crash()


async def rolling_restart(injury: Injury) -> str:
    """Each member in turn is stopped and started, as an upgrade does."""
    members = injury.cluster.members
    with injury.hold(*members):
        for member in members:
            if member.running is None:
                continue
            await _stop(member)
            await asyncio.sleep(injury.random.uniform(0.0, 0.3))
            member.start()
            for _ in range(int(READY_WITHIN_S / 0.05)):
                await asyncio.sleep(0.05)
                if member.running is not None and member.running.ready.is_set():
                    break
    return f"{len(members)} restarted"


async def pause(injury: Injury) -> str:
    """SIGSTOP for `for_s`; with two targets both at once."""
    cluster = injury.cluster
    paused = [(member, member.life) for member in injury.targets if member.life is not None and not member.life.paused]
    if not paused:
        raise SkippedError("no process to pause")
    for _, life in paused:
        assert life is not None
        life.paused = True
    await injury.last()
    held = sum(len(life.due) + len(life.arrived) for _, life in paused if life is not None)
    for member, life in paused:
        if life is None or life.over:
            reached("paused_process_killed")
            continue
        if life.arrived and injury.fault.for_s > 1.0:
            reached("resumed_after_a_second")
        cluster.loop.resume(life)
        injury.network.accept_again(member.host)
    return f"{held} events held" if held else ""


async def clock_jump(injury: Injury) -> str:
    """The wall clock is wrong by up to five minutes, either way."""
    member = injury.target
    offset_s = (injury.fault.amount - 0.5) * 600
    member.wall_offset_s += offset_s
    shown = member.run(lambda running: running.core.clock.wall_s())
    await injury.last()
    member.wall_offset_s -= offset_s
    if shown is None:
        return ""
    return f"the wall clock shows {shown - WALL_START_S - injury.cluster.loop.now_s:+.1f} s"


async def clock_strobe(injury: Injury) -> str:
    """The wall clock jumps to and fro, every 1 to 200 ms."""
    member = injury.target
    end_s = injury.cluster.loop.now_s + injury.fault.for_s
    jumps = 0
    while injury.cluster.loop.now_s < end_s:
        offset_s = injury.random.choice((0.004, 0.26, 16.0, 262.0))
        member.wall_offset_s += offset_s
        await asyncio.sleep(injury.random.uniform(0.001, 0.1))
        member.wall_offset_s -= offset_s
        await asyncio.sleep(injury.random.uniform(0.001, 0.1))
        jumps += 2
    return f"{jumps} jumps"


async def clock_rate(injury: Injury) -> str:
    """The monotonic clock runs at 0.9 to 1.1 of its rate; heals with `for_s`, three times as long as asked for."""
    member = injury.target
    if member.rate != 1.0:
        raise SkippedError(f"the clock of {member.host} is wrong already")
    rate = 0.9 + 0.2 * injury.fault.amount
    member.set_rate(rate)
    loop = injury.cluster.loop
    before_s = member.run(lambda running: _local_s(member, loop.now_s)), loop.now_s
    await injury.last(3.0)
    effect = ""
    if before_s[0] is not None and member.life is not None and member.life.skewed:
        effect = f"rate {rate:.3f}"
    member.set_rate(1.0)
    return effect


def _local_s(member: SimulatedMember, now_s: float) -> float:
    assert member.life is not None
    return member.life.local_s(now_s)


async def wipe(injury: Injury) -> str:
    """The disk is lost and the machine starts with an empty one: its old cluster must refuse it. Then the old disk is back."""
    member = injury.target
    if len(injury.cluster.members) < 3:
        raise SkippedError("the cluster is too small to notice")
    if injury.injector.wiped:
        raise SkippedError("another disk is lost: two could be a majority, which may begin anew")
    with injury.hold(member):
        injury.injector.wiped = True
        member.crash()
        disk, member.fs = member.fs, MemoryFileSystem()
        injury.injector.blamed.add(member.host)
        member.start()
        refused = ""
        for _ in range(100):
            await asyncio.sleep(0.05)
            if member.is_down:
                refused = f"refused: {member.failed}"
                reached("wiped_member_refused")
                break
        injury.injector.look_for_failures()
        if member.running is not None and member.running.core.pipeline.is_leader():
            injury.injector.unexpected.append(f"{member.host} leads with a wiped disk")
        member.crash()
        injury.injector.blamed.discard(member.host)
        member.fs = disk
        injury.injector.wiped = False
        member.start()
    return refused


async def transfer(injury: Injury) -> str:
    """The leader is asked to hand over, to a member of the draw's choice; again after a moment with a larger `amount`."""
    leader = injury.cluster.leader()
    target = injury.random.choice(injury.cluster.members)
    if leader is None or target.running is None:
        raise SkippedError("no leader, or nobody to hand over to")
    target_id = target.running.member_id
    before = leader.host
    for _ in range(1 + int(injury.fault.amount * 3)):
        for member in injury.cluster.members:
            member.run(lambda running: running.core.transfer_leader(target_id, lambda error: None))
        await asyncio.sleep(injury.random.uniform(0.05, 0.5))
    after = injury.cluster.leader()
    if after is None or (target.host != before and after.host != target.host):
        return ""
    return f"{before} to {after.host}"


def end(injury: Injury, member: SimulatedMember) -> None:
    """Kills a member's process or cuts its machine's power."""
    _note_crash(member)
    member.crash(power=chance(injury.random, 0.5))
