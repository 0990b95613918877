"""Removes compacted revisions from the store in slices, with pauses in between so that requests go first.

The logical mark is set when the entry is applied; this is the slow part behind it. An interrupted compaction is resumed
at the next start from the marks in the store. Loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from raftkv.failpoints import FAILPOINTS, hit
from raftkv.mvcc.compaction import Compaction
from raftkv.server.store_writer import StoreWriter

log = logging.getLogger("raftkv.mvcc")


SLICE_MAX = 250
"""Revisions in one slice: about a millisecond."""


class Compactor:
    """Invariant: at most one slice is due at a time."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        compaction: Callable[[], Compaction],
        writer: Callable[[], StoreWriter],
        applied: Callable[[], int],
        *,
        batch_limit: int,
        pause_s: float,
        guarded: Callable[[Callable[[], object]], None],
    ) -> None:
        """`guarded` runs a slice and ends the member with what it raises."""
        self._loop = loop
        self._compaction = compaction
        self._writer = writer
        self._applied = applied
        self._batch_limit = batch_limit
        self._pause_s = pause_s
        self._guarded = guarded
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: list[Callable[[], None]] = []
        self._stopped = False
        self.finished_total = 0

    def kick(self) -> None:
        """A compaction may have become due: after applying, and after a start."""
        if self._timer is None and not self._stopped and self._compaction().is_active:
            self._timer = self._loop.call_later(0, self._guarded, self._slice)

    def when_done(self, callback: Callable[[], None]) -> None:
        """Calls back once nothing compacted is left on disk."""
        self._waiters.append(callback)
        self.kick()
        if self._timer is None:
            self._release()

    def _slice(self) -> None:
        self._timer = None
        if self._stopped:
            return
        limit = min(self._batch_limit, SLICE_MAX)
        if self._compaction().step(limit):
            if FAILPOINTS:
                hit("compactAfterCommitBatch")
            # The pause belongs to a whole batch; smaller slices share it.
            self._timer = self._loop.call_later(self._pause_s * limit / self._batch_limit, self._guarded, self._slice)
            return
        self.finished_total += 1
        log.info("finished scheduled compaction")
        self._release()

    def _release(self) -> None:
        waiters, self._waiters = self._waiters, []
        for callback in waiters:
            self._writer().when_durable(self._applied(), callback)

    def stop(self) -> None:
        """No slice runs after this."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
