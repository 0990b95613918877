"""Which scenarios the core simulation runs: those in which right consensus is found right, however they came to be written.

The swarm draws within these limits, shrinking leaves nothing out that they ask for, and a file that goes beyond them is refused by
field. What is within them and of little use is run and rejected.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from jepsen_like.shapes import Shape
from jepsen_like.sim.core.nemesis import KINDS, MEMBERS_MAX
from jepsen_like.sim.core.scenario import Fault, Scenario
from jepsen_like.sim.fields import FLAG, Fields, among, integer, loaded, number, refuse, refuse_names, short

DAY_S = 86_400.0
MANY = 1 << 30

VALUES: Fields = {
    "seed": integer(-(10**18), 10**18),
    "virtual_s": number(1, DAY_S),
    "voters": integer(1, MEMBERS_MAX),
    "learners": integer(0, MEMBERS_MAX),
    "tick_ms": integer(10, 1_000),
    "election_ticks": integer(5, 100),
    "pre_vote": FLAG,
    "check_quorum": FLAG,
    "append_bytes_max": integer(1, MANY),
    "inflight_max": integer(1, MANY),
    "committed_bytes_max": integer(1, MANY),
    "uncommitted_bytes_max": integer(64, MANY),
    "batch_max": integer(1, MANY),
    "apply_max": integer(1, MANY),
    "turn_us": integer(1, 5_000),
    "snapshot_count": integer(10, MANY),
    "catch_up": integer(0, MANY),
    "store_every": integer(1, MANY),
    "ops_per_s": number(10, 100),
    "burst": integer(1, 16),
    "read_share": number(0, 0.9),
    "leader_share": number(0, 1),
    "keys": integer(1, 26),
    "timeout_ms": integer(500, 60_000),
    "delay_us": integer(0, 5_000),
    "jitter_us": integer(0, 10_000),
    "tail": number(0, 0.05),
    "tail_factor": number(1, 200),
    "loss": number(0, 0.2),
    "duplicate": number(0, 0.2),
    "replay": number(0, 0.05),
    "reorder": FLAG,
    "hold": number(0, 1),
    "fsync_us": integer(0, 20_000),
    "fsync_tail": number(0, 0.05),
}
"""Of a scenario."""

FAULT: Fields = {
    "at_ms": integer(0, int(DAY_S * 1000)),
    "kind": among(KINDS),
    "members": Shape(
        "a list of integers from 0 to 65535",
        lambda value: isinstance(value, tuple) and all(type(one) is int and 0 <= one < 1 << 16 for one in value),
    ),
    "for_ms": integer(0, int(DAY_S * 1000)),
    "amount": number(0, 1_000),
}
"""Of one fault."""

ELECTION_MS_MIN = 250
"""The shortest election timeout: what a message and a sync take together must be little of it."""

INFLIGHT_MIN = 16
"""Appends on their way where each holds one entry: fewer are less than the load, and a backlog only grows."""


def scenario_of(text: str) -> Scenario:
    """What `Scenario.to_json` wrote, or somebody made of it.

    Raises:
        ValueError: it is no scenario that can be run; the text names the field and says what it may be.
    """
    data = loaded(text)
    refuse_names("a scenario of the core simulation", data, [field.name for field in fields(Scenario)], ("seed",))
    rows = data.get("faults", [])
    if not isinstance(rows, list):
        raise ValueError(f"faults must be a list, not {short(rows)}")
    found = Scenario(**{**data, "faults": tuple(_fault(number_, row) for number_, row in enumerate(rows, 1))})
    refuse_unfit(found)
    return found


def _fault(number_: int, row: Any) -> Fault:
    names = [field.name for field in fields(Fault)]
    if not isinstance(row, dict):
        raise ValueError(f"fault {number_} must be an object with {', '.join(names)}, not {short(row)}")
    refuse_names(f"fault {number_}", row, names, ("at_ms", "kind"))
    members = row.get("members", [])
    return Fault(**{**row, "members": tuple(members) if isinstance(members, list) else members})


def refuse_unfit(scenario: Scenario) -> None:
    """Raises ValueError for the first field that is out of its limits."""
    refuse("", VALUES, {name: getattr(scenario, name) for name in VALUES})
    if scenario.voters + scenario.learners > MEMBERS_MAX:
        raise ValueError(f"voters and learners must be {MEMBERS_MAX} at most together; they are {scenario.voters} and {scenario.learners}")
    if scenario.tick_ms * scenario.election_ticks < ELECTION_MS_MIN:
        raise ValueError(
            f"tick_ms times election_ticks must be at least {ELECTION_MS_MIN}; they are {scenario.tick_ms} and {scenario.election_ticks}"
        )
    if scenario.append_bytes_max < 64 and scenario.inflight_max < INFLIGHT_MIN:
        raise ValueError(f"inflight_max must be at least {INFLIGHT_MIN} with an append_bytes_max below 64, not {scenario.inflight_max}")
    for number_, fault in enumerate(scenario.faults, 1):
        refuse(f"fault {number_}: ", FAULT, {name: getattr(fault, name) for name in FAULT})


def fits(scenario: Scenario) -> bool:
    """Whether it is within the limits."""
    try:
        refuse_unfit(scenario)
    except ValueError:
        return False
    return True
