"""Where the state machine stands in the log, and what it knows of the cluster as a whole: rows of `Table.META`.

The rows are written into the same buffer as the changes they speak of, so they become durable together (design §4
rule 5). The store keeps its own rows (compaction marks) in the same table.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

import msgpack

from raftkv.storage.backend import Reader, Table, Tables

_APPLIED_KEY = b"applied"
_CONF_STATE_KEY = b"conf_state"
_CLUSTER_VERSION_KEY = b"cluster_version"
_APPLIED = struct.Struct(">QQ")

ConfStateTuple: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]
"""Voters, learners, outgoing voters, next learners, auto leave: `raft.messages.ConfState` as plain values."""


def read_applied(source: Tables | Reader) -> tuple[int, int]:
    """Index and term of the last entry whose changes are in the tables; zeros for a new member."""
    row = source.get(Table.META, _APPLIED_KEY)
    if row is None:
        return 0, 0
    index, term = _APPLIED.unpack(row)
    return index, term


def read_conf_state(source: Tables | Reader) -> ConfStateTuple | None:
    """The configuration as of the applied index; None before the first."""
    row = source.get(Table.META, _CONF_STATE_KEY)
    if row is None:
        return None
    voters, learners, outgoing, learners_next, auto_leave = msgpack.unpackb(row)
    return tuple(voters), tuple(learners), tuple(outgoing), tuple(learners_next), auto_leave


class Meta:
    """The rows. Loop only."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def applied(self) -> tuple[int, int]:
        """See `read_applied`."""
        return read_applied(self._tables)

    def save_applied(self, index: int, term: int) -> None:
        """See `applied`."""
        self._tables.put(Table.META, _APPLIED_KEY, _APPLIED.pack(index, term))

    def conf_state(self) -> ConfStateTuple | None:
        """See `read_conf_state`."""
        return read_conf_state(self._tables)

    def save_conf_state(self, conf_state: ConfStateTuple) -> None:
        """See `conf_state`."""
        self._tables.put(Table.META, _CONF_STATE_KEY, msgpack.packb(tuple(conf_state)))

    def cluster_version(self) -> str:
        """The level every member speaks; empty until it is decided."""
        row = self._tables.get(Table.META, _CLUSTER_VERSION_KEY)
        return row.decode() if row else ""

    def save_cluster_version(self, version: str) -> None:
        """See `cluster_version`."""
        self._tables.put(Table.META, _CLUSTER_VERSION_KEY, version.encode())
