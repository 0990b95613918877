"""Each fault that was asked for has its turn as early as there can be one."""

from __future__ import annotations

import random

import pytest

from jepsen_like.nemesis.fault import Fault
from jepsen_like.nemesis.schedule import Schedule


def kind(name: str, shortest_s: float = 0.5, longest_s: float = 2.5) -> type[Fault]:
    return type(name, (Fault,), {"name": name, "hold_s": (shortest_s, longest_s)})


MANY = [kind(f"f{number}") for number in range(6)]


def drawn(schedule: Schedule, time_s: float) -> list[str]:
    """The names, in order, that fit in the time."""
    names = []
    while (turn := schedule.next(time_s)) is not None:
        time_s -= turn.gap_s + turn.hold_s
        assert time_s >= 0
        names.append(turn.fault.name)
    return names


@pytest.mark.parametrize("seed", range(20))
def test_no_fault_comes_twice_before_all_came_once(seed):
    names = drawn(Schedule(MANY, random.Random(seed)), 100.0)
    assert len(names) > 18
    for start in range(0, len(names) - 5, 6):
        assert len(set(names[start : start + 6])) == 6 or start + 12 > len(names)


def test_order_is_the_seed_s():
    assert drawn(Schedule(MANY, random.Random(1)), 60.0) == drawn(Schedule(MANY, random.Random(1)), 60.0)
    assert len({tuple(drawn(Schedule(MANY, random.Random(seed)), 60.0)) for seed in range(5)}) == 5


@pytest.mark.parametrize("seed", range(20))
def test_short_run_cuts_faults_and_passes_over_what_does_not_fit(seed):
    """A long fault that is drawn first does not end the schedule; what never came is told."""
    long, short = kind("long", 30.0, 40.0), kind("short", 0.5, 20.0)
    schedule = Schedule([long, short], random.Random(seed))
    names = drawn(schedule, 5.0)
    assert set(names) == {"short"}
    assert schedule.undrawn == [long]


def test_nothing_asked_for_is_never_drawn():
    schedule = Schedule([], random.Random(1))
    assert (schedule.next(60.0), schedule.undrawn) == (None, [])


def test_load_that_needs_calm_has_it_before_every_third_fault():
    """Members refuse newcomers for five seconds after a connection broke: under faults without a pause nobody could ever be added."""
    schedule = Schedule(MANY, random.Random(1), calm_s=10.0)
    gaps = [turn.gap_s for _number in range(6) if (turn := schedule.next(60.0)) is not None]
    assert [gap_s > 10.0 for gap_s in gaps] == [False, False, True, False, False, True]
    assert max(gaps) < 12.0
