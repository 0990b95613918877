"""Named streams of random numbers: what one purpose draws never depends on what another drew.

A run has one seed and as many streams as it has purposes; leaving a fault out of a scenario therefore leaves the rest of
the run's draws as they were, and shrinking works. Source: spec/faults.md §3c (8).
"""

from __future__ import annotations

import hashlib
import random


def stream(seed: int, *purpose: object) -> random.Random:
    """A new generator at the start of the stream that seed and purpose name; the purpose's parts count by their text."""
    text = "\x1f".join((str(seed), *map(str, purpose)))
    return random.Random(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


class Streams:
    """The streams of one run. A name always gives the same generator, which goes on where its last user left it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._open: dict[tuple[object, ...], random.Random] = {}

    def get(self, *purpose: object) -> random.Random:
        """The run's generator of that purpose."""
        found = self._open.get(purpose)
        if found is None:
            found = self._open[purpose] = stream(self.seed, *purpose)
        return found
