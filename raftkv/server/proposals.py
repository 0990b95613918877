"""Writes on their way: queued for the log, or proposed and waiting to be applied here.

Hot path. A proposal is sent once (design §4 rule 13): what left the queue is never queued again, and when its fate is not
known in time the caller gets an IndeterminateError. Loop only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from raftkv.errors import (
    DeadlineExceededError,
    LeaderChangedError,
    RequestTooLargeError,
    RequestTooManyRequestsError,
    StoppedError,
    TimeoutDueToLeaderFailError,
    TimeoutError,
    UnavailableError,
)
from raftkv.state.requests import OwnRequest, RequestKind, encode, encode_own

Completion = Callable[[tuple[int, bytes] | None, Exception | None], None]

WAITING_MAX = 50_000
"""Proposals under way at one member; beyond it a write is refused with `too many requests`."""

BATCH_ENTRIES_MAX = 1024
"""Entries proposed in one turn, so that a turn and a log write stay short."""

BATCH_BYTES_MAX = 1 << 20
"""Bytes proposed in one turn; one entry may be larger."""

ENVELOPE_BYTES_MAX = 20
"""The longest of what `envelope_bytes` counts."""


class RequestIds:
    """Ids unique across members and restarts: 16 bits of the member, 40 of milliseconds, 8 of count (etcd's idutil)."""

    __slots__ = ("_next",)

    def __init__(self, member_id: int, wall_ms: int) -> None:
        self._next = (member_id & 0xFFFF) << 48 | (wall_ms & 0xFF_FFFF_FFFF) << 8

    def take(self) -> int:
        """The next id; never 0."""
        self._next += 1
        return self._next


def envelope_bytes(request_id: int, size_bytes: int) -> int:
    """What etcd's log wraps around a request of that size: two tags of 2 and 1 bytes, the id under a tag of its own, two lengths.

    It counts against etcd's limit of a request, so it counts here, though our log wraps requests otherwise.
    """
    return 5 + _varint_bytes(request_id) + _varint_bytes(size_bytes)


def _varint_bytes(number: int) -> int:
    return max(1, (number.bit_length() + 6) // 7)


class Proposals:
    """Queue and waiting table.

    Invariants: 1. every id in the queue is in `waiting` or was timed out; 2. each `done` is called exactly once;
    3. `waiting` is in order of ids, so of age.
    """

    __slots__ = (
        "_horizons",
        "_ids",
        "_lost_leader_id",
        "_sent",
        "_timeout_s",
        "_unsure_id",
        "_wake",
        "bytes_max",
        "failed_total",
        "queue",
        "waiting",
    )

    def __init__(self, ids: RequestIds, *, timeout_s: float, bytes_max: int, wake: Callable[[], None]) -> None:
        self._ids = ids
        self._timeout_s = timeout_s
        self._wake = wake
        self.bytes_max = bytes_max
        self.queue: list[tuple[int, bytes]] = []
        self.waiting: dict[int, tuple[Completion, Any]] = {}
        self._horizons: deque[tuple[float, int]] = deque()
        self._lost_leader_id = 0
        self._sent: deque[tuple[int, int]] = deque()
        self._unsure_id = 0
        self.failed_total = 0

    def submit(self, kind: RequestKind, raw: bytes, request: Any, done: Completion) -> None:
        """Queues a write. `request` is its decoded form, handed to apply when the entry comes back."""
        request_id = self._ids.take()
        size_bytes = len(raw)
        if size_bytes + ENVELOPE_BYTES_MAX > self.bytes_max and size_bytes + envelope_bytes(request_id, size_bytes) > self.bytes_max:
            raise RequestTooLargeError
        if len(self.waiting) >= WAITING_MAX:
            raise RequestTooManyRequestsError
        self.waiting[request_id] = (done, request)
        self.queue.append((request_id, encode(kind, request_id, raw)))
        self._wake()

    def submit_own(self, request: OwnRequest, done: Completion) -> None:
        """A write of the member's own making: not limited in number."""
        request_id = self._ids.take()
        self.waiting[request_id] = (done, request)
        self.queue.append((request_id, encode_own(request, request_id)))
        self._wake()

    def peek_batch(self) -> list[bytes]:
        """The data of the oldest queued proposals, within the batch bounds; empty when nothing is queued."""
        batch: list[bytes] = []
        size_bytes = 0
        for _, data in self.queue:
            size_bytes += len(data)
            if batch and (len(batch) >= BATCH_ENTRIES_MAX or size_bytes > BATCH_BYTES_MAX):
                break
            batch.append(data)
        return batch

    def drop_batch(self, count: int, term: int) -> None:
        """The oldest `count` were proposed in the term and must never be again."""
        last_id = self.queue[count - 1][0]
        if self._sent and self._sent[-1][0] == term:
            self._sent[-1] = (term, last_id)
        else:
            self._sent.append((term, last_id))
        del self.queue[:count]

    def term_applied(self, term: int) -> None:
        """Entries up to one of this term are applied here: what was sent in an earlier term and did not come back never will.

        A proposal enters a log only in the term it was sent in, and behind a committed entry no log that counts has one of a lower
        term. So the callers need not wait for their deadlines when a leader is lost, or took nothing while it handed over.
        """
        horizon = 0
        while self._sent and self._sent[0][0] < term:
            horizon = self._sent.popleft()[1]
        if horizon <= self._unsure_id:
            return
        lost = []
        for request_id in self.waiting:
            if request_id > horizon:
                break
            if request_id > self._unsure_id:
                lost.append(request_id)
        self.failed_total += len(lost)
        for request_id in lost:
            # etcd's text, but not its class: of these it is known that they never took effect.
            self.waiting.pop(request_id)[0](None, UnavailableError(LeaderChangedError.text))

    def state_replaced(self) -> None:
        """A received snapshot holds entries that were never applied here one by one; what is under way may be among them."""
        self._sent.clear()
        self._unsure_id = self._ids.take()

    def new_request_id(self) -> int:
        """An id for something else than a proposal, such as a lease the server names."""
        return self._ids.take()

    def leader_lost(self) -> None:
        """The leader that has the proposals under way is gone; those that time out say so."""
        self._lost_leader_id = next(reversed(self.waiting), 0)

    def expire(self, now_s: float) -> None:
        """Ends what has waited longer than the timeout. Called once a tick."""
        self._horizons.append((now_s + self._timeout_s, self._ids.take()))
        horizon = 0
        while self._horizons and self._horizons[0][0] <= now_s:
            horizon = self._horizons.popleft()[1]
        if not horizon:
            return
        overdue = []
        for request_id in self.waiting:
            if request_id >= horizon:
                break
            overdue.append(request_id)
        if not overdue:
            return
        queued = {request_id for request_id, _ in self.queue}
        self.queue[:] = [item for item in self.queue if item[0] >= horizon]
        self.failed_total += len(overdue)
        for request_id in overdue:
            done, _ = self.waiting.pop(request_id)
            if request_id in queued:
                done(None, DeadlineExceededError())
            elif request_id <= self._lost_leader_id:
                done(None, TimeoutDueToLeaderFailError())
            else:
                done(None, TimeoutError())

    def stop(self) -> None:
        """Ends everything: what is still queued had no effect, the rest may have one."""
        waiting, self.waiting = self.waiting, {}
        queued = {request_id for request_id, _ in self.queue}
        self.queue.clear()
        for request_id, (done, _) in waiting.items():
            done(None, StoppedError() if request_id in queued else TimeoutError())
