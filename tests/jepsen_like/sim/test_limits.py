"""Files that hold no scenario, or one in which a right store may be found wrong, are refused by field: no store is blamed for them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jepsen_like.sim import limits, swarm
from jepsen_like.sim.core import limits as core_limits
from jepsen_like.sim.core import swarm as core_swarm
from jepsen_like.sim.faults.acts import ACTS
from jepsen_like.sim.scenario import Fault

GOOD: dict[str, Any] = {"scenario": 1, "seed": 7}
CORE: dict[str, Any] = {"seed": 7}
FAULT: list[Any] = ["kill", 1.0, 0.5, ["leader"], 0.5, 7]
CORE_FAULT: dict[str, Any] = {"at_ms": 10, "kind": "crash"}


def _refused(text: str, said: str, read: Any = limits.scenario_of) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        read(text)
    assert type(raised.value) is ValueError and "\n" not in str(raised.value)


def test_what_the_swarms_draw_is_within_the_limits():
    for seed in range(1, 200):
        for virtual_s in (1.0, 30.0):
            whole, core = swarm.scenario(seed, virtual_s=virtual_s), core_swarm.draw(seed, virtual_s)
            assert limits.scenario_of(whole.to_json()) == whole and core_limits.scenario_of(core.to_json()) == core


def test_fields_that_are_left_out_are_the_usual_ones():
    assert limits.scenario_of(json.dumps(GOOD)).members == 3
    assert core_limits.scenario_of(json.dumps(CORE)).voters == 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"seed": "x"}, "^seed must be an integer from .*, not 'x'$"),
        ({"members": 0}, "^members must be 1, 3 or 5, not 0$"),
        ({"members": True}, "^members must be 1, 3 or 5, not True$"),
        ({"rate": 0}, "^rate must be a number from 0.1 to 10000, not 0$"),
        ({"rate": float("nan")}, "^rate must be a number .*, not nan$"),
        ({"rate": 10**400}, "^rate must be a number"),
        ({"virtual_s": "1"}, "^virtual_s must be a number"),
        ({"schedule": "zzz"}, "^schedule must be one of fifo, shuffle, pct, not 'zzz'$"),
        ({"schedule": []}, "^schedule must be one of"),
        ({"settings": {"a": 1}}, "^settings has no a; it has election_timeout_ms, "),
        ({"settings": {"snapshot_count": 1.5}}, "^settings: snapshot_count must be an integer"),
        ({"settings": 3}, "^settings must be an object, not 3$"),
        (
            {"settings": {"election_timeout_ms": 400}},
            "^settings: election_timeout_ms must be at least 5 times heartbeat_interval_ms",
        ),
        (
            {"settings": {"election_timeout_ms": 100, "heartbeat_interval_ms": 10}, "delay_s": [0, 0.05]},
            "at least 5 times the longest delay_s",
        ),
        ({"delay_s": [1]}, r"^delay_s must be two numbers .*, not \(1,\)$"),
        ({"disk_s": [0.02, 0.01]}, "^disk_s must be two numbers from 0 to 0.05, the smaller one first"),
        ({"delay_s": 1}, "^delay_s must be two numbers"),
        ({"workloads": []}, "^workloads must be a list of one or more of register, txn"),
        ({"workloads": [{}]}, "^workloads must be a list"),
        ({"workloads": ["register", "register"]}, "^workloads must be a list .*, each once"),
        ({"workloads": ["register", "append"]}, "^workloads must be one alone or of one of these mixes: register, txn; "),
        ({"workloads": ["watch", "lease"]}, "^workloads must be one alone or of one of these mixes"),
        ({"workloads": ["append"], "bystander": True}, "^bystander must be false beside the workload append"),
        ({"bystander": 1}, "^bystander must be true or false, not 1$"),
        ({"colour": 1}, "^a scenario has no colour; it has seed, members"),
        ({"faults": 5}, "^faults must be a list, not 5$"),
        ({"faults": [7]}, r"^fault 1 must be \[kind, at_s, for_s, targets, amount, salt\], not 7$"),
        ({"faults": [FAULT, ["nope", *FAULT[1:]]]}, "^fault 2: kind must be one of kill, .*, not 'nope'$"),
        ({"faults": [[*FAULT[:3], ["nobody"]]]}, "^fault 1: targets must be of leader, follower, m0, m1, ..., not 'nobody'$"),
        ({"faults": [[*FAULT[:3], "leader"]]}, "^fault 1: targets must be a list, not 'leader'$"),
        ({"faults": [["kill", 99.0]]}, "^fault 1: at_s must be a number from 0 to virtual_s, 30, not 99.0$"),
        ({"faults": [["kill", -1]]}, "^fault 1: at_s must be"),
        ({"faults": [["kill", 1, 1e9]]}, "^fault 1: for_s must be a number from 0 to 60"),
        ({"faults": [["wipe", 1]], "members": 1}, "^fault 1: wipe needs at least 3 members; there are 1$"),
        ({"faults": [["compact", 1]], "workloads": ["lease"]}, "^fault 1: compact cannot be judged with the workload lease$"),
    ],
)
def test_scenario_of_members_out_of_its_limits_is_refused_by_field(fields, said):
    _refused(json.dumps({**GOOD, **fields}), said)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"voters": 0}, "^voters must be an integer from 1 to 9, not 0$"),
        ({"voters": 8, "learners": 2}, "^voters and learners must be 9 at most together; they are 8 and 2$"),
        ({"ops_per_s": 0}, "^ops_per_s must be a number from 10 to 100, not 0$"),
        ({"read_share": 1}, "^read_share must be a number from 0 to 0.9"),
        ({"tick_ms": 10}, "^tick_ms times election_ticks must be at least 250; they are 10 and 10$"),
        ({"append_bytes_max": 1, "inflight_max": 1}, "^inflight_max must be at least 16 with"),
        ({"pre_vote": None}, "^pre_vote must be true or false, not None$"),
        ({"wether": 2}, "^a scenario of the core simulation has no wether; it has seed, virtual_s"),
        ({"faults": {}}, "^faults must be a list"),
        ({"faults": [{"kind": "crash"}]}, "^fault 1 must have at_ms$"),
        ({"faults": [{**CORE_FAULT, "kind": "nope"}]}, "^fault 1: kind must be one of crash, .*, not 'nope'$"),
        ({"faults": [{**CORE_FAULT, "members": 3}]}, "^fault 1: members must be a list of integers from 0 to 65535, not 3$"),
        ({"faults": [{**CORE_FAULT, "colour": 3}]}, "^fault 1 has no colour; it has at_ms, kind"),
    ],
)
def test_scenario_of_consensus_out_of_its_limits_is_refused_by_field(fields, said):
    _refused(json.dumps({**CORE, **fields}), said, core_limits.scenario_of)


@pytest.mark.parametrize("read", [limits.scenario_of, core_limits.scenario_of])
@pytest.mark.parametrize("text", ["", "[]", "{}", "7", "null", '{"scenario": 2}', "[" * 100_000, '{"seed":' * 5_000])
def test_text_that_is_no_scenario_is_refused(read, text):
    _refused(text, "scenario", read)


def test_every_fault_has_a_smallest_cluster():
    """One of whose family nothing is said would be put to a cluster that it takes everything from."""
    assert {kind: limits.members_min(kind) for kind in ACTS} == {
        **dict.fromkeys(ACTS, 1),
        **dict.fromkeys(("isolate", "halves", "bridge", "one-way", "swizzle", "flap", "rot", "rotten-snapshot", "transfer"), 3),
        **dict.fromkeys(("lag", "wipe", "replace"), 3),
        "ring": 4,
    }


def test_smaller_scenario_that_goes_beyond_the_limits_does_not_fit():
    """What a lone member loses with its disk is no proof of what three of them lost."""
    scenario = replace(swarm.scenario(3), workloads=("register",), members=3, faults=(Fault("wipe", 1.0),))
    assert limits.fits(scenario) and not limits.fits(replace(scenario, members=1))
