"""Linearizable reads: batched through the read index, served when the applied index has caught up.

Hot path. A read joins only a round that starts after it arrived; a round's context is (term, counter), unique for the
process's life and never used again by a retry (design §4 rule 11; thesis §6.4). Loop only.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from raftkv.errors import (
    RequestTooManyRequestsError,
    StoppedError,
    TimeoutError,
)
from raftkv.raft.messages import ReadState

Serve = Callable[[Exception | None], None]
"""Called exactly once: with None when the read may be served from local state now, else with the reason it may not."""

WAITING_MAX = 100_000
"""Reads waiting at one member; beyond it a read is refused with `too many requests`."""

RETRY_S = 0.5
"""A round unanswered for this long is asked again under a new context, as etcd does."""

_CONTEXT = struct.Struct(">QQ")


class _Round:
    __slots__ = ("asked_s", "contexts", "reads", "started_s")

    def __init__(self, reads: list[Serve], now_s: float) -> None:
        self.reads = reads
        self.started_s = now_s
        self.asked_s = now_s
        self.contexts: list[bytes] = []


class _Confirmed(NamedTuple):
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    reads: list[Serve]


class Reads:
    """Waiting reads.

    Invariants: 1. at most one round is under way; 2. a read is in exactly one of waiting, the round, confirmed;
    3. every read's callable is called exactly once.
    """

    __slots__ = (
        "_confirmed",
        "_counter",
        "_round",
        "_stopped",
        "_timeout_s",
        "_wake",
        "is_unasked",
        "retries_total",
        "slow_total",
        "waiting",
    )

    def __init__(self, *, timeout_s: float, wake: Callable[[], None], first_context: int = 0) -> None:
        """`first_context` must be above every counter an earlier process of this member used."""
        self._timeout_s = timeout_s
        self._wake = wake
        self.waiting: list[Serve] = []
        self._round: _Round | None = None
        self._confirmed: deque[_Confirmed] = deque()
        self._counter = first_context
        self._stopped = False
        self.is_unasked = False
        """The round under way was not asked of the leader there is now."""
        self.retries_total = 0
        self.slow_total = 0

    def submit(self, serve: Serve) -> None:
        """Joins the next round. Raises RequestTooManyRequestsError, StoppedError."""
        if self._stopped:
            raise StoppedError
        waiting = self.waiting
        if len(waiting) >= WAITING_MAX:
            raise RequestTooManyRequestsError
        waiting.append(serve)
        if len(waiting) == 1:
            self._wake()

    def start_round(self, term: int, now_s: float) -> bytes | None:
        """Context of a new round with everything waiting, or None when one is under way or nothing waits."""
        if self._round is not None or not self.waiting:
            return None
        reads, self.waiting = self.waiting, []
        self._round = _Round(reads, now_s)
        return self._new_context(term)

    def answered(self, states: tuple[ReadState, ...]) -> None:
        """Consensus confirmed rounds; contexts that are not the current round's are of abandoned ones and are dropped."""
        for state in states:
            if self._round is not None and state.context in self._round.contexts:
                self._confirmed.append(_Confirmed(state.index, self._round.reads))
                self._round = None

    def is_due(self, applied: int) -> bool:
        """True when `take_ready` would return something at this applied index."""
        return bool(self._confirmed) and self._confirmed[0].index <= applied

    def take_ready(self, applied: int) -> list[Serve]:
        """Reads that may be served at this applied index."""
        confirmed = self._confirmed
        if not confirmed or confirmed[0].index > applied:
            return []
        ready: list[Serve] = []
        while confirmed and confirmed[0].index <= applied:
            ready.extend(confirmed.popleft().reads)
        return ready

    def retry(self, term: int, now_s: float) -> bytes | None:
        """Once a tick: times the round out, or returns a fresh context to ask it again with."""
        current = self._round
        if current is None:
            return None
        if now_s - current.started_s >= self._timeout_s:
            self._round = None
            self.slow_total += 1
            for serve in current.reads:
                serve(TimeoutError())
            self._wake()
            return None
        if now_s - current.asked_s < RETRY_S:
            return None
        current.asked_s = now_s
        self.retries_total += 1
        return self._new_context(term)

    def leader_changed(self, *, known: bool) -> None:
        """The round asked of an earlier leader cannot be answered; with a new leader it is asked again."""
        self.is_unasked = known and self._round is not None

    def take_unasked(self, term: int, now_s: float) -> bytes | None:
        """A fresh context for a round that the present leader was not asked, if there is one."""
        is_unasked, self.is_unasked = self.is_unasked, False
        if self._round is None or not is_unasked:
            return None
        self._round.asked_s = now_s
        self.retries_total += 1
        return self._new_context(term)

    def stop(self) -> None:
        """Ends every read; none is taken any more."""
        self._stopped = True
        groups = [self.waiting, *(group.reads for group in self._confirmed)]
        if self._round is not None:
            groups.append(self._round.reads)
        self.waiting, self._round = [], None
        self._confirmed.clear()
        for reads in groups:
            for serve in reads:
                serve(StoppedError())

    def _new_context(self, term: int) -> bytes:
        self._counter += 1
        context = _CONTEXT.pack(term, self._counter)
        assert self._round is not None
        self._round.contexts.append(context)
        return context
