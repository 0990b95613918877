"""Commits applied changes to the store on its own thread.

A commit starts when enough has gathered or the interval has passed, never while one runs. Sealing happens between two
applied batches, so each commit carries the applied index of exactly the changes in it (design §4 rule 5). Loop only, but
for the commit itself.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv.failpoints import FAILPOINTS, hit
from raftkv.storage.backend import Backend
from raftkv.storage.buffer import BufferedTables
from raftkv.storage.worker import Worker


class StoreWriter:
    """Invariant: `durable_index` ≤ the index applied when the newest returned commit was sealed."""

    def __init__(
        self,
        backend: Backend,
        tables: BufferedTables,
        worker: Worker,
        *,
        interval_s: float,
        records_max: int,
        durable_index: int,
        on_failure: Callable[[BaseException], None],
        observe_s: Callable[[float], None] | None = None,
        now_s: Callable[[], float],
    ) -> None:
        self.backend = backend
        self.tables = tables
        self._worker = worker
        self._interval_s = interval_s
        self._records_max = records_max
        self.durable_index = durable_index
        self._on_failure = on_failure
        self._observe_s = observe_s
        self._now_s = now_s
        self._last_s = now_s()
        self._busy = False
        self._failed = False
        self._waiters: list[tuple[int, Callable[[], object]]] = []
        self._flushes: list[tuple[int, Callable[[], object]]] = []
        """By the number of commits after which each is due."""
        self.commits_total = 0

    def maybe_commit(self, applied: int, *, force: bool = False) -> bool:
        """Starts a commit if one is due; True when one was started."""
        if self._busy or self._failed:
            return False
        pending = self.tables.pending_records
        if not pending:
            return False
        now_s = self._now_s()
        if not force and pending < self._records_max and now_s - self._last_s < self._interval_s and not (self._waiters or self._flushes):
            return False
        tables = self.tables
        batches = tables.seal()
        if not batches:
            self._release_flushes(all_written=True)
            return False
        self._busy = True
        self._last_s = now_s
        backend = self.backend

        def job() -> None:
            if FAILPOINTS:
                hit("beforeCommit")
            backend.commit(batches)
            if FAILPOINTS:
                hit("afterCommit")

        def report(_: None, error: BaseException | None) -> None:
            self._busy = False
            try:
                if error is not None:
                    raise error
                self.commits_total += 1
                self.durable_index = max(self.durable_index, applied)
                if FAILPOINTS:
                    hit("beforeWritebackBuf")
                tables.committed(batches)
                if FAILPOINTS:
                    hit("afterWritebackBuf")
                if self._observe_s is not None:
                    self._observe_s(self._now_s() - now_s)
                self._release()
            except BaseException as exc:  # Also our own faults: nobody else would hear of them.
                self._failed = True
                self._on_failure(exc)

        self._worker.submit(job, report)
        return True

    def when_durable(self, index: int, callback: Callable[[], object]) -> None:
        """Calls back on the loop once the store is durable at `index` or above; hurries the next commit."""
        self._waiters.append((index, callback))
        self._release()

    def when_written(self, callback: Callable[[], object]) -> None:
        """Calls back on the loop once every change made so far is in the store's file, also those that no log index tells of, as what a
        compaction removed; hurries the next commit.
        """
        self._flushes.append((self.commits_total + self._busy + (self.tables.pending_records > 0), callback))
        self._release_flushes()

    def _release_flushes(self, *, all_written: bool = False) -> None:
        due = [callback for commits, callback in self._flushes if all_written or commits <= self.commits_total]
        if due:
            self._flushes = [] if all_written else [item for item in self._flushes if item[0] > self.commits_total]
            for callback in due:
                callback()

    def _release(self) -> None:
        self._release_flushes()
        ready = [callback for index, callback in self._waiters if index <= self.durable_index]
        if ready:
            self._waiters = [item for item in self._waiters if item[0] > self.durable_index]
            for callback in ready:
                callback()

    @property
    def busy(self) -> bool:
        """True while a commit is with the worker."""
        return self._busy

    def suspend(self) -> None:
        """The store is about to be replaced: no commit starts until `replace`. Only while none runs."""
        assert not self._busy, "the store was taken away under a running commit"
        self._busy = True

    def replace(self, backend: Backend, tables: BufferedTables, durable_index: int) -> None:
        """A received snapshot took the store's place. Only while no commit runs."""
        self._busy = False
        self.backend, self.tables, self.durable_index = backend, tables, durable_index
        self._release_flushes(all_written=True)
        self._release()
