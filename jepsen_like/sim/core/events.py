"""What is to happen, in the order of time: a heap of events, and beside it the turns, which all lie equally far ahead.

An event is a tuple: when (microseconds), its number, its kind, whom it concerns, and up to two values of its kind. A turn is
the member and the epoch it was asked for in. Turns are two events in five, and a queue costs a fifth of what a heap does.
Hot path: whoever looks or adds thousands of times a second reads the fields itself.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jepsen_like.sim.core.member import Member

DELIVER, TURN, TICK, SYNCED, BURST, FAULT, FAULT_END, FLAP, RETIRE, PHASE, REPLAY = range(11)


class Events:
    """Invariants: 1. numbers rise with every event, so that of two at one time the one that was asked for first comes first;
    2. `turns` is in the order of time, then of number."""

    __slots__ = ("heap", "number", "turns")

    def __init__(self) -> None:
        self.heap: list[tuple[Any, ...]] = []
        self.turns: deque[tuple[Any, ...]] = deque()
        self.number = 0

    def push(self, at_us: int, kind: int, subject: int, what: Any = 0, more: Any = None) -> None:
        """Have something other than a turn happen."""
        self.number = number = self.number + 1
        heappush(self.heap, (at_us, number, kind, subject, what, more))

    def turn(self, at_us: int, member: Member) -> None:
        """Have a member take a turn. No earlier than any turn that was asked for before."""
        self.number = number = self.number + 1
        self.turns.append((at_us, number, member, member.epoch))

    def check_invariants(self) -> None:
        """Asserts the class's invariants by number."""
        numbers = [event[1] for event in (*self.heap, *self.turns)]
        assert len(set(numbers)) == len(numbers) and max(numbers, default=0) <= self.number, "1"
        keys = [event[:2] for event in self.turns]
        assert keys == sorted(keys), "2"
