"""Faults of clocks: the calendar clock jumps or flickers, the monotonic clock runs at another rate.

Verified by what the member itself read: it writes down every few milliseconds what its clocks say.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial

from jepsen_like import ledger
from jepsen_like.cluster.cluster import CLOCK, Cluster, ClusterError
from jepsen_like.cluster.instrumented.levers import Levers
from jepsen_like.nemesis.fault import Fault

SEEN_WITHIN_S = 2.0
OFFSET_TOLERANCE_S = 0.3
RATE_TOLERANCE = 0.04


class ClockFault(Fault):
    """Of members that run on instrumented clocks."""

    instruments = frozenset({CLOCK})

    @classmethod
    def unavailable_because(cls, cluster: Cluster) -> str:
        """See Fault."""
        return "" if cluster.levers else "the members run on the machine's own clocks"

    def levers(self) -> list[Levers]:
        """Of the targets."""
        return [self.cluster.levers[name] for name in self.targets]

    def some(self) -> None:
        """Chooses one member, or several."""
        self.target(*self.pick(self.rng.randint(1, len(self.cluster.members))))

    def tell(self, name: str, offset_s: float) -> None:
        """A mark for the report: how far the member's clock was off just now, as the member read it."""
        self.recorder.write(ledger.clock(name, round(offset_s, 3), self.recorder.now_ns()))

    async def heal(self) -> None:
        """See Fault; tells when the members read the true time again."""
        for levers in self.levers():
            levers.put("wall_offset_s", 0.0)
        for name, levers in zip(self.targets, self.levers(), strict=True):
            # A member that does not run reads nothing, and what it read last is told.
            with contextlib.suppress(ClusterError):
                await self.cluster.until(partial(_is_true, levers), f"{name} reads the true time", SEEN_WITHIN_S)
            self.tell(name, _wall_offset_s(levers))


class ClockJump(ClockFault):
    """The calendar clock of some members jumps by up to five minutes, either way."""

    name = "clock-jump"
    row = 17
    verified_by = "the calendar time the member read, against the true one"

    async def apply(self) -> None:
        """See Fault."""
        self.some()
        self._offset_s = self.rng.choice((-1, 1)) * self.rng.choice((0.5, 5.0, 60.0, 300.0)) * self.rng.uniform(0.8, 1.0)
        self.requested = f"{self._offset_s:+.1f} s"
        for levers in self.levers():
            levers.put("wall_offset_s", self._offset_s)

    async def verify(self) -> None:
        """See Fault."""
        offsets = {name: _wall_offset_s(levers) for name, levers in zip(self.targets, self.levers(), strict=True)}
        for name, offset_s in offsets.items():
            self.tell(name, offset_s)
        seen = all(abs(offset_s - self._offset_s) < OFFSET_TOLERANCE_S for offset_s in offsets.values())
        self.expect(seen, ", ".join(f"{name} read {offset_s:+.2f} s" for name, offset_s in offsets.items()))


class ClockStrobe(ClockFault):
    """The calendar clock of some members flickers between two times."""

    name = "clock-strobe"
    row = 18
    verified_by = "changes of the calendar time that the member read"

    async def apply(self) -> None:
        """See Fault."""
        self.some()
        self._offset_s = self.rng.choice((-1, 1)) * self.rng.choice((1.0, 30.0, 260.0))
        self._period_s = self.rng.choice((0.06, 0.1, 0.25))
        self._seen = dict.fromkeys(self.targets, 0)
        self.requested = f"{self._offset_s:+.0f} s and back every {self._period_s * 1000:.0f} ms"

    async def hold(self, seconds: float) -> None:
        """See Fault."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        offset_s = 0.0
        while loop.time() < until_s:
            offset_s = self._offset_s - offset_s
            for levers in self.levers():
                levers.put("wall_offset_s", offset_s)
            await asyncio.sleep(self._period_s)
            for name, levers in zip(self.targets, self.levers(), strict=True):
                shown_s = _wall_offset_s(levers)
                self.tell(name, shown_s)
                self._seen[name] += abs(shown_s - offset_s) < OFFSET_TOLERANCE_S

    async def verify(self) -> None:
        """See Fault."""
        self.expect(min(self._seen.values()) > 1, ", ".join(f"{name} read {count} changes" for name, count in self._seen.items()))


class ClockSkew(ClockFault):
    """Every timer of some members runs fast or slow, each member's at its own rate."""

    name = "clock-skew"
    row = 19
    hold_s = (1.0, 4.0)
    verified_by = "the rate of the event loop's time that the member wrote down, against the true one"

    async def apply(self) -> None:
        """See Fault."""
        self.some()
        self._rates = {name: self.rng.choice((0.5, 0.8, 0.9, 1.1, 1.25, 2.0)) for name in self.targets}
        self.requested = ", ".join(f"{name} × {rate}" for name, rate in self._rates.items())
        for name, rate in self._rates.items():
            self.cluster.levers[name].bend(rate)
        await asyncio.sleep(0.1)
        self._before = {name: _loop_reading(self.cluster.levers[name]) for name in self.targets}

    async def verify(self) -> None:
        """See Fault."""
        seen = {}
        for name, (shown_s, true_s) in self._before.items():
            shown_now_s, true_now_s = _loop_reading(self.cluster.levers[name])
            seen[name] = (shown_now_s - shown_s) / max(1e-9, true_now_s - true_s)
            # What its timers have gained or lost by now; they keep it.
            self.tell(name, (shown_now_s - shown_s) - (true_now_s - true_s))
        right = all(abs(seen[name] / rate - 1) < RATE_TOLERANCE for name, rate in self._rates.items())
        self.expect(right, ", ".join(f"{name} ran × {rate:.3f}" for name, rate in seen.items()))

    async def heal(self) -> None:
        """See Fault; what a clock is off by then it stays off by."""
        for levers in self.levers():
            levers.bend(1.0)


def _is_true(levers: Levers) -> bool:
    return abs(_wall_offset_s(levers)) < OFFSET_TOLERANCE_S


def _wall_offset_s(levers: Levers) -> float:
    """How far the calendar time the member read last was off, at the instant it read it."""
    return levers.get("wall_read_s") - (time.time() - (time.monotonic() - levers.get("read_at_s")))


def _loop_reading(levers: Levers) -> tuple[float, float]:
    """(what the member's loop showed, the true monotonic time)."""
    while True:
        true_s, shown_s = levers.get("read_at_s"), levers.get("loop_read_s")
        # The two are written one after the other; one that changed in between is read again.
        if levers.get("read_at_s") == true_s:
            return shown_s, true_s
