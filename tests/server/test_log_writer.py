"""The order in which the log is written and reported when a received snapshot takes its place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from raftkv.raft.messages import ConfState, Entry, HardState, Ready, SnapshotMeta
from raftkv.server.log_writer import Durable, LogWriter
from raftkv.server.peer_codec import EntryBlobs
from raftkv.storage.memory_fs import MemoryFileSystem
from raftkv.storage.raft_storage import RaftStorage
from raftkv.storage.record import WalMetadata
from raftkv.storage.recovery import open_log
from raftkv.storage.wal import Wal
from raftkv.storage.worker import InlineWorker


class Writer:
    """A LogWriter on a log in memory, whose reports arrive when `report` says so."""

    def __init__(self) -> None:
        self.fs = MemoryFileSystem()
        Wal.create(self.fs, "/wal", WalMetadata(1, 1)).close()
        recovered = open_log(self.fs, "/wal")
        self.storage = RaftStorage(recovered)
        self.durable: list[int] = []
        self.failures: list[BaseException] = []
        self._posted: deque[Callable[[], None]] = deque()
        self.writer = LogWriter(
            recovered.wal,
            self.storage,
            InlineWorker("wal", self._posted.append),
            EntryBlobs(),
            on_durable=self._on_durable,
            on_failure=self.failures.append,
        )

    def _on_durable(self, reports: list[Durable]) -> None:
        self.durable += [report.write_number for report in reports]

    def write(self, number: int, *indexes: int) -> None:
        """Queues entries of term 1."""
        entries = tuple(Entry(1, index, 0, b"entry %d" % index) for index in indexes)
        self.writer.write(Ready(number, HardState(1, 0, 0), entries, None, (), (), (), (), None, True))
        self.writer.kick()

    def report(self) -> None:
        """Delivers what the log's thread has finished, as the loop does."""
        while self._posted:
            self._posted.popleft()()
        self.writer.kick()


META = SnapshotMeta(100, 1, ConfState(voters=(1,)))


def test_entries_behind_a_snapshot_wait_until_it_is_in_place():
    """They mean nothing to a log that still ends before it: appending them would leave a gap."""
    log = Writer()
    log.write(1, 1)
    log.report()
    log.writer.replace(lambda: log.writer.wal.mark_snapshot(META, installed=True), lambda: None)
    log.write(3, 101)
    log.report()
    assert log.durable == [1] and not log.failures
    log.storage.apply_snapshot(META)
    log.writer.resume()
    log.report()
    log.report()
    assert log.durable == [1, 3] and not log.failures
    assert log.storage.last_index() == 101


def test_writes_queued_before_a_snapshot_reach_the_log_before_its_mark():
    """Behind the mark they would count, and the log would end with them after a restart."""
    log = Writer()
    log.write(1, 1)
    log.write(2, 2)
    log.writer.replace(lambda: log.writer.wal.mark_snapshot(META, installed=True), lambda: None)
    log.report()
    assert log.durable == [1, 2]
    log.writer.wal.close()
    recovered = open_log(log.fs, "/wal")
    assert recovered.last_index == 100 and recovered.snapshot == META


def test_report_that_cannot_be_taken_ends_the_member():
    """A fault of our own in a callback of the loop would otherwise only be logged, and the member hang for ever."""
    log = Writer()
    log.writer.replace(lambda: log.writer.wal.mark_snapshot(META, installed=True), lambda: None)
    log.report()
    log.writer.resume()
    log.write(2, 101)
    log.report()
    assert len(log.failures) == 1 and isinstance(log.failures[0], AssertionError)
    assert log.durable == []
