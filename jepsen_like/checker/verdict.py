"""What a checker concludes: valid, invalid with the anomalies as data, or unknown with the reason.

Every checker returns one; a run's verdict is their merger, in which one invalid makes the whole invalid and an unknown
never passes for valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from jepsen_like.history import Record

VALID = "valid"
INVALID = "invalid"
UNKNOWN = "unknown"

ANOMALIES_MAX = 100
"""Kept with their operations; more are counted and no more, so that a broken run's verdict stays small."""


class Anomaly(NamedTuple):
    """One thing that cannot have happened."""

    kind: str
    """The field's name for it: `G-single`, `stale-read`."""

    explanation: str
    """One English sentence that says why it is impossible."""

    operations: tuple[Record, ...] = ()
    """The few records that prove it."""

    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Invariant: invalid exactly when `anomaly_count` > 0; unknown exactly when not invalid and there are reasons."""

    anomalies: tuple[Anomaly, ...] = ()
    anomaly_count: int = 0
    """Of all anomalies, those left out of `anomalies` included."""

    reasons: tuple[str, ...] = ()
    """What could not be decided."""

    checked: int = 0
    """Records looked at: a verdict over nothing is worth nothing, and its reader must be able to see it."""

    @property
    def outcome(self) -> str:
        """`valid`, `invalid` or `unknown`."""
        if self.anomaly_count:
            return INVALID
        return UNKNOWN if self.reasons else VALID

    @property
    def valid(self) -> bool:
        """Whether everything was decided and nothing was wrong."""
        return self.outcome == VALID

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of anomaly found, each once, sorted."""
        return tuple(sorted({anomaly.kind for anomaly in self.anomalies}))


class Findings:
    """Gathers anomalies while a checker works."""

    __slots__ = ("anomalies", "count", "reasons")

    def __init__(self) -> None:
        self.anomalies: list[Anomaly] = []
        self.count = 0
        self.reasons: list[str] = []

    def add(self, kind: str, explanation: str, operations: Iterable[Record] = (), keys: Iterable[str] = ()) -> None:
        """Note one anomaly; past the bound it is only counted."""
        self.count += 1
        if len(self.anomalies) < ANOMALIES_MAX:
            self.anomalies.append(Anomaly(kind, explanation, tuple(operations), tuple(keys)))

    def undecided(self, reason: str) -> None:
        """Note something that could not be decided."""
        self.reasons.append(reason)

    def verdict(self, checked: int) -> Verdict:
        """What the notes amount to."""
        return Verdict(tuple(self.anomalies), self.count, tuple(self.reasons), checked)


def merged(verdicts: Iterable[Verdict]) -> Verdict:
    """All of them as one; of the anomalies the first `ANOMALIES_MAX` are kept."""
    everything = list(verdicts)
    anomalies = [anomaly for verdict in everything for anomaly in verdict.anomalies]
    return Verdict(
        tuple(anomalies[:ANOMALIES_MAX]),
        sum(verdict.anomaly_count for verdict in everything),
        tuple(reason for verdict in everything for reason in verdict.reasons),
        sum(verdict.checked for verdict in everything),
    )
