"""A seed's scenario: each family of faults is in with probability one half, its rate drawn log-uniformly.

A run with a few kinds of faults, each often, finds more than one with all kinds in even measure (Groce et al., "Swarm
Testing", 2012). Every choice has a stream of its own, so adding a family leaves the other families' draws as they were.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from jepsen_like.sim.loop import FIFO, PCT, SHUFFLE
from jepsen_like.sim.scenario import FOLLOWER, LEADER, Fault, Scenario
from jepsen_like.sim.streams import stream

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "crash": ("kill", "power", "power"),
    "disaster": ("power-all",),
    "stop": ("stop", "rolling-restart"),
    "pause": ("pause",),
    "partition": ("isolate", "halves", "ring", "bridge", "one-way"),
    "swizzle": ("swizzle", "flap"),
    "link": ("slow-link", "rate-limit", "client-cut"),
    "connection": ("reset", "accept-stall"),
    "clock": ("clock-jump", "clock-strobe", "clock-rate"),
    "disk": ("slow-disk", "disk-error", "disk-full"),
    "rot": ("rot",),
    "leader": ("transfer",),
    "snapshot": ("lag", "lag", "lag", "rotten-snapshot"),
    "compaction": ("compact",),
    "wipe": ("wipe",),
    "place": ("place",),
    "members": ("replace",),
    "minority": ("isolate", "isolate", "halves"),
}
"""Family -> its faults, one of which is drawn each time."""

ONE_AT_A_TIME = ("crash", "disaster", "stop", "disk", "rot", "wipe", "place", "snapshot", "members")
"""Families whose faults have machines to themselves: the next one of a family comes after the last one's time."""

ONE_AFTER_ANOTHER = ("pause",)
"""More such families. A cluster most of which stands still does nothing that could go wrong."""

CROWD = 2
"""So many of these families come as often as they like; more of them come less often, or they would wait for each other to the end."""

MEMBERS_MIN: Mapping[str, int] = {"rotten-snapshot": 3, "ring": 4, "bridge": 3}

NOT_WITH_LEASES = ("clock-rate", "compact")
"""A lease ends by the leader's clock, so on one that runs fast it ends early; what bound holds then is nobody's promise. And a
compaction takes the events away that tell when expired leases took their keys."""

INTERVAL_S = (1.0, 8.0)
"""Mean time between two faults of a family."""

LENGTH_S = (0.1, 4.0)

OPERATIONS_WANTED = 1800
"""Calls a run asks for at least: a run that completes too few says nothing."""

MIXES = (
    ("register",),
    ("txn",),
    ("append",),
    ("kubernetes",),
    ("register", "txn"),
    ("register", "watch"),
    ("txn", "watch"),
    ("register", "txn", "watch"),
    ("register", "lease"),
    ("membership",),
)
"""Loads that run together. Only one of a mix watches, since watches are numbered by their load."""


class Focus(NamedTuple):
    """One family that a run is about, so that little else keeps its faults from taking effect."""

    family: str
    others: tuple[str, ...]
    """One of these families comes with it."""

    mixes: tuple[tuple[str, ...], ...]
    length_s: tuple[float, float]
    settings: Mapping[str, tuple[int, ...]]
    """Drawn anew from these."""


FOCUSES = (
    Focus(
        "snapshot",
        ("leader", "place", "crash", "connection", "pause", "disaster"),
        (("register", "watch"), ("txn", "watch"), ("register", "lease"), ("kubernetes",)),
        (0.5, 4.0),
        {"snapshot_count": (20, 40), "snapshot_catchup_entries": (2, 10), "election_timeout_ms": (500,), "heartbeat_interval_ms": (50,)},
    ),
    Focus(
        "crash",
        ("disaster", "snapshot", "rot", "leader"),
        (("register", "watch"), ("register", "txn"), ("append",), ("kubernetes",)),
        (0.1, 1.0),
        {
            "snapshot_count": (20, 40, 100),
            "wal_segment_bytes": (8_000, 20_000),
            "election_timeout_ms": (300, 500),
            "heartbeat_interval_ms": (29,),
        },
    ),
    Focus(
        "disk",
        ("crash", "leader", "snapshot", "pause"),
        (("register", "watch"), ("register", "txn"), ("append",), ("kubernetes",)),
        (0.2, 2.0),
        {
            "snapshot_count": (20, 40),
            "wal_segment_bytes": (8_000, 20_000),
            "election_timeout_ms": (300, 500),
            "heartbeat_interval_ms": (29,),
        },
    ),
    Focus(
        "pause",
        ("leader", "partition", "snapshot", "crash"),
        (("register", "lease"),),
        (1.5, 7.0),
        {"election_timeout_ms": (300, 500), "heartbeat_interval_ms": (29,)},
    ),
    Focus(
        "members",
        ("leader", "pause", "crash", "partition", "connection", "clock"),
        (("membership",), ("membership",), ("register", "watch"), ("register", "lease"), ("append",), ("kubernetes",)),
        (2.0, 6.0),
        {"snapshot_count": (20, 40, 1000), "election_timeout_ms": (500, 1000), "heartbeat_interval_ms": (50,)},
    ),
)
"""What is rare when every fault meets every other: a follower that needs a snapshot wants some undisturbed seconds, a leader that
was away for longer than a lease lasts comes back only after a long pause, and members refuse to be joined by others until they have all
been connected for five seconds. And what a disk held when the power went shows only if the next start comes soon."""

FOCUS_SHARE = 0.5

MINORITY = Focus(
    "minority",
    ("leader", "pause", "clock"),
    (("register",), ("append",), ("txn",), ("register", "lease")),
    (6.5, 10.0),
    {"election_timeout_ms": (300,), "heartbeat_interval_ms": (29,)},
)
"""Members are without a leader for longer than they let a call wait, and so are their clients: what must end then, and what is
said of it, is seen only in such runs."""

MINORITY_PATIENCE = 8.0
"""Longer than 5 s and two election timeouts, after which members give up."""

MINORITY_SHARE = 0.1

BYSTANDER_SHARE = 0.2
"""Of the runs with a client beside the load; it makes one a quarter longer."""

SLOW_COMPACTION_MS = 100
"""Between two slices, in half of those runs: members are then at different places of a compaction for seconds."""


def scenario(seed: int, *, virtual_s: float = 30.0) -> Scenario:
    """The scenario of a seed."""
    found = _general(seed, virtual_s)
    minority = stream(seed, "swarm", "minority")
    if minority.random() < MINORITY_SHARE:
        return replace(_focused(found, minority, MINORITY), patience=MINORITY_PATIENCE)
    rng = stream(seed, "swarm", "focus")
    found = _focused(found, rng, rng.choice(FOCUSES)) if rng.random() < FOCUS_SHARE else found
    return _accompanied(found, stream(seed, "swarm", "bystander"))


def _accompanied(alone: Scenario, rng: random.Random) -> Scenario:
    """With a client beside the load, or not. Not beside appends: the events of a history that does not name its writes are nobody's."""
    if rng.random() >= BYSTANDER_SHARE or "append" in alone.workloads:
        return alone
    settings = {"compaction_sleep_interval_ms": SLOW_COMPACTION_MS} if rng.random() < 0.5 else {}
    return replace(alone, bystander=True, settings={**alone.settings, **settings})


def _focused(general: Scenario, rng: random.Random, focus: Focus) -> Scenario:
    """The same cluster with other faults, loads and settings."""
    seed, virtual_s = general.seed, general.virtual_s
    members = max(3, general.members)
    mix = rng.choice(focus.mixes)
    faults = [*_family(seed, focus.family, members, virtual_s, focus.length_s, serial=True)]
    faults += _family(seed, rng.choice(focus.others), members, virtual_s, LENGTH_S, rarity=2.0)
    return replace(
        general,
        members=members,
        workloads=mix,
        rate=round(general.rate * len(general.workloads) / len(mix), 1),
        settings={**general.settings, **{name: rng.choice(values) for name, values in focus.settings.items()}},
        faults=_allowed(mix, faults),
    )


def _general(seed: int, virtual_s: float) -> Scenario:
    rng = stream(seed, "swarm")
    members = rng.choice((1, 3, 3, 3, 5))
    mix = rng.choice(MIXES)
    election_ms, heartbeat_ms = rng.choice(((1000, 100), (1000, 100), (500, 50), (300, 29), (2000, 100)))
    settings = {
        "election_timeout_ms": election_ms,
        "heartbeat_interval_ms": heartbeat_ms,
        "snapshot_count": rng.choice((20, 40, 100, 1000)),
        "snapshot_catchup_entries": rng.choice((2, 10, 100)),
        "wal_segment_bytes": rng.choice((8_000, 20_000, 100_000)),
        "backend_batch_interval_ms": rng.choice((20, 100, 1000)),
        "backend_batch_limit": rng.choice((10, 1000, 10_000)),
        "compaction_batch_limit": rng.choice((10, 100, 1000)),
        "watch_progress_notify_interval_ms": rng.choice((100, 1000, 600_000)),
    }
    slow = rng.random() < 0.3
    return Scenario(
        seed=seed,
        members=members,
        virtual_s=virtual_s,
        workloads=mix,
        rate=round(max(50.0, OPERATIONS_WANTED / virtual_s) * _log_uniform(rng, 1.0, 2.0) / len(mix), 1),
        schedule=rng.choice((FIFO, FIFO, SHUFFLE, PCT)),
        grain_s=rng.choice((0.0, 0.0, 0.0002, 0.001)),
        delay_s=(0.001, 0.02) if slow else (0.0002, 0.002),
        disk_s=rng.choice(((0.0001, 0.002), (0.0001, 0.002), (0.001, 0.02), (0.00001, 0.0001))),
        settings=settings,
        faults=_allowed(mix, _faults(seed, members, virtual_s)),
    )


def _allowed(mix: tuple[str, ...], faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """In their order, those that the loads' promises hold under."""
    ordered = sorted(faults, key=lambda fault: fault.at_s)
    return tuple(fault for fault in ordered if "lease" not in mix or fault.kind not in NOT_WITH_LEASES)


def _faults(seed: int, members: int, virtual_s: float) -> Iterator[Fault]:
    usable = [name for name in FAMILIES if (members > 1 or name in ALONE) and name not in FOCUS_ONLY]
    choice = stream(seed, "swarm", "families")
    chosen = [name for name in usable if choice.random() < 0.5] or [choice.choice(usable)]
    crowd = max(1.0, sum(family in ONE_AT_A_TIME for family in chosen) / CROWD)
    for family in chosen:
        yield from _family(seed, family, members, virtual_s, LENGTH_S, rarity=crowd if family in ONE_AT_A_TIME else 1.0)


def _family(
    seed: int, family: str, members: int, virtual_s: float, length_s: tuple[float, float], *, rarity: float = 1.0, serial: bool = False
) -> Iterator[Fault]:
    rng = stream(seed, "swarm", family)
    mean_s = _log_uniform(rng, *INTERVAL_S) * rarity * (1 if members > 1 else 2)
    at_s = 0.0
    while True:
        at_s += rng.expovariate(1 / mean_s) + 0.05
        if at_s >= virtual_s - 0.5:
            break
        fault = _fault(rng, family, members, at_s, length_s)
        yield fault
        if serial or family in (*ONE_AT_A_TIME, *ONE_AFTER_ANOTHER):
            at_s += fault.for_s


FOCUS_ONLY = ("members", "minority")
"""Families that keep their machines from all others for long."""

ALONE = ("crash", "disaster", "stop", "pause", "link", "connection", "clock", "disk", "compaction", "place")
"""Families that mean something to a cluster of one."""


def _fault(rng: random.Random, family: str, members: int, at_s: float, length_s: tuple[float, float]) -> Fault:
    kind = rng.choice([kind for kind in FAMILIES[family] if members >= MEMBERS_MIN.get(kind, 1)])
    count = 2 if members > 2 and rng.random() < 0.15 else 1
    targets = tuple(_target(rng, members) for _ in range(count))
    return Fault(kind, round(at_s, 3), round(_log_uniform(rng, *length_s), 3), targets, round(rng.random(), 4), rng.getrandbits(32))


def _target(rng: random.Random, members: int) -> str:
    draw = rng.random()
    if draw < 0.35:
        return LEADER
    return FOLLOWER if draw < 0.5 else f"m{rng.randrange(members)}"


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
