"""One member's log disk: writes wait for a sync, syncs take virtual time, and what was not synced is lost with the power.

The model of `server/log_writer.py` above `storage/wal.py`: one sync at a time, which takes everything handed over before it
began; a batch is one record with a checksum, so of the writes under way a prefix survives and a torn record counts as none.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from jepsen_like.sim.core.store import Checkpoint
from raftkv.raft.messages import HardState, Ready

if TYPE_CHECKING:
    from jepsen_like.sim.core.member import Member

SYNC_US_MAX = 2_000_000
"""No sync takes longer."""


Write = tuple[Ready, Checkpoint | None]
"""One Ready's write on its way, with the state beside it when it installs a snapshot."""


class Disk:
    """The writes of one member. Invariants: 1. writes become durable in order; 2. at most one sync runs."""

    __slots__ = ("_random", "_start_sync", "_tail", "_tail_factor", "error_due", "fsync_us", "slow_us", "syncing", "waiting")

    def __init__(self, random: Random, *, fsync_us: int, tail: float, tail_factor: float, start_sync: Callable[[int], None]) -> None:
        self.waiting: list[Write] = []
        self.syncing: list[Write] = []
        self.fsync_us = fsync_us
        self.slow_us = 0
        """Added to every sync while the disk is slow."""
        self.error_due = False
        """The next sync fails."""
        self._random = random.random
        self._tail = tail
        self._tail_factor = tail_factor
        self._start_sync = start_sync

    @property
    def idle(self) -> bool:
        """Whether no sync runs."""
        return not self.syncing

    def write(self, ready: Ready, checkpoint: Checkpoint | None) -> None:
        """Take a write; `kick` starts its sync."""
        self.waiting.append((ready, checkpoint))

    def kick(self) -> None:
        """Start a sync of all that waits, unless one runs."""
        if self.waiting and not self.syncing:
            self.syncing, self.waiting = self.waiting, self.syncing
            draw = self._random()
            took_us = self.fsync_us * (0.5 + draw) + self.slow_us
            if draw < self._tail:
                took_us *= self._tail_factor
            self._start_sync(int(took_us) if took_us < SYNC_US_MAX else SYNC_US_MAX)

    def take_synced(self) -> list[Write]:
        """The writes whose sync returned."""
        synced, self.syncing = self.syncing, []
        return synced

    def lose(self, random: Random, *, power: bool) -> tuple[list[Write], int]:
        """The member ended: returns the writes that will be found again, and how many are gone.

        Without a power cut the system still holds what was handed to it; with one, a prefix of it reached the disk.
        """
        pending = self.syncing + self.waiting
        kept = len(self.syncing)
        if power:
            kept = random.choice((0, 0, random.randint(0, kept)))
        elif random.random() < 0.5:
            kept = random.randint(0, kept)
        self.syncing = []
        self.waiting = []
        self.error_due = False
        return pending[:kept], len(pending) - kept


def to_disk(member: Member, write: Write) -> None:
    """Make one write part of what a crash leaves: the log, and with a snapshot the store."""
    ready, checkpoint = write
    storage = member.storage
    before: HardState = storage.hard_state
    storage.write(ready.hard_state, ready.snapshot, ready.entries)
    if ready.snapshot is not None:
        assert checkpoint is not None, "a snapshot was taken whose state never arrived"
        member.keep(checkpoint)
        member.states = {checkpoint.index: checkpoint}
    member.invariants.on_durable(member, before, storage.hard_state)
