"""Whether the store may still grow at this member (spec: etcd's Quota; design §4 rule 5).

A refusal is decided here, before proposing, from this member's own size; what every member must agree on is the NOSPACE
alarm, which the first refusal raises through the log. Loop only.
"""

from __future__ import annotations

from collections.abc import Callable

DEFAULT_BYTES = 2 << 30


class Quota:
    """Compares the store's size, refreshed once a tick, with the limit."""

    __slots__ = ("_left_bytes", "_measure", "_raise_alarm", "limit_bytes")

    def __init__(self, limit_bytes: int, measure: Callable[[], int | None], raise_alarm: Callable[[], None]) -> None:
        """`limit_bytes` 0 means the default; negative means none. `measure` says the store's size in use, None when it cannot now."""
        self.limit_bytes = DEFAULT_BYTES if limit_bytes == 0 else limit_bytes
        self._measure = measure
        self._raise_alarm = raise_alarm
        self._left_bytes = 1 << 62

    def refresh(self) -> None:
        """Looks at the store's size."""
        size_bytes = self._measure()
        if size_bytes is not None:
            self.compare(size_bytes)

    def compare(self, size_bytes: int) -> None:
        """The store has this size."""
        self._left_bytes = self.limit_bytes - size_bytes if self.limit_bytes > 0 else 1 << 62

    def admits(self, cost_bytes: int) -> bool:
        """False when the write would pass the limit; the alarm is raised then."""
        if cost_bytes <= self._left_bytes:
            return True
        self._raise_alarm()
        return False
