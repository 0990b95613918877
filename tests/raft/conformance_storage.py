"""Implementations of `raft.storage.Storage` under one set of rules: tests/raft/test_storage_conformance.py.

An implementation joins by a `StorageCase` in `CASES`; its own package's tests may also add one and run the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from raftkv.raft.storage import MemoryStorage, Storage


class Writable(Protocol):
    """What the suite needs beside reading: to do what a driver does with a Ready, and to cut the log."""

    @property
    def storage(self) -> Storage:
        """The implementation under test."""

    def write(self, hard_state: HardState | None, snapshot: SnapshotMeta | None, entries: Sequence[Entry]) -> None:
        """Makes one Ready's write durable and readable."""

    def make_snapshot(self, index: int, conf_state: ConfState) -> None:
        """Makes a snapshot at `index` the newest."""

    def compact(self, index: int) -> None:
        """Cuts entries up to and including `index`, below the snapshot."""


@dataclass(frozen=True)
class StorageCase:
    """One implementation: its name, and a context that makes an empty log with a configuration."""

    name: str
    open: Callable[[ConfState], AbstractContextManager[Writable]]


class _MemoryWritable:
    def __init__(self, conf_state: ConfState) -> None:
        self.storage = MemoryStorage(conf_state)

    def write(self, hard_state: HardState | None, snapshot: SnapshotMeta | None, entries: Sequence[Entry]) -> None:
        self.storage.write(hard_state, snapshot, entries)
        self.storage.check_invariants()

    def make_snapshot(self, index: int, conf_state: ConfState) -> None:
        self.storage.make_snapshot(index, conf_state)

    def compact(self, index: int) -> None:
        self.storage.compact(index)
        self.storage.check_invariants()


@contextmanager
def _open_memory(conf_state: ConfState) -> Iterator[Writable]:
    yield _MemoryWritable(conf_state)


CASES: list[StorageCase] = [StorageCase("memory", _open_memory)]
