"""The rules of `raft.storage.Storage` on the real log, with a window so small that nearly every read goes to the disk."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raftkv.raft.messages import ConfState, Entry, HardState, SnapshotMeta
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.raft_storage import RaftStorage
from tests.raft.test_storage_conformance import *  # noqa: F403  # the suite; `log` below takes the place of its fixture
from tests.raft.test_storage_conformance import CONF
from tests.storage.logs import create, reopen
from tests.storage.logs import write as wal_write


class LogOnDisk:
    """Does what a driver does with a Ready: durable first, then readable."""

    def __init__(self, conf_state: ConfState, window_bytes: int) -> None:
        fs = MemoryFileSystem()
        create(fs).close()
        recovered = reopen(fs)
        self.wal = recovered.wal
        self.storage = RaftStorage(recovered, conf_state=conf_state, window_bytes=window_bytes)

    def write(self, hard_state: HardState | None, snapshot: SnapshotMeta | None, entries: Sequence[Entry]) -> None:
        if snapshot is not None:
            newest = hard_state or self.wal.hard_state
            state = newest._replace(term=max(newest.term, snapshot.term))
            self.wal.mark_snapshot(snapshot, hard_state=state, installed=True)
            self.storage.apply_snapshot(snapshot)
        if entries or hard_state:
            self.wal.append([wal_write(entries, hard_state)], sync=True)
        self.storage.append(tuple(entries))
        if hard_state is not None:
            self.storage.set_hard_state(hard_state)

    def make_snapshot(self, index: int, conf_state: ConfState) -> None:
        term = self.storage.term(index)
        meta = SnapshotMeta(index, term, conf_state)
        state = self.wal.hard_state
        self.wal.mark_snapshot(meta, hard_state=state._replace(term=max(state.term, term)))
        self.storage.set_snapshot(meta)

    def compact(self, index: int) -> None:
        self.storage.compact(index)
        self.wal.purge(index)


@pytest.fixture(params=[0, 1 << 20], ids=["from disk", "from memory"])
def log(request):
    return LogOnDisk(CONF, request.param)
