"""Long work in slices: a turn of the loop takes a millisecond at most, then others have theirs. Loop only. Hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TURN_S = 0.001

LARGE_BYTES = 16 * 1024
"""A schema of this size is compiled or checked in about 3 ms."""


class Turn:
    """The present slice of one piece of work. Whoever works asks `is_over` between two small steps, and awaits `next` when it is."""

    __slots__ = ("_end_s", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end_s = self._loop.time() + TURN_S

    @property
    def is_over(self) -> bool:
        """Whether others are due; costs 0.1 us."""
        return self._loop.time() >= self._end_s

    async def next(self) -> None:
        """Lets everybody else go first."""
        await asyncio.sleep(0)
        self._end_s = self._loop.time() + TURN_S


async def apart(size_bytes: int, work: Callable[[], T]) -> T:
    """The work's result; in a thread when what it works on is large, so that the loop goes on. For pure work on values nobody else has."""
    return work() if size_bytes < LARGE_BYTES else await asyncio.to_thread(work)
