"""Every fault that can be done to real processes, by name."""

from __future__ import annotations

from jepsen_like.nemesis import partitions, processes, traffic
from jepsen_like.nemesis.fault import Fault

ALL: tuple[type[Fault], ...] = (
    processes.Kill,
    processes.KillAll,
    processes.RollingRestart,
    processes.Pause,
    processes.PauseAll,
    partitions.Isolate,
    partitions.Halves,
    partitions.MajoritiesRing,
    partitions.Bridge,
    partitions.OneWay,
    partitions.ClientsCut,
    traffic.Flapping,
    traffic.Delay,
    traffic.Loss,
    traffic.Duplicate,
    traffic.Reorder,
    traffic.Corrupt,
    traffic.RateLimit,
    traffic.Reset,
    traffic.AcceptStall,
)

FAULTS: dict[str, type[Fault]] = {fault.name: fault for fault in ALL}

GROUPS: dict[str, tuple[str, ...]] = {"partition": tuple(name for name in FAULTS if name.startswith("partition"))}
"""Names for several."""


class UnknownFaultError(ValueError):
    """There is no fault of that name; the text lists those there are."""


def chosen(names: list[str]) -> list[type[Fault]]:
    """The faults of these names; `all` stands for every one, and a group's name for its members.

    Raises:
        UnknownFaultError: a name is not known.
    """
    found: dict[str, type[Fault]] = {}
    for name in names:
        for one in FAULTS if name == "all" else GROUPS.get(name, (name,)):
            if one not in FAULTS:
                raise UnknownFaultError(f"no fault {one!r}; there are {', '.join([*FAULTS, *GROUPS, 'all'])}")
            found[one] = FAULTS[one]
    return list(found.values())
