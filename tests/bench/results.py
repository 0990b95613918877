"""What was measured, and the arithmetic of the table: medians over rounds, ratios of the two systems round by round.

A ratio is always "how many times better the first system is": rate over rate where more is better, the other way round where less is.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


@dataclass
class Round:
    """One measurement of one system; `value` is in the row's unit."""

    value: float
    cpu_us: float = 0.0
    """CPU time of all members for one request, or 0 where that has no meaning."""
    client_cpu_us: float = 0.0
    """CPU time of the generator for one request, which is time the servers did not get."""
    notes: dict[str, float] = field(default_factory=dict)


@dataclass
class Row:
    """One line of the table."""

    name: str
    unit: str
    more_is_better: bool
    target: float = 0.0
    """The ratio the issue asks for; 0 where it asks for none."""
    limit: float = 0.0
    """The value that the issue asks the first system to stay under; 0 where it asks for none."""
    generator: str = ""
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Why rounds of a system are void, or why it has none."""

    def add(self, system: str, measured: Round) -> None:
        """The next round of a system."""
        self.rounds.setdefault(system, []).append(measured)

    def void(self, system: str, why: str) -> None:
        """A round that does not count."""
        self.faults.setdefault(system, []).append(why)

    def median(self, system: str, what: str = "value") -> float | None:
        """Over the system's rounds; None when it has none."""
        measured = self.rounds.get(system)
        return statistics.median(getattr(one, what) for one in measured) if measured else None

    def note(self, system: str, what: str) -> float | None:
        """The median of a note."""
        found = [one.notes[what] for one in self.rounds.get(system, ()) if what in one.notes]
        return statistics.median(found) if found else None


class Spread(NamedTuple):
    """Of some ratios."""

    least: float
    median: float
    most: float


def spread(values: Iterable[float]) -> Spread | None:
    """None for no values."""
    found = list(values)
    return Spread(min(found), statistics.median(found), max(found)) if found else None


def ratios(row: Row, first: str, second: str) -> Spread | None:
    """Of the rounds of two systems that were measured one after the other."""
    pairs = zip(row.rounds.get(first, ()), row.rounds.get(second, ()), strict=False)
    if row.more_is_better:
        return spread(a.value / b.value for a, b in pairs if b.value)
    return spread(b.value / a.value for a, b in pairs if a.value)


def verdict(row: Row, first: str, second: str) -> str:
    """Whether the issue's target is met; empty where there is none, or nothing was measured."""
    found, value = ratios(row, first, second), row.median(first)
    if row.limit and value is not None:
        return "met" if value < row.limit else "missed"
    if row.target and found is not None:
        return "met" if found.median >= row.target else "missed"
    return ""


def as_json(rows: Sequence[Row], about: dict[str, Any]) -> dict[str, Any]:
    """Everything, for programs."""
    return {"about": about, "rows": [asdict(row) for row in rows]}


def percentile(buckets: Sequence[int], share: float) -> int:
    """The bucket that holds the given share (0 to 1) of what was counted, from the low end; 0 when nothing was."""
    wanted = share * sum(buckets)
    seen = 0
    for bucket, count in enumerate(buckets):
        seen += count
        if count and seen >= wanted:
            return bucket
    return 0
