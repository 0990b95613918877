"""The calls clients made: every one is recorded, with when it began and ended and what became of it."""

from __future__ import annotations

PENDING, OK, FAILED, UNKNOWN = 0, 1, 2, 3
"""Outcomes: under way; done; had no effect; may have had one at any time."""

PUT, READ = 0, 1


class Operation:
    """One call. Times in microseconds of virtual time."""

    __slots__ = ("complete_us", "data", "faults", "floor", "index", "invoke_us", "kind", "member_id", "number", "outcome")

    def __init__(self, number: int, kind: int, data: bytes, member_id: int, invoke_us: int, faults: int) -> None:
        self.number = number
        self.kind = kind
        self.data = data
        """A put's proposal; of a read, the key."""
        self.member_id = member_id
        self.invoke_us = invoke_us
        self.complete_us = 0
        self.outcome = PENDING
        self.index = 0
        """Where a put stands in the log; of a read, the index of the put it saw."""
        self.floor = 0
        """Of a read: the newest put to its key that was acknowledged before it began."""
        self.faults = faults
        """How much fault there had been when it began."""
