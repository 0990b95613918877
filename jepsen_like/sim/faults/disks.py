"""Faults of disks: slow, failing, full, and rotten where they are read. The process that meets one ends and is started again."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable

from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import SEEN_WITHIN_S, Injury, SkippedError, UnseenError, chance
from jepsen_like.sim.faults.links import left_behind
from jepsen_like.sim.faults.processes import running
from jepsen_like.sim.reached import reached
from jepsen_like.sim.rules.durability import LOG_FOLDER, frames_in
from raftkv.storage.fs import read_all
from raftkv.storage.wal import list_segments

SNAPSHOT_FILE = ".snap"
STORE_MADE = "/db.building"

ROT_START_S = 5.0
"""How long a start on a rotten disk is watched."""

MET_WITHIN_S = 10.0
"""How long a disk that is to fail is watched, at least, until the process has met it."""

CROWDED_WITHIN_S = 3.0

FAILING_SLOWLY_SHARE = 0.7
FAILING_SLOWLY_S = (0.005, 0.05)
"""Of disks that fail: they try for long before they say so, and jobs wait behind the one that fails."""

ENDED_WITHIN_S = 1.0
"""A failed write must end the member; this is the time of its next turns."""

CLOSED_WITHIN_S = 60.0
"""A process that has said that it ends waits for the jobs its disk has begun, and a failing disk may be slow with each."""


async def slow_disk(injury: Injury) -> str:
    """Each job of a disk's threads takes 50 ms to 1.5 s."""
    member = await injury.some(lambda one: one.running is not None and one.disk_s is None, "runs")
    before = member.disk_calls
    member.disk_s = (0.05, 0.1 + 1.4 * injury.fault.amount)
    await injury.last()
    await injury.until(lambda: member.disk_calls > before, SEEN_WITHIN_S)
    member.disk_s = None
    done = member.disk_calls - before
    if not done:
        raise UnseenError(f"{member.host} did not use its disk")
    return f"{done} slow calls"


async def disk_error(injury: Injury) -> str:
    """One of the next thirty changes to the disk fails; a write may leave a part behind, a sync loses what it was for. A disk that is
    slow before it fails does so, if it can, while one job waits behind another.
    """
    rng = injury.random
    error = rng.choice((errno.EIO, errno.EIO, errno.ENOSPC))

    async def break_down(member: SimulatedMember) -> None:
        calls = rng.randint(1, 30)
        if member.disk_s is None and chance(rng, FAILING_SLOWLY_SHARE):
            member.disk_s = FAILING_SLOWLY_S
            if await injury.until(lambda: member.jobs_count > 1 or member.is_down, CROWDED_WITHIN_S):
                calls = 1
        member.fail_disk(calls, error, rng.randint(0, 200))

    return await _ended_by_its_disk(injury, break_down, "disk_error_ended_a_member")


async def disk_full(injury: Injury) -> str:
    """There is room for up to 8 kB more; the write that does not fit lands in part."""

    async def fill(member: SimulatedMember) -> None:
        assert member.disk is not None
        member.disk.full_after_bytes = injury.random.randint(0, 8_000)

    return await _ended_by_its_disk(injury, fill, "full_disk_ended_a_member")


async def _ended_by_its_disk(injury: Injury, act: Callable[[SimulatedMember], Awaitable[None]], point: str) -> str:
    """Waits until the process that meets the fault has ended by itself: none may go on. Then it is started again."""
    member = injury.target
    async with injury.hold(member):
        await running(injury, member)
        disk, life = member.disk, member.life
        assert disk is not None and life is not None
        await act(member)
        await injury.until(lambda: disk.fired or member.is_down, max(injury.fault.for_s, MET_WITHIN_S))
        # What failed is reported to the loop, whose turn ends the member; a paused one does so when it goes on.
        ended = await injury.until(lambda: member.is_down, ENDED_WITHIN_S if disk.fired and not life.paused else 0.0)
        fired = disk.fired
        if fired and not ended and _ends(member):
            ended = await injury.until(lambda: member.is_down, CLOSED_WITHIN_S)
        if ended:
            reached(point)
        elif fired and not life.paused and (meant := [call for call in disk.failed if not _is_refusal(call)]):
            injury.injector.unexpected.append(f"{member.host} went on after {', '.join(meant)} failed")
        injury.injector.look_for_failures()
        if member.disk_s is FAILING_SLOWLY_S:
            member.disk_s = None
        member.crash(power=injury.random.random() < 0.5)
        await asyncio.sleep(injury.random.uniform(0.1, 1.0))
        member.start()
    if not fired:
        raise UnseenError(f"{member.host} did not use its disk so far")
    return f"{fired} failed calls"


def _ends(member: SimulatedMember) -> bool:
    """Whether the process has said that it cannot go on: from there it writes and answers nothing."""
    return member.running is not None and member.running.core.failure.done()


def _is_refusal(call: str) -> bool:
    """Whether a call that failed only refuses: no file for a snapshot, no transfer, nothing was written and the sender is told."""
    return call.startswith("open ") and call.endswith(".snap.tmp")


async def rot(injury: Injury) -> str:
    """A bit of the log is wrong when the process starts and reads it: it must refuse. Then the disk is whole again.

    Only of what a later record proves to have been durable: the very end cannot be told from a torn write.
    """
    member, rng = injury.target, injury.random
    async with injury.hold(member):
        await running(injury, member)
        member.crash()
        await asyncio.sleep(rng.uniform(0.05, 0.5))
        rotten_path, place = _place_to_rot(member, rng)
        rotten = 0

        def flip(path: str, offset: int, data: bytes, _size_bytes: int) -> bytes:
            nonlocal rotten
            if rotten or path != rotten_path or not offset <= place < offset + len(data):
                return data
            rotten += 1
            at = place - offset
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]

        injury.injector.blamed.add(member.host)
        member.rot = flip
        member.start()
        await injury.until(lambda: member.is_down or (rotten and member.running is not None), ROT_START_S)
        refused = member.is_down and rotten
        if refused:
            reached("rotten_log_refused")
        elif rotten and member.running is not None:
            injury.injector.unexpected.append(f"{member.host} started though byte {place} of {rotten_path} was rotten")
        injury.injector.look_for_failures()
        member.rot = None
        member.crash()
        injury.injector.blamed.discard(member.host)
        member.start()
    if not refused:
        raise UnseenError(f"{member.host} did not get as far as its log" if not rotten else f"{member.host} has not refused its log yet")
    return f"refused a wrong bit at byte {place} of {rotten_path}"


async def rotten_snapshot(injury: Injury) -> str:
    """A bit of a snapshot is wrong when the follower that took it in reads it back: no store may be made of it, and another one comes."""
    rng = injury.random
    if len(injury.cluster.members) < 3:
        raise SkippedError("nobody is sent a snapshot")
    await injury.leader()
    member = await injury.some(lambda one: one.running is not None and one is not injury.cluster.leader(), "follows")
    await left_behind(injury, member)
    disk = member.disk
    assert disk is not None
    rotten: dict[str, tuple[int, int]] = {}
    began = 0

    def flip(path: str, offset: int, data: bytes, size_bytes: int) -> bytes:
        nonlocal began
        if not path.endswith(SNAPSHOT_FILE) or not size_bytes or (rotten and path not in rotten):
            return data
        if not rotten:
            began = len(disk.log)
            rotten[path] = rng.randrange(size_bytes), 1 << rng.randrange(8)
        place, bit = rotten[path]
        at = place - offset
        return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] if 0 <= at < len(data) else data

    disk.rot = flip
    await injury.until(lambda: rotten or member.disk is not disk, injury.fault.for_s + SEEN_WITHIN_S)
    disk.rot = None
    if not rotten:
        raise UnseenError(f"{member.host} read no snapshot")
    # The job that reads it goes on to build the store and to name it, before anybody else comes to run.
    if any(operation == "rename" and path.endswith(STORE_MADE) for operation, path in disk.log[began:]):
        injury.injector.unexpected.append(f"{member.host} made a store of a snapshot though a bit of it was wrong: {rotten}")
    reached("rotten_snapshot_refused")
    return f"refused a snapshot with a wrong bit: {rotten}"


def _place_to_rot(member: SimulatedMember, rng: random.Random) -> tuple[str, int]:
    """A file of the log and a byte of it, in a record that must be taken for durable. Raises SkippedError when there is none."""
    found = []
    segments = list_segments(member.fs, LOG_FOLDER) if member.fs.exists(LOG_FOLDER) else []
    for segment in segments:
        path = f"{LOG_FOLDER}/{segment.name}"
        frames = frames_in(read_all(member.fs, path))
        if segment is segments[-1] and frames:
            frames = [frame for frame in frames if frame.sequence <= frames[-1].synced_sequence]
        if frames:
            found.append((path, frames[-1].end))
    if not found:
        raise SkippedError(f"nothing in the log of {member.host} is certainly durable")
    path, end = rng.choice(found)
    return path, rng.randrange(end)
