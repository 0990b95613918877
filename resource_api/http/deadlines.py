"""Requests that take too long are ended: one timer for all of them, no timer of its own for any. Loop only. Hot path."""

from __future__ import annotations

import asyncio

SWEEP_S = 0.25
"""How late a deadline may be noticed."""


class Deadline:
    """One request's end. `expired` says that the cancellation its task sees is this one."""

    __slots__ = ("at_s", "expired", "task")

    def __init__(self, task: asyncio.Task[object], at_s: float) -> None:
        self.task = task
        self.at_s = at_s
        self.expired = False


class Deadlines:
    """All requests with an end.

    Invariant: the timer is armed exactly while somebody is waiting.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def open(self, seconds: float) -> Deadline:
        """The current task's; must be closed by it."""
        task = asyncio.current_task()
        assert task is not None
        deadline = Deadline(task, self._loop.time() + seconds)
        self._open.add(deadline)
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)
        return deadline

    def close(self, deadline: Deadline) -> None:
        """It ended by itself."""
        self._open.discard(deadline)

    def stop(self) -> None:
        """Forgets all."""
        self._open.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        now = self._loop.time()
        for deadline in [one for one in self._open if one.at_s <= now]:
            self._open.discard(deadline)
            deadline.expired = True
            deadline.task.cancel()
        self._timer = self._loop.call_later(SWEEP_S, self._sweep) if self._open else None
