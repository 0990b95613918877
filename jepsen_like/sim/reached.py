"""Points that prove a rare state was met: `reached("name")` where it is, `Points` around a run.

Only names of the list count, so that a point nobody reaches any more shows as a zero and not as a missing line. Outside a
run a call does nothing. Source: spec/faults.md §3c (12).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class Points:
    """Counts for one run; a context manager, and runs do not nest."""

    _running: Points | None = None

    def __init__(self, names: Iterable[str]) -> None:
        self.count: Counter[str] = Counter(dict.fromkeys(names, 0))

    def __enter__(self) -> Points:
        assert Points._running is None, "runs do not nest"
        Points._running = self
        return self

    def __exit__(self, *_error: object) -> None:
        Points._running = None

    @property
    def met(self) -> dict[str, int]:
        """The points that were reached, and how often."""
        return {name: count for name, count in self.count.items() if count}


def reached(name: str) -> None:
    """The state of that name is met now.

    Raises:
        KeyError: a run is on, and its list does not have the name.
    """
    points = Points._running
    if points is not None:
        if name not in points.count:
            raise KeyError(f"{name!r} is no point of this run")
        points.count[name] += 1
