"""What commands print: one printer per `--write-out` format, each with one method for every result.

Formats and texts are etcdctl's (3.6 and later where it differs from 3.4). Everything is bytes, since keys and values are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from raftctl import fault
from raftctl.context import write
from raftctl.go_text import escape_hex, format_duration
from raftkv import client as c

if TYPE_CHECKING:
    from raftctl.fields_output import FieldsPrinter
    from raftctl.json_output import JSONPrinter


class Health:
    """What `endpoint health` found out about one endpoint; `error` is empty for a healthy one."""

    __slots__ = ("endpoint", "error", "healthy", "took_s")

    def __init__(self, endpoint: str, *, healthy: bool, took_s: float, error: str = "") -> None:
        self.endpoint = endpoint
        self.healthy = healthy
        self.took_s = took_s
        self.error = error


class Printer(Protocol):
    """A format for what commands on data return."""

    def put(self, result: c.PutResult) -> None:
        """A put."""

    def get(self, result: c.RangeResult, *, values_only: bool = False) -> None:
        """A get."""

    def delete(self, result: c.DeleteResult) -> None:
        """A del."""

    def txn(self, result: c.TxnResult) -> None:
        """A txn."""

    def watch(self, batch: c.WatchBatch) -> None:
        """One batch of a watch."""

    def grant(self, result: c.LeaseGrant) -> None:
        """A lease grant."""

    def revoke(self, lease_id: int, result: c.HeaderResult) -> None:
        """A lease revoke."""

    def keep_alive(self, result: c.LeaseKeepAlive) -> None:
        """One renewal of a lease."""

    def time_to_live(self, result: c.LeaseTimeToLive, *, keys: bool) -> None:
        """A lease timetolive."""

    def leases(self, result: c.LeaseList) -> None:
        """A lease list."""

    def member_change(self, result: c.MemberList, member_id: int, text: str) -> None:
        """A changed membership; `text` says what happened to the member."""

    def move_leader(self, leader_id: int, target_id: int, result: c.HeaderResult) -> None:
        """A move-leader."""

    def alarms(self, result: c.AlarmList) -> None:
        """Alarms."""


class ClusterPrinter(Protocol):
    """A format for what is said of members and endpoints, one row each."""

    def member_list(self, result: c.MemberList) -> None:
        """A member list."""

    def health(self, rows: list[Health]) -> None:
        """An endpoint health."""

    def status(self, rows: list[tuple[str, c.Status]]) -> None:
        """An endpoint status."""

    def hash_kv(self, rows: list[tuple[str, c.HashKV]]) -> None:
        """An endpoint hashkv."""


def make_printer(format_name: str, *, hexadecimal: bool) -> Printer:
    """The printer of a format, for data.

    Raises:
        Fault: etcdctl has no such format, or not for data.
    """
    if format_name == "table":
        # NB: etcdctl finds this out after the write has happened.
        raise fault.Fault(fault.BAD_FEATURE, "table not supported as output format")
    if format_name == "protobuf":
        from raftctl.protobuf_output import ProtobufPrinter

        return ProtobufPrinter()
    return _make_common(format_name, hexadecimal=hexadecimal)


def make_cluster_printer(format_name: str, *, hexadecimal: bool) -> ClusterPrinter:
    """The printer of a format, for members and endpoints.

    Raises:
        Fault: etcdctl has no such format.
    """
    if format_name == "table":
        from raftctl.table_output import TablePrinter

        return TablePrinter()
    if format_name == "protobuf":
        from raftctl.protobuf_output import ProtobufClusterPrinter

        return ProtobufClusterPrinter()
    return _make_common(format_name, hexadecimal=hexadecimal)


def _make_common(format_name: str, *, hexadecimal: bool) -> SimplePrinter | JSONPrinter | FieldsPrinter:
    if format_name == "simple":
        return SimplePrinter(hexadecimal=hexadecimal)
    if format_name == "json":
        from raftctl.json_output import JSONPrinter

        return JSONPrinter(hexadecimal=hexadecimal)
    if format_name == "fields":
        from raftctl.fields_output import FieldsPrinter

        return FieldsPrinter(hexadecimal=hexadecimal)
    raise fault.Fault(fault.BAD_FEATURE, "unsupported output format")


def write_line(text: str) -> None:
    """One line of text."""
    write(text.encode("utf-8", "surrogateescape") + b"\n")


class SimplePrinter:
    """The default: what a person or a shell script wants, and nothing else."""

    def __init__(self, *, hexadecimal: bool) -> None:
        self._hex = hexadecimal

    def put(self, result: c.PutResult) -> None:
        """`OK`, and the key as it was before if asked for."""
        write(self._put(result))

    def get(self, result: c.RangeResult, *, values_only: bool = False) -> None:
        """A line for the key and one for the value."""
        write(self._pairs(result.kvs, values_only=values_only))

    def delete(self, result: c.DeleteResult) -> None:
        """How many, and the keys as they were if asked for."""
        write(self._delete(result))

    def txn(self, result: c.TxnResult) -> None:
        """Which branch, then a blank line and the answer for each operation."""
        write(self._txn(result))

    def watch(self, batch: c.WatchBatch) -> None:
        """The event's type, the key before it if asked for, the key after it."""
        parts = []
        for event in batch.events:
            parts.append(event.type.encode() + b"\n")
            if event.previous is not None:
                parts.append(self._pairs([event.previous]))
            parts.append(self._pairs([event.kv]))
        write(b"".join(parts))

    def grant(self, result: c.LeaseGrant) -> None:
        """Id and TTL."""
        write_line(f"lease {_lease(result.id)} granted with TTL({result.ttl_s}s)")

    def revoke(self, lease_id: int, result: c.HeaderResult) -> None:
        """That it is gone."""
        write_line(f"lease {_lease(lease_id)} revoked")

    def keep_alive(self, result: c.LeaseKeepAlive) -> None:
        """The TTL it has again."""
        write_line(f"lease {_lease(result.id)} keepalived with TTL({result.ttl_s})")

    def time_to_live(self, result: c.LeaseTimeToLive, *, keys: bool) -> None:
        """Both TTLs and the keys."""
        if result.granted_ttl_s == 0 and result.ttl_s == -1:
            write_line(f"lease {_lease(result.id)} already expired")
            return
        line = f"lease {_lease(result.id)} granted with TTL({result.granted_ttl_s}s), remaining({result.ttl_s}s)".encode()
        if keys:
            line += b", attached keys([" + b" ".join(result.keys) + b"])"
        write(line + b"\n")

    def leases(self, result: c.LeaseList) -> None:
        """How many, then the ids."""
        write_line("\n".join([f"found {len(result.ids)} leases", *map(_lease, result.ids)]))

    def member_list(self, result: c.MemberList) -> None:
        """One line per member."""
        from raftctl.table_output import member_rows

        self._rows(member_rows(result)[1])

    def member_change(self, result: c.MemberList, member_id: int, text: str) -> None:
        """What happened to the member."""
        write_line(f"Member {member_id:16x} {text} cluster {result.header.cluster_id:16x}")

    def move_leader(self, leader_id: int, target_id: int, result: c.HeaderResult) -> None:
        """From whom to whom."""
        write_line(f"Leadership transferred from {leader_id:x} to {target_id:x}")

    def alarms(self, result: c.AlarmList) -> None:
        """One line per alarm, in protobuf's text form."""
        write(b"".join(_alarm(alarm) for alarm in result.alarms))

    def health(self, rows: list[Health]) -> None:
        """One line per endpoint; the unhealthy ones on standard error."""
        import sys

        for row in rows:
            if row.error:
                print(f"{row.endpoint} is unhealthy: failed to commit proposal: {row.error}", file=sys.stderr)
            else:
                write_line(f"{row.endpoint} is healthy: successfully committed proposal: took = {format_duration(row.took_s)}")

    def status(self, rows: list[tuple[str, c.Status]]) -> None:
        """One line per endpoint."""
        from raftctl.table_output import status_rows

        self._rows(status_rows(rows)[1])

    def hash_kv(self, rows: list[tuple[str, c.HashKV]]) -> None:
        """One line per endpoint."""
        from raftctl.table_output import hash_rows

        self._rows(hash_rows(rows)[1])

    def _rows(self, rows: list[list[str]]) -> None:
        write("".join(", ".join(row) + "\n" for row in rows).encode())

    def _pairs(self, kvs: list[c.KeyValue], *, values_only: bool = False) -> bytes:
        lines = []
        for kv in kvs:
            if not values_only:
                lines.append(self._bytes(kv.key))
            lines.append(self._bytes(kv.value))
        return b"".join(line + b"\n" for line in lines)

    def _bytes(self, data: bytes) -> bytes:
        return escape_hex(data).encode() if self._hex else data

    def _put(self, result: c.PutResult) -> bytes:
        return b"OK\n" + (self._pairs([result.previous]) if result.previous is not None else b"")

    def _delete(self, result: c.DeleteResult) -> bytes:
        return f"{result.deleted}\n".encode() + self._pairs(result.previous)

    def _txn(self, result: c.TxnResult) -> bytes:
        parts = [b"SUCCESS\n" if result.succeeded else b"FAILURE\n"]
        for response in result.responses:
            parts.append(b"\n")
            if isinstance(response, c.PutResult):
                parts.append(self._put(response))
            elif isinstance(response, c.DeleteResult):
                parts.append(self._delete(response))
            elif isinstance(response, c.RangeResult):
                parts.append(self._pairs(response.kvs))
            else:
                parts.append(self._txn(response))
        return b"".join(parts)


def _lease(lease_id: int) -> str:
    """A lease id as etcdctl writes it; a negative one keeps its sign."""
    return f"{lease_id:016x}"


def _alarm(alarm: c.Alarm) -> bytes:
    member = f"memberID:{alarm.member_id} " if alarm.member_id else ""
    kind = f"alarm:{alarm.name} " if alarm.kind else ""
    return f"{member}{kind}\n".encode()
