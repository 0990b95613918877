"""Every fault that can be done to real processes, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jepsen_like.cluster import loop_disk
from jepsen_like.cluster.cluster import FAILPOINTS, LOOP, TRACE
from jepsen_like.cluster.systems import RAFTKV
from jepsen_like.nemesis import clocks, disks, failing, losses, members, operations, partitions, processes, traffic
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
    clocks.ClockJump,
    clocks.ClockStrobe,
    clocks.ClockSkew,
    disks.DiskFull,
    disks.SyncError,
    losses.TornWrite,
    losses.PowerCut,
    losses.LostNames,
    disks.BitRot,
    disks.SlowDisk,
    members.Replace,
    operations.SnapshotInstall,
    operations.Compaction,
    operations.LeaderMoves,
    failing.Failpoint,
    processes.Starve,
    losses.PowerCutAll,
    disks.Wipe,
)

FAULTS: dict[str, type[Fault]] = {fault.name: fault for fault in ALL}


@dataclass(frozen=True, slots=True)
class Prepared:
    """How a cluster has to be opened for faults to be possible."""

    instruments: frozenset[str]
    flags: tuple[str, ...]


def prepared(names: Iterable[str], backend: str, system: str = RAFTKV) -> Prepared:
    """For `open_cluster`, before a `Nemesis` of these names.

    Raises:
        UnknownFaultError: a name is not known.
    """
    faults = chosen(list(names))
    instruments = frozenset().union(*(fault.instruments for fault in faults))
    if losses.POWER in instruments:
        real = backend == "NS" and not loop_disk.unavailable_because()
        # What is held between a write and its sync when the power goes is held at a failpoint.
        instruments = (instruments - {losses.POWER}) | ({LOOP} if real else {TRACE, FAILPOINTS})
    if system != RAFTKV:
        # What stands inside a process, and flags of ours, are not for others.
        return Prepared(instruments & {LOOP}, ())
    return Prepared(instruments, tuple(dict.fromkeys(flag for fault in faults for flag in fault.flags)))


GROUPS: dict[str, tuple[str, ...]] = {
    "partition": tuple(name for name in FAULTS if name.startswith("partition")),
    "traffic": tuple(fault.name for fault in ALL if issubclass(fault, traffic.Shaped)),
    "clock": tuple(fault.name for fault in ALL if issubclass(fault, clocks.ClockFault)),
    "disk": tuple(fault.name for fault in ALL if issubclass(fault, disks.DiskFault)),
    "power": tuple(fault.name for fault in ALL if issubclass(fault, losses.PowerCut)),
}
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
