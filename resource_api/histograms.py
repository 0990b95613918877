"""Durations counted by labels into buckets, and their text in Prometheus' format. Pure: who measures brings the seconds. Hot path."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

SERIES_MAX = 10_000
"""Combinations of labels kept; further ones count as one with empty labels."""

REQUEST_BUCKETS_S = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0
)  # fmt: skip
"""Upstream's for requests of any sort."""


class Series:
    """One combination of labels."""

    __slots__ = ("buckets", "count", "total_s")

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self.count = 0
        self.total_s = 0.0
        self.buckets = [0] * (len(bounds_s) + 1)


class Histogram:
    """One family."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...], bounds_s: tuple[float, ...] = REQUEST_BUCKETS_S) -> None:
        self.name = name
        self._help = help_text
        self._labels = labels
        self._bounds_s = bounds_s
        self._series: dict[tuple[str, ...], Series] = {}

    def series(self, values: tuple[str, ...]) -> Series:
        """Of one combination; values in the order of the labels."""
        found = self._series.get(values)
        if found is None:
            if len(self._series) >= SERIES_MAX:
                values = ("",) * len(self._labels)
            found = self._series.setdefault(values, Series(self._bounds_s))
        return found

    def observe(self, values: tuple[str, ...], seconds: float) -> None:
        """One event."""
        self.add(self.series(values), seconds)

    def add(self, series: Series, seconds: float) -> None:
        """One event of a series of this family."""
        series.count += 1
        series.total_s += seconds
        series.buckets[bisect_left(self._bounds_s, seconds)] += 1

    def count(self, *values: str) -> int:
        """How many events there were with these values."""
        series = self._series.get(values)
        return series.count if series is not None else 0

    def lines(self) -> Iterator[str]:
        """Of the metrics page; others may observe between two lines."""
        yield f"# HELP {self.name} {self._help}"
        yield f"# TYPE {self.name} histogram"
        for values, series in list(self._series.items()):
            shown = ",".join(f'{label}="{escaped(value)}"' for label, value in zip(self._labels, values, strict=True))
            below = 0
            for bound, count in zip((*map(str, self._bounds_s), "+Inf"), series.buckets, strict=True):
                below += count
                yield f'{self.name}_bucket{{{shown},le="{bound}"}} {below}'
            yield f"{self.name}_sum{{{shown}}} {series.total_s!r}"
            yield f"{self.name}_count{{{shown}}} {series.count}"


def escaped(text: str) -> str:
    """As the value of a label."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
