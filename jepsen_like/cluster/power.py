"""SEAM. Disks whose power can be cut: what a member had not synced is lost, the names of files too.

`TracedPower` needs no privileges and loses more kinds of things than a disk does, on a store that is not the shipped one;
`LoopPower` is ext4 on a loop device, with everything as shipped, and needs root.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from typing import Protocol

from jepsen_like.cluster import loop_disk
from jepsen_like.cluster.instrumented.traced_files import Cut, Loss, cut_power
from jepsen_like.cluster.loop_disk import LoopDisk
from jepsen_like.cluster.member import MemberProcess

LOOP_DISK_BYTES = 512 << 20


class Power(Protocol):
    """The disks of one cluster."""

    @property
    def name(self) -> str:
        """Of the kind."""

    def options(self, member: MemberProcess) -> list[str]:
        """For the instrumented member's command line."""

    def cut(self, members: Sequence[MemberProcess], rng: random.Random) -> str:
        """Takes from these members' disks what was not synced, and ends their processes; says what was lost. They may be started."""

    def close(self) -> None:
        """Gives the disks back. Idempotent; nothing runs on them."""


class TracedPower:
    """Files that remember what was synced. Loses any part of the rest: all, a torn tail, single sectors; and names."""

    name = "traced files"

    def __init__(self) -> None:
        self.honest = True
        """False for members that claim syncs which they do not do."""

    def options(self, member: MemberProcess) -> list[str]:
        """See Power."""
        return [f"--trace={member.trace}", *([] if self.honest else ["--no-sync"])]

    def cut(self, members: Sequence[MemberProcess], rng: random.Random) -> str:
        """See Power."""
        lost = self.take(members, rng)
        return f"{lost.bytes} unsynced bytes in {lost.files} files cut off, {lost.names} changes of names undone"

    def take(self, members: Sequence[MemberProcess], rng: random.Random, losses: tuple[Loss, ...] = tuple(Loss)) -> Cut:
        """`cut`, with a choice of what is lost."""
        _end(members)
        cuts = [cut_power(member.trace, member.data, rng, losses) for member in members]
        return Cut(sum(cut.files for cut in cuts), sum(cut.bytes for cut in cuts), sum(cut.names for cut in cuts))

    def close(self) -> None:
        """See Power."""


class LoopPower:
    """An ext4 per member, stopped by its shutdown ioctl: page cache, journal and store as in production."""

    name = "ext4"

    def __init__(self, members: Iterable[MemberProcess]) -> None:
        self._disks: dict[str, LoopDisk] = {}
        loop_disk.clear_leftovers()
        try:
            for member in members:
                self._disks[member.name] = LoopDisk(member.folder / loop_disk.image_name(), member.data, size_bytes=LOOP_DISK_BYTES)
        except BaseException:
            self.close()
            raise

    def options(self, member: MemberProcess) -> list[str]:
        """See Power."""
        return []

    def cut(self, members: Sequence[MemberProcess], rng: random.Random) -> str:
        """See Power; a marker that was written and not synced shows that something was lost."""
        markers = [member.data / f"unsynced-{rng.getrandbits(32):08x}" for member in members]
        for marker in markers:
            marker.write_bytes(b"x" * 4096)
        self._cut(members)
        kept = sum(marker.exists() and marker.stat().st_size > 0 for marker in markers)
        for marker in markers:
            marker.unlink(missing_ok=True)
        return f"{len(markers) - kept} of {len(markers)} unsynced markers lost"

    def cut_after_rename(self, members: Sequence[MemberProcess], rng: random.Random) -> int:
        """`cut`, just after a durable file of each member's disk was renamed; how many are still found under the new name."""
        pairs = []
        for member in members:
            old = member.data / f"old-{rng.getrandbits(32):08x}"
            old.write_bytes(b"x" * 4096)
            os.sync()
            pairs.append((old, old.rename(member.data / old.name.replace("old", "new"))))
        self._cut(members)
        kept = sum(new.exists() for _, new in pairs)
        for pair in pairs:
            for path in pair:
                path.unlink(missing_ok=True)
        return kept

    def _cut(self, members: Sequence[MemberProcess]) -> None:
        disks = [self._disks[member.name] for member in members]
        for disk in disks:
            disk.cut_power()
        _end(members)
        for disk in disks:
            disk.unmount()
            disk.mount()

    def close(self) -> None:
        """See Power."""
        for disk in self._disks.values():
            disk.close()


def _end(members: Sequence[MemberProcess]) -> None:
    for member in members:
        member.kill()
