"""The life of one simulated process, and how running code is told which one it belongs to.

Owns the process's view of monotonic time. A machine has one life after another; what survives between them is its disk.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any


class Life:
    """One run of one simulated process. When it is over, nothing of it runs any more, not even clean-up."""

    __slots__ = ("arrived", "due", "offset_s", "over", "paused", "probe", "rank", "rate", "skewed", "unread")

    def __init__(self) -> None:
        self.over = False
        self.paused = False
        self.due: list[Any] = []
        """Handles that came due during a pause."""
        self.arrived: list[Callable[[], None]] = []
        """What came over the network during a pause."""
        self.unread = 0
        """How much of it is still to be read, now that the pause is over."""
        self.probe: Callable[[], None] | None = None
        """Called after every event of the process: invariants."""
        self.rank = 0.0
        """Priority under PCT; the lowest goes first."""
        self.rate = 1.0
        self.offset_s = 0.0
        self.skewed = False

    def set_rate(self, rate: float, now_s: float) -> None:
        """From now on the process's monotonic clock runs at this rate; it goes on where it is. Timers already set stay where they are."""
        local_s = self.local_s(now_s)
        self.rate = rate
        self.offset_s = local_s - rate * now_s
        self.skewed = True

    def local_s(self, now_s: float) -> float:
        """The process's clock at a moment of virtual time."""
        return self.offset_s + self.rate * now_s

    def real_s(self, local_s: float) -> float:
        """The moment at which the process's clock shows a time."""
        return (local_s - self.offset_s) / self.rate


LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("simulated_life", default=None)
"""The process the running code belongs to; None for the harness and its clients."""

HOST: contextvars.ContextVar[str] = contextvars.ContextVar("simulated_host", default="client")
"""Name of the machine the running code belongs to; new connections come from it."""

NOWHERE = contextvars.Context()
"""No process's context: what the world itself does runs here. Never entered twice at once, since callbacks do not nest."""
