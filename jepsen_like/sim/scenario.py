"""What a seed's run is made of, as plain data: it can be written down, shrunk and run again.

Owns the shape and its JSON form; knows neither how a scenario is drawn (`swarm`), nor what a fault does (`faults`), nor what may
stand in it (`limits`). All times are virtual seconds; a fault's `at_s` counts from the moment the load began.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

VERSION = 1
"""Of the JSON form; raised when an old reader would misunderstand a new scenario."""

LEADER = "leader"
FOLLOWER = "follower"
"""In `Fault.targets`: whoever it is when the fault begins."""


class Fault(NamedTuple):
    """One thing that goes wrong. What `amount` means is said at the fault's act in `faults`."""

    kind: str
    at_s: float
    for_s: float = 0.0
    targets: tuple[str, ...] = ()
    """Names of members, LEADER or FOLLOWER."""

    amount: float = 0.0
    salt: int = 0
    """Names the stream of the fault's own draws, so that they stay when other faults go."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. The seed decides everything that is not written here."""

    seed: int
    members: int = 3
    virtual_s: float = 30.0
    """Of load under faults; healing and the last reads come on top."""

    workloads: tuple[str, ...] = ("register",)
    rate: float = 80.0
    """Calls a second of each workload, all clients together."""

    schedule: str = "fifo"
    grain_s: float = 0.0
    delay_s: tuple[float, float] = (0.0002, 0.002)
    disk_s: tuple[float, float] = (0.0001, 0.002)
    settings: Mapping[str, int] = field(default_factory=dict)
    """Of every member, by the names of `MemberSettings`."""

    faults: tuple[Fault, ...] = ()
    patience: float = 1.0
    """What loads wait for an answer, times this; above one they ask members without a leader, too."""

    bystander: bool = False
    """Whether a client beside the load asks for odd things."""

    @property
    def election_s(self) -> float:
        """A member's election timeout."""
        return self.settings.get("election_timeout_ms", 1000) / 1000

    def to_json(self) -> str:
        """One line; `limits` reads it."""
        return json.dumps({"scenario": VERSION, **asdict(self)}, separators=(",", ":"), sort_keys=True)
