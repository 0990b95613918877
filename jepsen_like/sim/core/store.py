"""The replicated state machine of the core simulation: a few keys with revisions, and checkpoints of them.

A put's data is one byte of key and the operation's number; each put is one revision. Same log, same state: `digest` chains
what was applied, so that two members can be compared in one step.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from raftkv.raft.messages import ConfState, Entry

_new = tuple.__new__


class Item(NamedTuple):
    """What a key holds."""

    data: bytes
    revision: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls


class Checkpoint(NamedTuple):
    """A store as of one index: what a member restarts from, and what travels beside a snapshot."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    revision: int
    digest: int
    items: dict[bytes, Item]
    conf: ConfState


class Store:
    """One member's keys. Invariants: 1. entries are applied in order without a gap; 2. a put raises the revision by one."""

    __slots__ = ("applied", "conf", "digest", "items", "revision")

    def __init__(self, conf: ConfState) -> None:
        self.items: dict[bytes, Item] = {}
        self.applied = 0
        self.revision = 0
        self.digest = 0
        self.conf = conf

    def apply(self, entry: Entry) -> None:
        """Take the next entry in. A change's configuration is set by the caller, who learns it from consensus."""
        index = entry.index
        assert index == self.applied + 1, f"index {index} was applied after {self.applied}"
        self.applied = index
        data = entry.data
        if data and entry.kind == 0:
            self.revision += 1
            self.digest = crc32(data, self.digest)
            self.items[data[:1]] = _new(Item, (data, self.revision, index))

    def checkpoint(self) -> Checkpoint:
        """A copy of the present state."""
        return Checkpoint(self.applied, self.revision, self.digest, dict(self.items), self.conf)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Stand where the checkpoint stood."""
        self.applied, self.revision, self.digest, items, self.conf = checkpoint
        self.items = dict(items)
