"""Faults of disks: slow, failing, full, and rotten where they are read. The process that meets one ends and is started again."""

from __future__ import annotations

import asyncio
import errno

from jepsen_like.sim.cluster import SimulatedMember
from jepsen_like.sim.faults.injector import Injury, SkippedError
from jepsen_like.sim.reached import reached

ROT_START_S = 3.0
"""How long a start on a rotten disk is watched."""


async def slow_disk(injury: Injury) -> str:
    """Each job of a disk's threads takes 50 ms to 1.5 s."""
    member = injury.target
    jobs = len(member.disk.log) if member.disk is not None else 0
    member.disk_s = (0.05, 0.1 + 1.4 * injury.fault.amount)
    await injury.last()
    member.disk_s = None
    done = len(member.disk.log) - jobs if member.disk is not None else 0
    return f"{done} slow calls" if done > 0 else ""


async def disk_error(injury: Injury) -> str:
    """One of the next thirty changes to the disk fails; a write may leave a part behind, a sync loses what it was for."""
    rng = injury.random
    error = rng.choice((errno.EIO, errno.EIO, errno.ENOSPC))
    return await _ended_by_its_disk(
        injury, lambda member: member.fail_disk(rng.randint(1, 30), error, rng.randint(0, 200)), "disk_error_ended_a_member"
    )


async def disk_full(injury: Injury) -> str:
    """There is room for up to 20 kB more; the write that does not fit lands in part."""

    def fill(member: SimulatedMember) -> None:
        assert member.disk is not None
        member.disk.full_after_bytes = injury.random.randint(0, 20_000)

    return await _ended_by_its_disk(injury, fill, "full_disk_ended_a_member")


async def _ended_by_its_disk(injury: Injury, act: object, point: str) -> str:
    member = injury.target
    with injury.hold(member):
        if member.disk is None or member.is_down:
            raise SkippedError(f"{member.host} does not run")
        assert callable(act)
        act(member)
        disk = member.disk
        for _ in range(1 + int(injury.fault.for_s / 0.05)):
            await asyncio.sleep(0.05)
            if member.is_down:
                reached(point)
                break
        fired = disk.fired
        injury.injector.look_for_failures()
        if fired and not member.is_down and member.running is not None:
            # A failed write must end the member; it has had the time of its next turn.
            await asyncio.sleep(0.5)
            if not member.is_down and not (member.life is not None and member.life.paused):
                reached("member_outlived_a_disk_fault")
        injury.injector.look_for_failures()
        member.crash(power=injury.random.random() < 0.5)
        await asyncio.sleep(injury.random.uniform(0.1, 1.0))
        member.start()
    return f"{fired} failed calls" if fired else ""


async def rot(injury: Injury) -> str:
    """A bit of the log is wrong when the process starts and reads it: it must refuse, or not meet it. Then the disk is whole again.

    Only the first half of a file that more was written behind: the very end cannot be told from a torn write.
    """
    member, rng = injury.target, injury.random
    with injury.hold(member):
        member.crash()
        await asyncio.sleep(rng.uniform(0.05, 0.5))
        rotten = 0

        def flip(path: str, offset: int, data: bytes, size_bytes: int) -> bytes:
            nonlocal rotten
            if rotten or not path.endswith(".wal") or not any(data) or rng.random() < 0.5:
                return data
            filled = [place for place, byte in enumerate(data) if byte and offset + place < size_bytes // 2]
            if not filled or path == newest:
                return data
            rotten += 1
            place = rng.choice(filled)
            return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]

        segments = sorted(name for name in _segments(member))
        newest = segments[-1] if segments else ""
        injury.injector.blamed.add(member.host)
        member.rot = flip
        member.start()
        for _ in range(int(ROT_START_S / 0.05)):
            await asyncio.sleep(0.05)
            if member.is_down:
                reached("rotten_log_refused")
                break
        injury.injector.look_for_failures()
        member.rot = None
        member.crash()
        injury.injector.blamed.discard(member.host)
        member.start()
    return f"{rotten} bits flipped" if rotten else ""


def _segments(member: SimulatedMember) -> list[str]:
    folder = "/data/member/wal"
    return [f"{folder}/{name}" for name in member.fs.listdir(folder)] if member.fs.exists(folder) else []
