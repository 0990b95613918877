"""The workloads by name: what each is for, what a run of it must at least have done, and what a right store gives."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from jepsen_like.workload.workload import Workload

VALID, INVALID, EITHER = "valid", "invalid", "either"


class UnknownWorkloadError(ValueError):
    """There is no workload of that name; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One workload."""

    name: str
    where: str
    """`module:Class` below this package; imported when it is used."""

    about: str
    expected: str = VALID
    """What a right store gives under pauses and partitions."""

    ok_per_s_min: float = 10.0
    """Fewer acknowledged calls a second make a run worthless."""

    unknown_max: float = 0.01
    """A larger share of unknown outcomes makes a run worthless: too much could have happened."""

    calm_s: float = 0.0
    """The load needs so many seconds without a fault now and then; 0: it does not."""


WORKLOADS: tuple[Entry, ...] = (
    Entry("register", "register:Register", "reads, writes, deletes and compare-and-swaps of single keys"),
    Entry("txn", "txn:Txn", "multi-key transactions, ranges, reads of old revisions, range deletes"),
    Entry("append", "list_append:ListAppend", "transactions on lists: cycles between transactions, by name"),
    Entry("set", "grow_set:GrowSet", "a set that only grows: lost adds"),
    Entry("watch", "guarantees:WatchGuarantees", "every promise made to watchers, from the first revision to the last"),
    Entry(
        "kubernetes",
        "kubernetes:Kubernetes",
        "paged lists, watches from their revision, optimistic writes, compaction; caches must converge",
    ),
    Entry("lease", "leases:Leases", "leases end neither early nor never", ok_per_s_min=3.0, unknown_max=0.05),
    Entry("lock", "lock:Lock", "a lock whose token guards every write", ok_per_s_min=1.0, unknown_max=0.1),
    Entry(
        "unfenced-lock",
        "lock:UnfencedLock",
        "the same without the token: shows why it is needed",
        expected=EITHER,
        ok_per_s_min=1.0,
        unknown_max=0.1,
    ),
    Entry("election", "lock:Election", "one leader at a time, whose writes carry his term", ok_per_s_min=3.0, unknown_max=0.1),
    Entry(
        "stale-register",
        "register:StaleRegister",
        "positive control: reads that may be stale, checked as if they may not",
        expected=INVALID,
    ),
    Entry(
        "membership",
        "membership:Membership",
        "learners are added, not promoted and removed under load; the member list is one register",
        # Twice etcd's HealthInterval: so long members refuse newcomers after the last connection was made.
        calm_s=10.0,
    ),
)

BY_NAME = {entry.name: entry for entry in WORKLOADS}


def entry_of(name: str) -> Entry:
    """The workload's entry.

    Raises:
        UnknownWorkloadError: there is none.
    """
    entry = BY_NAME.get(name)
    if entry is None:
        raise UnknownWorkloadError(f"no workload {name!r}; there are {', '.join(BY_NAME)}")
    return entry


def make(name: str, prefix: str = "") -> Workload:
    """A new instance, for one run; its keys lie below the prefix.

    Raises:
        UnknownWorkloadError: as `entry_of`.
    """
    module, _colon, kind = entry_of(name).where.partition(":")
    return cast(Workload, getattr(importlib.import_module(f"jepsen_like.workload.{module}"), kind)(prefix))
