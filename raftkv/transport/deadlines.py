"""Deadlines of many calls on one timer of the loop.

Asyncio half. Hot path: a call with a deadline costs two dict operations and no timer. Deadlines are rounded up to
slots of 1/64 s; a slot's calls are told in the order they were added, so that a simulated run repeats exactly.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Protocol

SLOTS_PER_S = 64
FAR_S = 1e9
"""Later deadlines than this from now are no deadlines: thirty years."""


class Expiring(Protocol):
    """What has a deadline."""

    def on_deadline(self) -> None:
        """The deadline has passed; called once, on the loop."""


class Deadlines:
    """Calls by slot.

    1. The timer is armed for the earliest slot in `_order`, or there is none.
    2. `_order` holds exactly the keys of `_slots`.
    """

    __slots__ = ("_loop", "_order", "_slots", "_timer", "_timer_slot")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, dict[Expiring, None]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = 0

    def add(self, deadline_s: float, item: Expiring) -> int:
        """Tell `item` at or up to 1/64 s after `deadline_s` (loop time); returns its slot, for `discard`."""
        slot = int(deadline_s * SLOTS_PER_S) + 1
        items = self._slots.get(slot)
        if items is None:
            items = self._slots[slot] = {}
            heapq.heappush(self._order, slot)
            if self._timer is None or slot < self._timer_slot:
                self._arm()
        items[item] = None
        return slot

    def discard(self, slot: int, item: Expiring) -> None:
        """The item no longer waits; nothing happens if it was told or never added."""
        items = self._slots.get(slot)
        if items is not None:
            items.pop(item, None)

    def close(self) -> None:
        """Tell nobody any more."""
        self._slots.clear()
        self._order.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._order:
            self._timer_slot = self._order[0]
            self._timer = self._loop.call_at(self._timer_slot / SLOTS_PER_S, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now_slot = int(self._loop.time() * SLOTS_PER_S)
        due: list[Expiring] = []
        while self._order and self._order[0] <= now_slot:
            due.extend(self._slots.pop(heapq.heappop(self._order)))
        for item in due:
            item.on_deadline()
        if self._timer is None:
            self._arm()
