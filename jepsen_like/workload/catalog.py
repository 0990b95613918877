"""The workloads by name: what each is for, what a run of it must at least have done, and what a right store gives."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from jepsen_like.history import Operation
from jepsen_like.workload.workload import Workload

VALID, INVALID, EITHER = "valid", "invalid", "either"

RANGE_DELETE, SEVERAL, LEASED = "delete of a range", "txn that may change several keys", "with a lease"
LEASED_WRITES = frozenset(f"{f} {LEASED}" for f in ("put", "cas", "txn"))
REFINED = LEASED_WRITES | {RANGE_DELETE, SEVERAL}
"""What a call is beyond its name, where some checks know the one and not the other; see `call_of`."""

REGISTER = frozenset({"put", "get", "delete", "cas"})
"""What the search on single keys takes for the only writes there are."""

OBJECTS = frozenset({"put", "get", "range", "delete", "cas", "txn"})
"""Every write of them changes one key."""

DATA = OBJECTS | {RANGE_DELETE, SEVERAL}
LEASES = frozenset({"grant", "keepalive", "lease-ttl", "revoke"})
BESIDE_REGISTERS = frozenset({"range"})
LOCKS = frozenset({"acquire", "release", "guarded", "observe"})
WRITES = frozenset({"put", "delete", "cas", "txn"})
REGISTER_NEEDS = (frozenset({"get"}), frozenset({"put", "cas"}))
LOCK_NEEDS = (frozenset({"acquire"}), frozenset({"guarded"}))
FENCED, UNFENCED = frozenset({"lock", "election"}), frozenset({"unfenced-lock"})

ANYWHERE = frozenset({"get", "hashkv", "compact", "member-list", "member-add", "member-update", "member-promote", "member-remove"})
"""Calls that any run may hold: its first and last questions, and those of faults that compact or replace a member; `judgement` judges
the latter."""


BASE, AWAITED, LEFT_ALONE = "base revision", "awaited watches", "leases left alone"

NOTES = {
    BASE: "whether each revision was made by some call",
    AWAITED: "whether each watcher was shown everything to the end",
    LEFT_ALONE: "whether leases that nobody renewed any more ended in time",
}
"""What a run writes down about itself -> what cannot be looked at in a history without it."""


class UnknownWorkloadError(ValueError):
    """There is no workload of that name; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One workload."""

    name: str
    where: str
    """`module:Class` below this package; imported when it is used."""

    about: str
    own: frozenset[str]
    """Calls whose answers its checks are about, as `call_of` names them; a history without one proves nothing."""

    also: frozenset[str] = frozenset()
    """Calls that its checks read besides."""

    needs: tuple[frozenset[str], ...] = ()
    """Of each set one call at least must have been answered with success: a part of its checks is about them and nothing else."""

    notes: tuple[str, ...] = ()
    """Of `NOTES`, those that its runs leave and without which a part of its checks is silent."""

    apart: frozenset[str] = frozenset()
    """Workloads whose calls have the same names and other promises: what their histories say of themselves alone tells them apart."""

    watches: bool = False
    """Its checks are about what watchers were shown, too."""

    expected: str = VALID
    """What a right store gives under pauses and partitions."""

    ok_per_s_min: float = 10.0
    """Fewer acknowledged calls a second make a run worthless."""

    unknown_max: float = 0.01
    """A larger share of unknown outcomes makes a run worthless: too much could have happened."""

    calm_s: float = 0.0
    """The load needs so many seconds without a fault now and then; 0: it does not."""

    def knows(self, call: str) -> bool:
        """Whether a history of it may hold such a call, as `call_of` names it."""
        return call in self.own or call in self.also or call in ANYWHERE


def call_of(operation: Operation) -> str:
    """The name of a call, or more than that where it does what only some checks reckon with."""
    f, argument = operation.f, operation.argument
    if operation.lease and f"{f} {LEASED}" in LEASED_WRITES:
        return f"{f} {LEASED}"
    if f == "delete" and argument:
        return RANGE_DELETE
    if f == "txn" and any(_changes_several(steps) for steps in argument[1:]):
        return SEVERAL
    return f


def _changes_several(steps: Sequence[Sequence[str]]) -> bool:
    writes = [step for step in steps if step[0] in ("put", "delete")]
    return len(writes) > 1 or any(step[0] == "delete" and step[2] for step in writes)


WORKLOADS: tuple[Entry, ...] = (
    Entry(
        "register",
        "register:Register",
        "reads, writes, deletes and compare-and-swaps of single keys",
        REGISTER,
        BESIDE_REGISTERS,
        needs=REGISTER_NEEDS,
        notes=(BASE,),
    ),
    Entry(
        "txn",
        "txn:Txn",
        "multi-key transactions, ranges, reads of old revisions, range deletes",
        DATA,
        needs=(frozenset({"get", "range"}), WRITES),
        notes=(BASE,),
    ),
    Entry("append", "list_append:ListAppend", "transactions on lists: cycles between transactions, by name", frozenset({"append"})),
    Entry(
        "set",
        "grow_set:GrowSet",
        "a set that only grows: lost adds",
        frozenset({"add", "members"}),
        needs=(frozenset({"add"}), frozenset({"members"})),
    ),
    Entry(
        "watch",
        "guarantees:WatchGuarantees",
        "every promise made to watchers, from the first revision to the last",
        DATA,
        needs=(WRITES,),
        notes=(BASE, AWAITED),
        watches=True,
    ),
    Entry(
        "kubernetes",
        "kubernetes:Kubernetes",
        "paged lists, watches from their revision, optimistic writes, compaction; caches must converge",
        OBJECTS,
        frozenset({"cache"}),
        needs=(WRITES, frozenset({"cache"})),
        notes=(BASE, AWAITED),
        watches=True,
    ),
    Entry(
        "lease",
        "leases:Leases",
        "leases end neither early nor never",
        LEASES,
        DATA | LEASED_WRITES,
        needs=(frozenset({"grant"}), frozenset({"lease-ttl"})),
        notes=(AWAITED, LEFT_ALONE),
        watches=True,
        ok_per_s_min=3.0,
        unknown_max=0.05,
    ),
    Entry(
        "lock",
        "lock:Lock",
        "a lock whose token guards every write",
        LOCKS,
        needs=LOCK_NEEDS,
        apart=UNFENCED,
        ok_per_s_min=1.0,
        unknown_max=0.1,
    ),
    Entry(
        "unfenced-lock",
        "lock:UnfencedLock",
        "the same without the token: shows why it is needed",
        LOCKS,
        needs=LOCK_NEEDS,
        apart=FENCED,
        expected=EITHER,
        ok_per_s_min=1.0,
        unknown_max=0.1,
    ),
    Entry(
        "election",
        "lock:Election",
        "one leader at a time, whose writes carry his term",
        LOCKS,
        needs=(*LOCK_NEEDS, frozenset({"observe"})),
        apart=UNFENCED,
        ok_per_s_min=3.0,
        unknown_max=0.1,
    ),
    Entry(
        "stale-register",
        "register:StaleRegister",
        "positive control: reads that may be stale, checked as if they may not",
        REGISTER,
        BESIDE_REGISTERS,
        needs=REGISTER_NEEDS,
        notes=(BASE,),
        expected=INVALID,
    ),
    Entry(
        "membership",
        "membership:Membership",
        "learners are added, not promoted and removed under load; the member list is one register",
        frozenset({"member-list"}),
        REGISTER | BESIDE_REGISTERS,
        needs=REGISTER_NEEDS,
        notes=(BASE,),
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
