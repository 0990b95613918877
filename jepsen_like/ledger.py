"""What the harness did to a cluster and saw of it, as marks of the history: faults, leaders, members' states, phases, clocks.

Owns the kinds of `Mark` that reports draw and the shape of each kind's detail; knows neither who injects nor who draws. The
nemesis writes one `FaultRecord` per fault when it has been healed, or at the end of the run. All times are the history's.

| kind | span | detail |
|---|---|---|
| fault | from taking effect to healed | `{name, family, targets, requested, verified, effect, skipped}`: see `FaultRecord` |
| leader | from elected to replaced, or as seen | `{member, term}` |
| member | while the state lasts | `{member, state}`: `down`, `paused`, `partitioned`, `slow`, `joining`, `removed` |
| phase | the whole phase | `{name}`: `warm-up`, `faults`, `heal`, `final reads` |
| clock | an instant | `{member, offset_s}`: against the history's clock |
| reached | an instant | `{name, count}`: a rare state that was reached |
| note | an instant or a span | text or any JSON: drawn as a flag, listed as it is |

A mark of another kind is drawn as a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jepsen_like.history import Mark

FAULT = "fault"
LEADER = "leader"
MEMBER = "member"
PHASE = "phase"
CLOCK = "clock"
REACHED = "reached"
NOTE = "note"

KINDS = (FAULT, LEADER, MEMBER, PHASE, CLOCK, REACHED, NOTE)

VERIFIED = "verified"
UNVERIFIED = "unverified"
SKIPPED = "skipped"

NOT_DRAWN = "not drawn"
"""How the reason of a fault begins that was asked for, could have been done, and never had its turn."""


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One fault. Invariant: a skipped one has a reason and no effect; `verified` means that the effect was seen, not asked for."""

    name: str
    """The row of the fault table: `kill`, `partition-halves`, `clock-jump`."""

    start_ns: int
    """When it took effect; of a skipped one, when it was asked for."""

    end_ns: int
    """When it was healed; equal to the start where nothing lasts."""

    targets: tuple[str, ...] = ()
    """Members, or `a->b` for one direction of a link."""

    requested: str = ""
    """What was asked for, in words: `+300 s`, `30 % loss`, `n1 | n2 n3`."""

    verified: bool = False
    """Whether the harness saw the effect: packets dropped, state T, the offset read back."""

    effect: str = ""
    """What it saw: `1204 packets dropped`, `no answer for 2.1 s`, or why it saw nothing."""

    skipped: str = ""
    """Why the fault was never begun: not available, or not drawn; empty for one that was injected."""

    family: str = ""
    """Faults of one family share a colour; empty: the name up to its first hyphen."""

    def __post_init__(self) -> None:
        if self.end_ns < self.start_ns:
            raise ValueError(f"fault {self.name!r} was healed before it began")
        if self.skipped and self.verified:
            raise ValueError(f"fault {self.name!r} is both skipped and verified")

    @property
    def status(self) -> str:
        """`verified`, `unverified` or `skipped`."""
        if self.skipped:
            return SKIPPED
        return VERIFIED if self.verified else UNVERIFIED

    @property
    def group(self) -> str:
        """The family, named or derived."""
        return self.family or self.name.partition("-")[0]

    def to_mark(self) -> Mark:
        """As the history keeps it."""
        detail = {
            "name": self.name,
            "family": self.group,
            "targets": list(self.targets),
            "requested": self.requested,
            "verified": self.verified,
            "effect": self.effect,
            "skipped": self.skipped,
        }
        return Mark(FAULT, self.start_ns, self.end_ns, detail)

    @classmethod
    def from_mark(cls, mark: Mark) -> FaultRecord:
        """The record of a `fault` mark; missing details get their defaults.

        Raises:
            ValueError: the mark is of another kind, or its detail is no object with a name.
        """
        detail = mark.detail
        if mark.kind != FAULT or not isinstance(detail, Mapping) or not isinstance(detail.get("name"), str):
            raise ValueError(f"not a fault: {mark}")
        targets = detail.get("targets", ())
        return cls(
            detail["name"],
            mark.start_ns,
            mark.end_ns,
            tuple(map(str, targets)) if isinstance(targets, (list, tuple)) else (str(targets),),
            str(detail.get("requested", "")),
            detail.get("verified") is True,
            str(detail.get("effect", "")),
            str(detail.get("skipped", "")),
            str(detail.get("family", "")),
        )


def leader(member: str, term: int, start_ns: int, end_ns: int | None = None) -> Mark:
    """A member leads; without an end it was seen leading at the instant."""
    return Mark(LEADER, start_ns, start_ns if end_ns is None else end_ns, {"member": member, "term": term})


def member_state(member: str, state: str, start_ns: int, end_ns: int) -> Mark:
    """A member was in a state worth a colour for a while."""
    return Mark(MEMBER, start_ns, end_ns, {"member": member, "state": state})


def phase(name: str, start_ns: int, end_ns: int) -> Mark:
    """A part of the run."""
    return Mark(PHASE, start_ns, end_ns, {"name": name})


def clock(member: str, offset_s: float, at_ns: int) -> Mark:
    """How far a member's clock was off."""
    return Mark(CLOCK, at_ns, at_ns, {"member": member, "offset_s": offset_s})


def reached(name: str, count: int, at_ns: int) -> Mark:
    """A rare state, first reached at `at_ns`, and how often in all."""
    return Mark(REACHED, at_ns, at_ns, {"name": name, "count": count})


def note(text: Any, start_ns: int, end_ns: int | None = None) -> Mark:
    """Anything else worth a flag."""
    return Mark(NOTE, start_ns, start_ns if end_ns is None else end_ns, text)
