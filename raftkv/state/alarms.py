"""Alarms that stand, by member and type, and what they forbid.

An alarm is raised and lifted through the log and stands in `Table.ALARM`, so every member refuses the same requests at
the same entry. Source: spec/etcd-behaviour.md §1.6.
"""

from __future__ import annotations

import struct

from raftkv.pb import rpc
from raftkv.state import bodies
from raftkv.storage.backend import Table, Tables

_KEY = struct.Struct(">QI")


class Alarms:
    """The standing alarms, as (member id, type) pairs; type is etcd's number. Loop only."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._standing: set[tuple[int, int]] = {_KEY.unpack(key) for key, _ in tables.scan(Table.ALARM, b"", None)}

    def apply(self, request: rpc.AlarmRequest) -> bytes:
        """Runs one alarm request. Returns the AlarmResponse without its header.

        GET answers every member's alarms of the type (NONE: of all types), ACTIVATE the alarm, DEACTIVATE the one that was
        lifted, if any. Activating NONE does nothing.
        """
        alarm = (request.memberID, request.alarm)
        if request.action == rpc.AlarmRequest.GET:
            return bodies.of_alarms(self.standing(request.alarm))
        if request.action == rpc.AlarmRequest.ACTIVATE and request.alarm != rpc.NONE:
            self._standing.add(alarm)
            self._tables.put(Table.ALARM, _KEY.pack(*alarm), b"")
            return bodies.of_alarms((alarm,))
        if request.action == rpc.AlarmRequest.DEACTIVATE and alarm in self._standing:
            self._standing.remove(alarm)
            self._tables.delete(Table.ALARM, _KEY.pack(*alarm))
            return bodies.of_alarms((alarm,))
        return b""

    def standing(self, alarm: int = 0) -> tuple[tuple[int, int], ...]:
        """Pairs of (member id, type), by member id; 0 for all types."""
        return tuple(sorted(item for item in self._standing if alarm in (0, item[1])))

    @property
    def no_space(self) -> bool:
        """Some member is over its quota: what makes the store grow is refused."""
        return any(alarm == rpc.NOSPACE for _, alarm in self._standing)

    @property
    def corrupt(self) -> bool:
        """Members' stores differ: every change is refused."""
        return any(alarm == rpc.CORRUPT for _, alarm in self._standing)
