"""The only module that reads a clock or seeds randomness.

SEAM. Everybody else is handed ticks, a `now_s`, an absolute `deadline_s` or a `Clock`. The simulator brings its own.
"""

from __future__ import annotations

import random
import time
from typing import Protocol


class Clock(Protocol):
    """Time and randomness for one member."""

    def monotonic_s(self) -> float:
        """Seconds that never go back; the zero point means nothing. The same base as the event loop's `time()`."""

    def wall_s(self) -> float:
        """Seconds since 1970 by the machine's calendar clock; may jump. Only for ids, logs and certificates."""

    def random(self) -> random.Random:
        """This member's own stream of randomness."""


class SystemClock:
    """The machine's clock and a generator seeded by the operating system."""

    def __init__(self) -> None:
        self._random = random.Random(random.SystemRandom().getrandbits(128))

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wall_s(self) -> float:
        """See `Clock`."""
        return time.time()

    def random(self) -> random.Random:
        """See `Clock`."""
        return self._random
