"""One watcher's place in a collection: a bounded buffer between the cache, which never waits, and a reader, which may.

Hot path: `offer` runs per watcher and event.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from resource_api.cache.item import Event
from resource_api.errors import StatusError

Select = Callable[[Event], "Event | None"]
"""What a watcher is told of an event, if anything. Raises StatusError when that cannot be found out."""

REPLAY_SLICE = 256
"""Events of the past that are looked at in one turn."""

TAKEN_BYTES_MAX = 1 << 20
"""What is handed over at once, about: it is out of the buffer's count while a slow client takes it. An event alone may be larger."""


class Subscription:
    """Invariants: 1. revisions ascend, and none up to `after_revision` is delivered; 2. nothing is delivered after the end; 3. what is
    delivered has no gap: a buffer that overflows ends the subscription behind what it holds; 4. `waiting_bytes` is the size of the states
    the buffered events tell. The states before them are not counted: those are mostly the events' before, and shared."""

    __slots__ = (
        "_after",
        "_buffer",
        "_bytes_max",
        "_events_max",
        "_past",
        "_replayed",
        "_select",
        "_waiter",
        "error",
        "is_over",
        "scope",
        "waiting_bytes",
    )

    def __init__(
        self, scope: str, select: Select | None, *, after_revision: int, past: Sequence[Event], events_max: int, bytes_max: int
    ) -> None:
        self.scope = scope
        self._select = select
        self._after = after_revision
        self._past = past
        self._replayed = 0
        self._buffer: deque[Event] = deque()
        self._events_max = events_max
        self._bytes_max = bytes_max
        self.waiting_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self.is_over = False
        """No more is coming than what is buffered."""
        self.error: StatusError | None = None
        """Why it ended, if not cleanly."""

    def offer(self, event: Event) -> None:
        """From the cache: one more change within the scope."""
        if event.revision <= self._after or self.is_over:
            return
        selected = self._selected(event)
        if selected is None:
            return
        buffer = self._buffer
        waiting_bytes = self.waiting_bytes + selected.item.size_bytes
        is_full = len(buffer) >= self._events_max or waiting_bytes > self._bytes_max
        if is_full and buffer and buffer[0].revision < event.revision:
            # A revision is told whole or not at all, for the client resumes after it; one alone is told whatever its size.
            while buffer[-1].revision == event.revision:
                self.waiting_bytes -= buffer.pop().item.size_bytes
            self.end()
            return
        buffer.append(selected)
        self.waiting_bytes = waiting_bytes
        if self._waiter is not None:
            self.wake()

    def end(self, error: StatusError | None = None) -> None:
        """No more; what is buffered is still delivered. Idempotent."""
        if not self.is_over:
            self.is_over = True
            self.error = error
            self.wake()

    def wake(self) -> None:
        """Has the one who waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take_nowait(self) -> list[Event]:
        """What there is, up to so many bytes; of the past no more than a slice at once."""
        if self._replayed < len(self._past):
            return self._replay()
        buffer = self._buffer
        if self.waiting_bytes <= TAKEN_BYTES_MAX:
            taken = list(buffer)
            buffer.clear()
            self.waiting_bytes = 0
            return taken
        taken, least_bytes = [], self.waiting_bytes - TAKEN_BYTES_MAX
        while self.waiting_bytes > least_bytes:
            event = buffer.popleft()
            self.waiting_bytes -= event.item.size_bytes
            taken.append(event)
        return taken

    @property
    def is_drained(self) -> bool:
        """Everything known so far was taken."""
        return not self._buffer and self._replayed >= len(self._past)

    async def wait(self) -> None:
        """Until there is something to take, the end, or `wake`."""
        if self._buffer or self.is_over or self._replayed < len(self._past):
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _replay(self) -> list[Event]:
        until = self._replayed + REPLAY_SLICE
        past, self._replayed = self._past[self._replayed : until], until
        if until >= len(self._past):
            self._past, self._replayed = (), 0
        inside = self.scope
        found = []
        for event in past:
            if event.revision > self._after and event.item.key.startswith(inside):
                selected = self._selected(event)
                if self.error is not None:
                    break
                if selected is not None:
                    found.append(selected)
        return found

    def _selected(self, event: Event) -> Event | None:
        if self._select is None:
            return event
        try:
            return self._select(event)
        except StatusError as error:
            self.end(error)
            self._past = ()
            return None
