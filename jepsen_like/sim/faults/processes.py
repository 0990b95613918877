"""Faults of processes and their clocks: killed, cut from power, stopped, paused, and told the wrong time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import ABLE_WITHIN_S, SEEN_WITHIN_S, Injury, SkippedError, UnseenError, chance
from jepsen_like.sim.loop import VirtualLoop
from jepsen_like.sim.machine import WALL_START_S
from jepsen_like.sim.process import Life
from jepsen_like.sim.reached import reached
from raftkv.storage.memory_fs import MemoryFileSystem

STOP_WITHIN_S = 20.0
"""Of a graceful stop; after it the process is killed."""

READY_WITHIN_S = 3.0

EMPTY_DISK = "an empty disk"
"""For `Injury.alone`."""

AT_WORK_SHARE = 0.6
"""Of power cuts: they wait for a moment at which a disk is written to."""

AT_WORK_WITHIN_S = 0.5

RATE_TOLERANCE = 1e-6

CLOCK_LOOK_S = 0.1


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
    if core.transfers._installing is not None:
        reached("crash_while_installing_a_snapshot")
    if not core.writer.idle:
        reached("crash_while_the_log_is_written")
    if core.store_writer.busy:
        reached("crash_while_the_store_commits")


async def kill(injury: Injury) -> str:
    """kill -9, and a start after `for_s`."""
    async with injury.hold(*injury.targets):
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
    async with injury.hold(*injury.targets):
        await _at_work(injury, injury.targets)
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
    async with injury.hold(*members):
        await _at_work(injury, members)
        for member in members:
            _note_crash(member)
            member.crash(power=True)
        reached("whole_cluster_lost_power")
        await injury.last(0.5)
        for member in injury.random.sample(members, len(members)):
            await injury.last(injury.random.random() * 0.3)
            member.start()
    return "all down"


async def _at_work(injury: Injury, members: Sequence[SimulatedMember]) -> None:
    """Waits, by chance, until one of them writes."""
    if chance(injury.random, AT_WORK_SHARE):
        await injury.until(lambda: any(_writes(member) for member in members), AT_WORK_WITHIN_S)


def _writes(member: SimulatedMember) -> bool:
    running = member.running
    return running is not None and (not running.core.writer.idle or running.core.store_writer.busy)


async def stop(injury: Injury) -> str:
    """SIGTERM, and a start after `for_s`."""
    member = injury.target
    async with injury.hold(member):
        await running(injury, member)
        await _stop(member)
        effect = _down(injury, member)
        await injury.last(0.3)
        member.start()
    return effect


async def running(injury: Injury, member: SimulatedMember) -> None:
    """Waits until the process that was just started has come up.

    Raises:
        SkippedError: it has not in time.
    """
    if not await injury.until(lambda: member.running is not None, ABLE_WITHIN_S):
        raise SkippedError(f"{member.host} did not run within {ABLE_WITHIN_S:g} s")


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
    async with injury.hold(*members):
        restarted = 0
        for member in members:
            if member.running is None:
                continue
            await _stop(member)
            restarted += 1
            await asyncio.sleep(injury.random.uniform(0.0, 0.3))
            member.start()
            await injury.until(lambda one=member: one.running is not None and one.running.ready.is_set(), READY_WITHIN_S)  # type: ignore[misc]
    return f"{restarted} restarted" if restarted else ""


async def pause(injury: Injury) -> str:
    """SIGSTOP for `for_s`; with two targets both at once. It lasts until something has come due for the process, or come to it."""
    cluster = injury.cluster
    members = [member for member in injury.targets if _can_pause(member)] or [await injury.some(_can_pause, "has a process to pause")]
    paused = [(member, member.life) for member in members if member.life is not None]
    for _, life in paused:
        life.paused = True
    held = 0

    def look() -> int:
        nonlocal held
        held = max(held, sum(len(life.due) + len(life.arrived) for _, life in paused))
        return held

    end_s = cluster.loop.now_s + injury.fault.for_s
    # Looked at early, too: a process that another fault ends holds nothing any more.
    await injury.until(look, injury.fault.for_s)
    await asyncio.sleep(max(0.0, end_s - cluster.loop.now_s))
    await injury.until(lambda: look() or all(life.over for _, life in paused), SEEN_WITHIN_S)
    for member, life in paused:
        if life.over:
            reached("paused_process_killed")
            continue
        if life.arrived and injury.fault.for_s > 1.0:
            reached("resumed_after_a_second")
        cluster.loop.resume(life)
        injury.network.accept_again(member.host)
    if not held:
        raise UnseenError("the process ended before anything came due")
    return f"{held} events held"


def _can_pause(member: SimulatedMember) -> bool:
    return member.life is not None and not member.life.over and not member.life.paused


async def clock_jump(injury: Injury) -> str:
    """The wall clock is wrong by up to five minutes, either way."""
    member = await injury.some(lambda one: one.running is not None, "runs")
    offset_s = (injury.fault.amount - 0.5) * 600
    member.wall_offset_s += offset_s
    shown = member.run(lambda running: running.core.clock.wall_s())
    await injury.last()
    member.wall_offset_s -= offset_s
    if shown is None:
        raise UnseenError(f"{member.host} read no clock")
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
    member = await injury.some(lambda one: one.running is not None and one.rate == 1.0, "runs at the right rate")
    rate = 0.9 + 0.2 * injury.fault.amount
    member.set_rate(rate)
    loop = injury.cluster.loop
    end_s = loop.now_s + 3 * injury.fault.for_s
    reading = _Reading()
    while not reading.rate or loop.now_s < end_s:
        # As a callback of the process's own: only its own code sees its clock.
        member.run(lambda running: loop.call_soon(reading.take, member.life, running.core.clock.monotonic_s, loop))
        if loop.now_s > end_s + SEEN_WITHIN_S:
            break
        await asyncio.sleep(CLOCK_LOOK_S)
    member.set_rate(1.0)
    if abs(reading.rate / rate - 1) > RATE_TOLERANCE:
        raise UnseenError(f"the clock of {member.host} ran at {reading.rate:.3f}")
    return f"rate {reading.rate:.3f}"


class _Reading:
    """How fast a process's clock runs, by what the process read of it."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._life: Life | None = None
        self._began = (0.0, 0.0)

    def take(self, life: Life | None, clock: Callable[[], float], loop: VirtualLoop) -> None:
        """Runs inside the process; the next one on the machine begins a new measurement."""
        read_s = clock()
        if life is not self._life:
            self._life, self._began = life, (read_s, loop.now_s)
        elif loop.now_s > self._began[1]:
            self.rate = (read_s - self._began[0]) / (loop.now_s - self._began[1])


async def wipe(injury: Injury) -> str:
    """The disk is lost and the machine starts with an empty one: its old cluster must refuse it. Then the old disk is back."""
    member = injury.target
    if len(injury.cluster.members) < 3:
        raise SkippedError("the cluster is too small to notice")
    # One disk at a time: two could be a majority, which may begin anew.
    async with injury.hold(member), injury.alone(EMPTY_DISK):
        member.crash()
        disk, member.fs = member.fs, MemoryFileSystem()
        injury.injector.blamed.add(member.host)
        member.start()
        refused = ""
        if await injury.until(lambda: member.is_down or _is_let_in(injury, member), SEEN_WITHIN_S) and member.is_down:
            refused = f"refused: {member.failed}"
            reached("wiped_member_refused")
        injury.injector.look_for_failures()
        if member.running is not None and member.running.core.pipeline.is_leader():
            injury.injector.unexpected.append(f"{member.host} leads with a wiped disk")
        if _is_let_in(injury, member):
            injury.injector.unexpected.append(f"most others speak with {member.host} though its disk was wiped")
        member.crash()
        injury.injector.blamed.discard(member.host)
        member.fs = disk
        member.start()
    if not refused:
        raise UnseenError(f"{member.host} with an empty disk was not refused")
    return refused


def _is_let_in(injury: Injury, member: SimulatedMember) -> bool:
    """More than half of the others accepted its greeting. One that lags may not know yet that the member ever started."""
    others = injury.others(member)
    return member.running is not None and len(member.running.core.peers.connected()) > len(others) / 2


def end(injury: Injury, member: SimulatedMember) -> None:
    """Kills a member's process or cuts its machine's power."""
    _note_crash(member)
    member.crash(power=chance(injury.random, 0.5))
