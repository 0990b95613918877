"""Takes what consensus wants durable to the write-ahead log, one joined write and one sync at a time.

Hot path. At most one job is with the log's worker; everything that gathers meanwhile goes out as the next one. Held
messages leave only when the write they depend on has returned from disk (design §3, §4 rule 4). Loop only, but for the
job itself.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv.failpoints import FAILPOINTS, hit
from raftkv.raft.messages import Entry, HardState, Message, Ready
from raftkv.server.peer_codec import EntryBlobs
from raftkv.storage.raft_storage import RaftStorage
from raftkv.storage.wal import Wal, WalWrite
from raftkv.storage.worker import Worker


class Durable:
    """What one finished write makes true: its number, the entries it holds, the messages it sets free.

    `term` and `index` are those of the last entry, or of an installed snapshot, or 0.
    """

    __slots__ = ("entries", "held", "index", "term", "write_number")

    def __init__(self, write_number: int, term: int, index: int, entries: tuple[Entry, ...], held: list[Message]) -> None:
        self.write_number = write_number
        self.term = term
        self.index = index
        self.entries = entries
        self.held = held


class LogWriter:
    """Queue in front of the write-ahead log.

    Invariants: 1. jobs reach the worker in the order of write numbers, and are reported in it; 2. a held message leaves
    after every write up to its own; 3. after a failed write nothing more is written and `on_failure` was called once;
    4. between `replace` and `resume` nothing is written but the replacement.
    """

    def __init__(
        self,
        wal: Wal,
        storage: RaftStorage,
        worker: Worker,
        blobs: EntryBlobs,
        *,
        on_durable: Callable[[list[Durable]], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.wal = wal
        self._storage = storage
        self._worker = worker
        self._blobs = blobs
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._writes: list[WalWrite] = []
        self._hard_state: HardState | None = None
        self._must_sync = False
        self._reports: list[Durable] = []
        self.idle = True
        self.failed = False
        self._replacing = False

    def write(self, ready: Ready) -> None:
        """Queues a Ready's hard state and entries; `kick` sends them off."""
        term = index = 0
        if ready.entries:
            last = ready.entries[-1]
            term, index = last.term, last.index
            self._writes.append(WalWrite(self._blobs.pack(ready.entries), ready.entries[0].index, index, None))
        if ready.hard_state is not None:
            self._storage.set_hard_state(ready.hard_state)
            self._hard_state = ready.hard_state
        self._must_sync = self._must_sync or ready.must_sync
        self._reports.append(Durable(ready.write_number, term, index, ready.entries, list(ready.held)))

    def hold(self, messages: tuple[Message, ...]) -> bool:
        """Keeps messages back until every write queued so far is durable; False when none is and they may leave now."""
        if self._reports:
            self._reports[-1].held.extend(messages)
            return True
        if not self.idle or self._replacing:
            self._reports.append(Durable(0, 0, 0, (), list(messages)))
            return True
        return False

    def kick(self) -> None:
        """Starts the next job when the last one has returned and something is queued."""
        if not self.idle or not self._reports or self.failed or self._replacing:
            return
        if not self._writes and not self._must_sync:
            # A commit index alone is not worth a trip to the disk: it rides with the next write.
            reports, self._reports = self._reports, []
            self._on_durable(reports)
            return
        self._start()

    def replace(self, job: Callable[[], object], done: Callable[[], None]) -> None:
        """Runs the job that puts a snapshot in the log's place: behind all that was queued before it, and before all that
        comes later, which waits for `resume`. An entry after the snapshot means nothing to a log that still ends before it.
        """
        assert not self._replacing, "one snapshot at a time"
        if self._reports and not self.failed:
            self._start()
        self._replacing = True
        self.submit(job, done)

    def resume(self) -> None:
        """The snapshot is in place, here and in `RaftStorage`."""
        self._replacing = False

    def _start(self) -> None:
        reports, self._reports = self._reports, []
        writes, self._writes = self._writes, []
        if self._hard_state is not None:
            last = writes.pop() if writes else WalWrite(b"", 0, 0, None)
            writes.append(last._replace(hard_state=self._hard_state))
            self._hard_state = None
        self._must_sync = False
        self.idle = False
        wal = self.wal

        def job() -> None:
            if FAILPOINTS:
                hit("raftBeforeSave")
            wal.append(writes, sync=True)
            if FAILPOINTS:
                hit("raftAfterSave")

        def report(_: None, error: BaseException | None) -> None:
            self.idle = True
            try:
                if error is not None:
                    raise error
                for durable in reports:
                    if durable.entries:
                        self._storage.append(durable.entries)
            except BaseException as exc:  # Also our own faults: a member that loses a report would hang for ever.
                self.fail(exc)
                return
            self._on_durable(reports)

        self._worker.submit(job, report)

    def fail(self, error: BaseException) -> None:
        """A write failed: the member ends, nothing is retried (design §4 rule 2)."""
        if not self.failed:
            self.failed = True
            self._on_failure(error)

    def submit(self, job: Callable[[], object], done: Callable[[], None]) -> None:
        """Runs another job on the log's thread in order; an error ends the member."""

        def report(_: object, error: BaseException | None) -> None:
            try:
                if error is not None:
                    raise error
                done()
            except BaseException as exc:  # As above.
                self.fail(exc)

        self._worker.submit(job, report)
