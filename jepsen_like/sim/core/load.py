"""The clients of a run: writes with unique values and linearizable reads, in bursts, at the leader or anywhere.

Every call is recorded. A client that gets no answer in time gives up and never repeats the call: a write's outcome is then
unknown, and it may still be applied, once.
"""

from __future__ import annotations

from collections import deque

from jepsen_like.sim.core.member import Member
from jepsen_like.sim.core.operations import FAILED, OK, PENDING, PUT, READ, UNKNOWN, Operation
from jepsen_like.sim.core.scenario import Scenario
from jepsen_like.sim.reached import reached
from jepsen_like.sim.streams import stream

_KEYS = bytes(range(65, 91))


class Load:
    """Invariant: every operation that is pending stands in `_open`, oldest first."""

    def __init__(self, scenario: Scenario) -> None:
        self.operations: list[Operation] = []
        self.ok = 0
        self.failed = 0
        self.unknown = 0
        self.overlapping = 0
        """Calls during which a fault was at work."""
        self.last_put_us = -1
        """When the newest write that succeeded was called."""
        self._random = stream(scenario.seed, "clients")
        self._scenario = scenario
        self._keys = [bytes([key]) for key in _KEYS[: scenario.keys]]
        self._open: deque[Operation] = deque()
        self._acknowledged: dict[bytes, int] = {}

    def next_gap_us(self) -> int:
        """Until the next burst."""
        scenario = self._scenario
        return 1 + int(self._random.expovariate(scenario.ops_per_s / scenario.burst) * 1_000_000)

    def call(self, members: list[Member], leaders: list[Member], now_us: int, faults: int) -> Member | None:
        """One burst at one member; returns it, or None when nobody is there to be called."""
        draw = self._random
        if not members:
            return None
        among = leaders if leaders and draw.random() < self._scenario.leader_share else members
        member = among[int(draw.random() * len(among))]
        for _ in range(self._scenario.burst):
            number = len(self.operations)
            key = self._keys[int(draw.random() * len(self._keys))]
            if draw.random() < self._scenario.read_share:
                operation = Operation(number, READ, key, member.id, now_us, faults)
                operation.floor = self._acknowledged.get(key, 0)
                member.reading.append(operation)
            else:
                operation = Operation(number, PUT, key + b"%d" % number, member.id, now_us, faults)
                member.proposals.append(operation)
            self.operations.append(operation)
            self._open.append(operation)
        return member

    def done(self, operation: Operation, outcome: int, now_us: int, faults: int) -> None:
        """A call ended."""
        operation.outcome = outcome
        operation.complete_us = now_us
        if faults != operation.faults:
            self.overlapping += 1
        if outcome == OK:
            self.ok += 1
            if operation.kind == PUT:
                self.last_put_us = max(self.last_put_us, operation.invoke_us)
                key = operation.data[:1]
                if operation.index > self._acknowledged.get(key, 0):
                    self._acknowledged[key] = operation.index
            elif operation.member_id:
                reached("read_answered")
        elif outcome == FAILED:
            self.failed += 1
        else:
            self.unknown += 1

    def expire(self, now_us: int, faults: int) -> None:
        """Clients that waited too long give up."""
        waiting = self._open
        limit_us = now_us - self._scenario.timeout_ms * 1000
        while waiting and (waiting[0].outcome != PENDING or waiting[0].invoke_us <= limit_us):
            operation = waiting.popleft()
            if operation.outcome == PENDING:
                self.done(operation, UNKNOWN, now_us, faults)
