"""In which order faults come, how long each lasts and how long nothing is broken between two.

Draws only; what a fault is, and when the run ends, is the caller's. The same draws and the same times left give the same schedule.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from jepsen_like.nemesis.fault import Fault

GAP_S = (0.3, 1.5)
"""Without a fault, between two."""

CALM_EVERY = 3
"""Faults after which the gap is a long one, for loads that need it."""


class Turn(NamedTuple):
    """What comes next."""

    fault: type[Fault]
    gap_s: float
    """Before it."""

    hold_s: float


class Schedule:
    """Invariant: no fault comes a second time before every other that fits has come once."""

    def __init__(self, faults: Sequence[type[Fault]], rng: random.Random, *, calm_s: float = 0.0) -> None:
        """`calm_s`: how long no fault is to be done, now and then."""
        self._faults = list(faults)
        self._rng = rng
        self._calm_s = calm_s
        self._round: list[type[Fault]] = []
        self._number = 0
        self._drawn: set[type[Fault]] = set()

    @property
    def undrawn(self) -> list[type[Fault]]:
        """Those that never came."""
        return [fault for fault in self._faults if fault not in self._drawn]

    def next(self, left_s: float) -> Turn | None:
        """The next that fits in the time left; None when none does. One that would last too long is cut to its shortest, or passed over."""
        self._number += 1
        gap_s = self._gap_s()
        if not self._round:
            self._round = self._shuffled()
        room_s = left_s - gap_s
        fault = next((one for one in (*self._round, *self._shuffled()) if one.hold_s[0] <= room_s), None)
        if fault is None:
            return None
        if fault in self._round:
            self._round.remove(fault)
        self._drawn.add(fault)
        return Turn(fault, gap_s, min(self._rng.uniform(*fault.hold_s), room_s))

    def _shuffled(self) -> list[type[Fault]]:
        return self._rng.sample(self._faults, len(self._faults))

    def _gap_s(self) -> float:
        return self._rng.uniform(*GAP_S) + (self._calm_s if self._number % CALM_EVERY == 0 else 0.0)
