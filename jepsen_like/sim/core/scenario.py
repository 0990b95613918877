"""One run of the core simulation as a value: the cluster, its settings, its weather and its faults.

Everything random in a run comes from `seed` and everything chosen stands here, so a scenario that is read back from JSON
runs the same, and shrinking is leaving things out of it. Knows nothing of how it is run, nor of what may stand in it (`limits`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

EVERYBODY: tuple[int, ...] = ()
"""As a fault's members: all that exist when it begins."""

LEADER = 0
"""Among a fault's members: whoever leads when it begins; nobody when nobody does."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, what it is, whom it meets, how long it lasts."""

    at_ms: int
    kind: str
    """A name of `nemesis.KINDS`."""

    members: tuple[int, ...] = EVERYBODY
    """Ids, `LEADER`, or `EVERYBODY`; for a change of the membership a number that picks the member."""

    for_ms: int = 0
    amount: float = 0.0
    """How much, in the kind's own unit: a rate, a factor, milliseconds."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. Times are virtual; rates are probabilities unless they say otherwise."""

    seed: int
    virtual_s: float = 60.0
    voters: int = 3
    learners: int = 0

    tick_ms: int = 100
    election_ticks: int = 10
    pre_vote: bool = True
    check_quorum: bool = True
    append_bytes_max: int = 1 << 20
    inflight_max: int = 512
    committed_bytes_max: int = 1 << 20
    uncommitted_bytes_max: int = 1 << 20
    batch_max: int = 64
    """Proposals that enter consensus in one call."""

    apply_max: int = 1_000
    """Entries applied at a time; a member that is told of more applies them in later turns."""

    turn_us: int = 500
    """From the first thing that happens to a member to the turn that deals with it and with what came meanwhile."""

    snapshot_count: int = 1_000
    """Applied entries between two snapshots."""

    catch_up: int = 100
    """Entries kept below a snapshot for members that lag."""

    store_every: int = 20
    """Applied entries between two commits of the store: what a restart replays."""

    ops_per_s: float = 50.0
    burst: int = 4
    """Clients that call together; the bursts come at random."""

    read_share: float = 0.4
    leader_share: float = 0.7
    """Calls that go to the leader; the others go to any member."""

    keys: int = 8
    timeout_ms: int = 3_000
    """After which a client gives a call up; a write's outcome is then unknown."""

    delay_us: int = 500
    """Shortest way of a message."""

    jitter_us: int = 500
    tail: float = 0.0
    """Messages that take `tail_factor` times as long."""

    tail_factor: float = 20.0
    loss: float = 0.0
    duplicate: float = 0.0
    replay: float = 0.0
    """Messages kept and delivered again seconds later, in whatever term it is by then."""

    reorder: bool = False
    """Messages of one link overtake each other; otherwise each link keeps its order."""

    hold: float = 0.0
    """Messages that wait at a cut link until it heals; the others are lost there."""

    fsync_us: int = 1_000
    fsync_tail: float = 0.0
    """Syncs that take `tail_factor` times as long."""

    faults: tuple[Fault, ...] = ()

    def to_json(self) -> str:
        """One line; `limits` reads it."""
        return json.dumps(asdict(self), separators=(",", ":"))
