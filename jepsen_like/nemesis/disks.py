"""Faults of disks that go on running: full, failing to sync, slow, rotten; and a disk that is lost altogether.

The log's files obey the harness (instrument `files`). A member that stops on such a fault does right: it is started again at the end.
"""

from __future__ import annotations

import asyncio
import pathlib
import random
import shutil
from abc import abstractmethod
from typing import ClassVar

from jepsen_like.cluster.cluster import FILES, Cluster
from jepsen_like.cluster.instrumented.levers import NO_LIMIT, Levers
from jepsen_like.cluster.member import MemberProcess
from jepsen_like.nemesis.fault import Fault
from jepsen_like.recorder import Recorder

ENDS_WITHIN_S = 5.0
"""A member that hit an error it must not survive."""


DAMAGE = ("damaged", "corrupt", "crc")
"""What servers call it, one or the other."""


class DiskFault(Fault):
    """Of one member, whose files obey."""

    instruments = frozenset({FILES})

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if cluster.levers else "the members' files do not obey the harness"

    @property
    def levers(self) -> Levers:
        """Of the one target."""
        return self.cluster.levers[self.targets[0]]

    async def apply(self) -> None:
        """See Fault."""
        self.target(await self.pick_member())
        self.break_it()

    @abstractmethod
    def break_it(self) -> None:
        """Sets the levers, and says what was asked for."""

    async def hold(self, seconds: float) -> None:
        """See Fault; makes the member write, whatever the run's clients do."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            await self.poke()
            await asyncio.sleep(0.05)

    async def ended(self) -> str:
        """How the member ended on its own, in words; empty when it still runs."""
        (member,) = self.members()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + ENDS_WITHIN_S
        while member.running and loop.time() < until_s:
            await self.poke()
            await asyncio.sleep(0.05)
        return "" if member.running else f"{member.name} ended with {member.status}"

    async def heal(self) -> None:
        """See Fault."""
        for name in self.targets:
            self.cluster.levers[name].put("bytes_until", NO_LIMIT)
            self.cluster.levers[name].put("sync_fails", 0.0)
            self.cluster.levers[name].put("sync_delay_s", 0.0)
        await self.restarted(self.members())


class DiskFull(DiskFault):
    """The log's disk takes so many more bytes and no more: a short write, then ENOSPC."""

    name = "disk-full"
    row = 20
    verified_by = "writes refused, counted where they were, and how the member ended"

    def break_it(self) -> None:
        """See DiskFault."""
        left = self.rng.choice((0, 1, 17, 40, 200, 5000))
        self.requested = f"{left} bytes are left"
        self._before = self.levers.get("writes_refused")
        self.levers.put("bytes_until", self.levers.get("bytes_written") + left)

    async def verify(self) -> None:
        """See Fault."""
        ended = await self.ended()
        refused = int(self.levers.get("writes_refused") - self._before)
        short = int(self.levers.get("short_bytes"))
        self.expect(refused > 0, f"{refused} writes refused after {short} bytes; {ended or 'the member goes on'}")


class SyncError(DiskFault):
    """The log's syncs fail: nothing that was not synced before may ever be trusted again, so the member has to end."""

    name = "fsync-error"
    row = 21
    verified_by = "syncs failed, counted where they were, and the end of the member"

    def break_it(self) -> None:
        """See DiskFault."""
        self.requested = "every fdatasync fails with EIO"
        self._before = self.levers.get("syncs_failed")
        self.levers.put("sync_fails", 1.0)

    async def verify(self) -> None:
        """See Fault."""
        ended = await self.ended()
        failed = int(self.levers.get("syncs_failed") - self._before)
        self.expect(failed > 0 and bool(ended), f"{failed} syncs failed; {ended or 'the member goes on, which it must not'}")


class SlowDisk(DiskFault):
    """Every sync of the log takes long."""

    name = "disk-slow"
    row = 26
    verified_by = "syncs that took longer, counted where they were"
    state = "slow"

    def break_it(self) -> None:
        """See DiskFault."""
        delay_s = self.rng.choice((0.02, 0.1, 0.3, 1.0))
        self.requested = f"every fdatasync takes {delay_s * 1000:.0f} ms longer"
        self._before = self.levers.get("syncs_delayed")
        self.levers.put("sync_delay_s", delay_s)

    async def verify(self) -> None:
        """See Fault."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + ENDS_WITHIN_S
        while self.levers.get("syncs_delayed") == self._before and loop.time() < until_s:
            await self.poke()
        delayed = int(self.levers.get("syncs_delayed") - self._before)
        self.expect(delayed > 0, f"{delayed} syncs delayed")


def place_of_rot(used: bytes, rng: random.Random) -> int:
    """A byte in the second quarter of a log with no zero near it: one in padding or in the upper half of a length may do no harm."""
    low, high = len(used) // 4, len(used) // 2
    start = rng.randrange(low, high)
    offset: int
    for offset in (*range(start, high), *range(low, start)):
        if 0 not in used[offset - 8 : offset + 9]:
            return offset
    return start


class BitRot(Fault):
    """A bit of a stopped member's log changes, among records that were synced: it has to refuse to start. The bit is put back."""

    name = "bit-rot"
    row = 25
    hold_s = (0.0, 0.5)
    verified_by = "the byte on disk, and a member that refuses to start"
    state = "down"

    def __init__(self, cluster: Cluster, rng: random.Random, recorder: Recorder) -> None:
        super().__init__(cluster, rng, recorder)
        self._path = pathlib.Path()
        self._offset = -1
        self._good = b""

    async def apply(self) -> None:
        """See Fault."""
        member = await self.pick_member()
        self.target(member)
        self.cluster.kill(member)
        self._path = newest_log_file(member)
        used = self._path.read_bytes().rstrip(b"\0")
        # The last record may be torn without harm; what is before the middle was synced long ago.
        self._offset = place_of_rot(used, self.rng)
        self._good = used[self._offset : self._offset + 1]
        bit = self.rng.randrange(8)
        self.requested = f"bit {bit} of byte {self._offset} of {member.name}'s {self._path.name}"
        self._put(bytes([self._good[0] ^ 1 << bit]))
        self._log_start = member.log_size()
        self.cluster.start(member)

    async def verify(self) -> None:
        """See Fault."""
        (member,) = self.members()
        status = await self.cluster.wait_ended(member, 20.0)
        lines = member.log_text(self._log_start).splitlines()
        words = [line for line in lines if any(word in line.lower() for word in DAMAGE)]
        self.expect(
            status != 0 and bool(words), f"refused to start with {status}: {words[-1][-200:] if words else 'no word of corruption'}"
        )

    async def heal(self) -> None:
        """See Fault."""
        members = self.members()
        self.cluster.kill(*members)
        if self._offset >= 0:
            self._put(self._good)
        await self.restarted(members)

    def _put(self, byte: bytes) -> None:
        with self._path.open("r+b") as file:
            file.seek(self._offset)
            file.write(byte)


class Wipe(Fault):
    """One member loses its disk and is started under its old id: it has forgotten its votes and must not come back. Then it gets its
    disk again.
    """

    name = "wipe"
    row = 34
    members_min = 2
    hold_s = (0.0, 0.5)
    verified_by = "a member that refuses to start and says why"
    state = "down"
    # The second of a member that `member-replace` gave a new id: its command line still makes the old one.
    REFUSALS: ClassVar[tuple[str, ...]] = ("has already been bootstrapped", "has been permanently removed from the cluster")

    async def apply(self) -> None:
        """See Fault."""
        member = await self.pick_member()
        self.target(member)
        self.requested = f"{member.name} starts on an empty disk"
        self.cluster.kill(member)
        self._kept = member.folder / "kept"
        self._kept_trace = member.folder / "kept-trace"
        move_contents(member.data, self._kept)
        move_contents(member.trace, self._kept_trace)
        self._log_start = member.log_size()
        self.cluster.start(member)

    async def verify(self) -> None:
        """See Fault."""
        (member,) = self.members()
        status = await self.cluster.wait_ended(member, 20.0)
        log = member.log_text(self._log_start)
        said = next((refusal for refusal in self.REFUSALS if refusal in log), "")
        self.expect(bool(said), f"ended with {status}, " + (f"saying that it {said}" if said else f"and said:\n{member.log_tail()}"))

    async def heal(self) -> None:
        """See Fault."""
        members = self.members()
        self.cluster.kill(*members)
        for member in members:
            if self._kept.exists() and any(self._kept.iterdir()):
                member.wipe()
                move_contents(self._kept, member.data)
                move_contents(self._kept_trace, member.trace)
        await self.restarted(members)


def newest_log_file(member: MemberProcess) -> pathlib.Path:
    """The segment of the log that is written to; both servers keep theirs in `member/wal`."""
    files = [path for path in (member.data / "member" / "wal").iterdir() if path.suffix != ".tmp" and path.stat().st_size]
    used = [path for path in sorted(files) if path.read_bytes()[:1] != b"\0" or path.read_bytes().strip(b"\0")]
    return used[-1]


def move_contents(source: pathlib.Path, target: pathlib.Path) -> None:
    """Everything in a folder, which may be where a disk is mounted, or may not exist."""
    if not source.exists():
        return
    target.mkdir(exist_ok=True)
    for entry in list(source.iterdir()):
        shutil.move(str(entry), str(target / entry.name))
