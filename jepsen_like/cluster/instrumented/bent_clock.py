"""A member's clocks under the harness's hand: the calendar clock may jump, the monotonic one may run fast or slow.

The event loop's time and its waits follow the monotonic clock, so that every timer of the member is off by the same rate, as on a
machine whose oscillator is. Never jumps back: Linux' monotonic clock does not either.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Callable
from typing import Any

from jepsen_like.cluster.instrumented.levers import Levers
from raftkv.clock import SystemClock

REPORT_S = 0.02
"""By the member's own clock: how often it writes down what its clocks say."""

READING_S_MAX = 0.001


class BentClock:
    """See `raftkv.clock.Clock`."""

    def __init__(self, levers: Levers) -> None:
        self._levers = levers
        self._random = SystemClock().random()

    def monotonic_s(self) -> float:
        """See Clock."""
        return self._levers.shown_s(time.monotonic())

    def wall_s(self) -> float:
        """See Clock."""
        return time.time() + self._levers.get("wall_offset_s")

    def random(self) -> random.Random:
        """See Clock."""
        return self._random


class BentSelector(selectors.DefaultSelector):
    """Waits as long as the member's clock says, which is another time by the true one."""

    def __init__(self, levers: Levers) -> None:
        super().__init__()
        self._levers = levers

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See selectors."""
        return super().select(timeout if timeout is None else timeout / self._levers.rate)


class BentLoop(asyncio.SelectorEventLoop):
    """An event loop on such a clock."""

    def __init__(self, levers: Levers) -> None:
        self._levers = levers
        super().__init__(BentSelector(levers))

    def time(self) -> float:
        """See asyncio."""
        return self._levers.shown_s(time.monotonic())


def report(levers: Levers, clock: BentClock, loop: asyncio.AbstractEventLoop) -> None:
    """Writes down what the member's clocks say, again and again while its loop runs."""
    before_s = time.monotonic()
    wall_s, shown_s = clock.wall_s(), loop.time()
    true_s = time.monotonic()
    # A reading during which the processor was taken away says nothing of a rate.
    if true_s - before_s < READING_S_MAX:
        levers.put("wall_read_s", wall_s)
        levers.put("loop_read_s", shown_s)
        levers.put("read_at_s", true_s)
    again: Callable[..., Any] = report
    loop.call_later(REPORT_S, again, levers, clock, loop)
