"""Which scenarios the server simulation runs: those in which a right store is found right, however they came to be written.

The swarm draws within these limits, shrinking leaves nothing out that they ask for, and a file that goes beyond them is refused by
field. What is within them and of little use is run and rejected.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from jepsen_like.shapes import Shape
from jepsen_like.sim.faults.acts import ACTS
from jepsen_like.sim.fields import FLAG, Fields, among, integer, is_number, loaded, number, refuse, refuse_names, short, span
from jepsen_like.sim.loop import SCHEDULES
from jepsen_like.sim.scenario import FOLLOWER, LEADER, VERSION, Fault, Scenario
from jepsen_like.sim.swarm import ALONE, FAMILIES, MEMBERS_MIN, MIXES, NOT_WITH_LEASES
from raftkv.server.settings import MemberSettings

WORKLOADS = tuple(dict.fromkeys(name for mix in MIXES for name in mix))

DAY_S = 86_400.0

VALUES: Fields = {
    "seed": integer(-(10**18), 10**18),
    "members": Shape("1, 3 or 5", lambda value: type(value) is int and value in (1, 3, 5)),
    "virtual_s": number(0.1, DAY_S),
    "workloads": Shape(
        f"a list of one or more of {', '.join(WORKLOADS)}, each once",
        lambda value: isinstance(value, tuple) and 0 < len(value) == len(set(map(str, value))) and all(one in WORKLOADS for one in value),
    ),
    "rate": number(0.1, 10_000),
    "schedule": among(SCHEDULES),
    "grain_s": number(0, 0.001),
    "delay_s": span(0, 0.05),
    "disk_s": span(0, 0.05),
    "patience": number(0.5, 20),
    "bystander": FLAG,
}
"""Of a scenario."""

SETTINGS: Fields = {
    "election_timeout_ms": integer(100, 50_000),
    "heartbeat_interval_ms": integer(10, 10_000),
    "snapshot_count": integer(1, 1_000_000),
    "snapshot_catchup_entries": integer(1, 1_000_000),
    "wal_segment_bytes": integer(4_096, 1_000_000_000),
    "backend_batch_interval_ms": integer(1, 10_000),
    "backend_batch_limit": integer(1, 1_000_000),
    "compaction_batch_limit": integer(1, 1_000_000),
    "compaction_sleep_interval_ms": integer(1, 1_000),
    "watch_progress_notify_interval_ms": integer(100, 3_600_000),
}
"""Of a scenario's members."""

FAULT: Fields = {
    "kind": among(tuple(ACTS)),
    "for_s": number(0, 60),
    "amount": number(0, 1),
    "salt": integer(0, 2**64),
}
"""Of one fault; its `at_s` lies within the load."""

TARGET = re.compile(rf"{LEADER}|{FOLLOWER}|m[0-9]{{1,4}}")

HEARTBEATS_MIN = 5
"""In an election timeout."""

WAYS_MIN = 5
"""Of the longest way of a message and write to a disk together, in an election timeout; with fewer nobody stays the leader."""


def scenario_of(text: str) -> Scenario:
    """What `Scenario.to_json` wrote, or somebody made of it.

    Raises:
        ValueError: it is no scenario that can be run; the text names the field and says what it may be.
    """
    data = loaded(text)
    if data.pop("scenario", None) != VERSION:
        raise ValueError(f"not a scenario of the server simulation: its field `scenario` must be {VERSION}")
    refuse_names("a scenario", data, [field.name for field in fields(Scenario)], ("seed",))
    for name in ("workloads", "delay_s", "disk_s"):
        data[name] = tuple(data[name]) if isinstance(data.get(name), list) else data.get(name, getattr(Scenario(0), name))
    rows = data.get("faults", [])
    if not isinstance(rows, list):
        raise ValueError(f"faults must be a list, not {short(rows)}")
    found = Scenario(**{**data, "faults": tuple(_fault(number, row) for number, row in enumerate(rows, 1))})
    refuse_unfit(found)
    return found


def _fault(number: int, row: Any) -> Fault:
    wanted = f"[{', '.join(Fault._fields)}]"
    if not isinstance(row, list) or not 2 <= len(row) <= len(Fault._fields):
        raise ValueError(f"fault {number} must be {wanted}, not {short(row)}")
    found = Fault(*row)
    if not isinstance(found.targets, list | tuple):
        raise ValueError(f"fault {number}: targets must be a list, not {short(found.targets)}")
    return found._replace(targets=tuple(found.targets))


def refuse_unfit(scenario: Scenario) -> None:
    """Raises ValueError for the first field that is out of its limits."""
    values = {name: getattr(scenario, name) for name in VALUES}
    refuse("", VALUES, values)
    _refuse_settings(scenario)
    if len(scenario.workloads) > 1 and not any(set(scenario.workloads) <= set(mix) for mix in MIXES):
        mixes = "; ".join(", ".join(mix) for mix in MIXES if len(mix) > 1)
        raise ValueError(f"workloads must be one alone or of one of these mixes: {mixes}; they are {', '.join(scenario.workloads)}")
    if scenario.bystander and "append" in scenario.workloads:
        raise ValueError("bystander must be false beside the workload append, whose events it cannot tell apart")
    for number_, fault in enumerate(scenario.faults, 1):
        _refuse_fault(f"fault {number_}", fault, scenario)


def _refuse_settings(scenario: Scenario) -> None:
    if not isinstance(scenario.settings, dict):
        raise ValueError(f"settings must be an object, not {short(scenario.settings)}")
    refuse_names("settings", scenario.settings, list(SETTINGS))
    refuse("settings: ", SETTINGS, scenario.settings)
    standard = MemberSettings()
    election_ms = scenario.settings.get("election_timeout_ms", standard.election_timeout_ms)
    heartbeat_ms = scenario.settings.get("heartbeat_interval_ms", standard.heartbeat_interval_ms)
    if election_ms < HEARTBEATS_MIN * heartbeat_ms:
        raise ValueError(
            f"settings: election_timeout_ms must be at least {HEARTBEATS_MIN} times heartbeat_interval_ms; they are {election_ms} and "
            f"{heartbeat_ms}"
        )
    if election_ms < WAYS_MIN * 1000 * (scenario.delay_s[1] + scenario.disk_s[1]):
        raise ValueError(
            f"settings: election_timeout_ms must be at least {WAYS_MIN} times the longest delay_s and disk_s together; it is {election_ms}"
        )


def _refuse_fault(what: str, fault: Fault, scenario: Scenario) -> None:
    refuse(f"{what}: ", FAULT, fault._asdict())
    if not is_number(fault.at_s, 0, scenario.virtual_s):
        raise ValueError(f"{what}: at_s must be a number from 0 to virtual_s, {scenario.virtual_s:g}, not {short(fault.at_s)}")
    for target in fault.targets:
        if not isinstance(target, str) or not TARGET.fullmatch(target):
            raise ValueError(f"{what}: targets must be of {LEADER}, {FOLLOWER}, m0, m1, ..., not {short(target)}")
    if scenario.members < members_min(fault.kind):
        raise ValueError(f"{what}: {fault.kind} needs at least {members_min(fault.kind)} members; there are {scenario.members}")
    if "lease" in scenario.workloads and fault.kind in NOT_WITH_LEASES:
        raise ValueError(f"{what}: {fault.kind} cannot be judged with the workload lease")


def members_min(kind: str) -> int:
    """Of a cluster in which the fault takes nothing away that was promised to be kept."""
    alone = any(kind in FAMILIES[family] for family in ALONE)
    return MEMBERS_MIN.get(kind, 1 if alone else 3)


def fits(scenario: Scenario) -> bool:
    """Whether it is within the limits."""
    try:
        refuse_unfit(scenario)
    except ValueError:
        return False
    return True
