"""The last events of a collection: what a watch that begins at an old version is told first.

Bounded three ways: events older than `fresh_s` go when there are more than the least number, never more than the most stay, nor more than
so many bytes. Pure; the cache calls it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from resource_api.cache.item import Event

_revision = attrgetter("revision")


class Window:
    """Invariants: 1. every event after `floor` and up to the newest is in it; 2. revisions ascend."""

    def __init__(self, *, events_min: int, events_max: int, bytes_max: int, fresh_s: float) -> None:
        self._events_min = events_min
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._fresh_s = fresh_s
        self.reset(0)

    def reset(self, floor: int) -> None:
        """Empty; events after `floor` are to come."""
        self.floor = floor
        self.size_bytes = 0
        self._events: list[Event] = []
        self._times_s: list[float] = []
        self._first = 0

    def __len__(self) -> int:
        return len(self._events) - self._first

    def add(self, event: Event, now_s: float) -> None:
        """The newest event."""
        self._events.append(event)
        self._times_s.append(now_s)
        self.size_bytes += event.size_bytes
        while self._is_over(now_s):
            self._drop_oldest()

    def after(self, revision: int) -> Sequence[Event]:
        """The events after a revision, which is not below the floor."""
        assert revision >= self.floor
        return self._events[bisect_right(self._events, revision, lo=self._first, key=_revision) :]

    def _is_over(self, now_s: float) -> bool:
        count = len(self)
        if count > self._events_max or (self.size_bytes > self._bytes_max and count > 1):
            return True
        return count > self._events_min and now_s - self._times_s[self._first] > self._fresh_s

    def _drop_oldest(self) -> None:
        first = self._first
        event = self._events[first]
        self.floor = event.revision
        self.size_bytes -= event.size_bytes
        self._first = first + 1
        # The front is cut off now and then, so that dropping one costs little, and what was dropped does not stay alive for long.
        if self._first > 64 and self._first * 4 > len(self._events):
            del self._events[: self._first]
            del self._times_s[: self._first]
            self._first = 0
