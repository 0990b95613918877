"""`--write-out=fields`: one `"Name" : value` line per field, as etcdctl (3.6 and later) prints them.

Strings are Go-quoted, so every line is one line whatever the bytes. With --hex ids are hexadecimal.
"""

from __future__ import annotations

from typing import Any

from raftctl.context import write
from raftctl.go_text import format_duration, quote
from raftctl.output import Health
from raftkv import client as c


def _bool(value: bool) -> str:
    return "true" if value else "false"


class FieldsPrinter:
    """See the module."""

    def __init__(self, *, hexadecimal: bool) -> None:
        self._hex = hexadecimal
        self._lines: list[str] = []

    def _add(self, name: str, value: Any) -> None:
        self._lines.append(f'"{name}" : {value}\n')

    def _flush(self) -> None:
        write("".join(self._lines).encode("utf-8", "surrogateescape"))
        self._lines.clear()

    def _id(self, value: int) -> str:
        return f"{value:x}" if self._hex else str(value)

    def _lease(self, value: int) -> str:
        return f"{value:016x}" if self._hex else str(value)

    def _header(self, header: c.Header) -> None:
        self._add("ClusterID", self._id(header.cluster_id))
        self._add("MemberID", self._id(header.member_id))
        if header.revision > 0:
            self._add("Revision", header.revision)
        self._add("RaftTerm", header.raft_term)

    def _kv(self, prefix: str, kv: c.KeyValue) -> None:
        self._add(f"{prefix}Key", quote(kv.key))
        self._add(f"{prefix}CreateRevision", kv.create_revision)
        self._add(f"{prefix}ModRevision", kv.mod_revision)
        self._add(f"{prefix}Version", kv.version)
        self._add(f"{prefix}Value", quote(kv.value))
        self._add(f"{prefix}Lease", self._lease(kv.lease))

    def put(self, result: c.PutResult) -> None:
        """Header and previous key."""
        self._put(result)
        self._flush()

    def get(self, result: c.RangeResult, *, values_only: bool = False) -> None:
        """Header, keys, `More`, `Count`."""
        self._range(result)
        self._flush()

    def delete(self, result: c.DeleteResult) -> None:
        """Header, `Deleted`, previous keys."""
        self._delete(result)
        self._flush()

    def txn(self, result: c.TxnResult) -> None:
        """Header, `Succeeded`, each operation's fields."""
        self._txn(result)
        self._flush()

    def _put(self, result: c.PutResult) -> None:
        self._header(result.header)
        if result.previous is not None:
            self._kv("Prev", result.previous)

    def _range(self, result: c.RangeResult) -> None:
        self._header(result.header)
        for kv in result.kvs:
            self._kv("", kv)
        self._add("More", _bool(result.more))
        self._add("Count", result.count)

    def _delete(self, result: c.DeleteResult) -> None:
        self._header(result.header)
        self._add("Deleted", result.deleted)
        for kv in result.previous:
            self._kv("Prev", kv)

    def _txn(self, result: c.TxnResult) -> None:
        self._header(result.header)
        self._add("Succeeded", _bool(result.succeeded))
        for response in result.responses:
            if isinstance(response, c.PutResult):
                self._put(response)
            elif isinstance(response, c.RangeResult):
                self._range(response)
            elif isinstance(response, c.DeleteResult):
                self._delete(response)
            else:
                self._txn(response)

    def watch(self, batch: c.WatchBatch) -> None:
        """Header, then type and keys of each event."""
        self._header(batch.header)
        for event in batch.events:
            self._add("Type", event.type)
            if event.previous is not None:
                self._kv("Prev", event.previous)
            self._kv("", event.kv)
        self._flush()

    def grant(self, result: c.LeaseGrant) -> None:
        """Header, id, TTL."""
        self._header(result.header)
        self._add("ID", self._lease(result.id))
        self._add("TTL", result.ttl_s)
        self._flush()

    def revoke(self, lease_id: int, result: c.HeaderResult) -> None:
        """Header."""
        self._header(result.header)
        self._flush()

    def keep_alive(self, result: c.LeaseKeepAlive) -> None:
        """Header, id, TTL."""
        self._header(result.header)
        self._add("ID", self._lease(result.id))
        self._add("TTL", result.ttl_s)
        self._flush()

    def time_to_live(self, result: c.LeaseTimeToLive, *, keys: bool) -> None:
        """Header, id, both TTLs, keys."""
        self._header(result.header)
        self._add("ID", self._lease(result.id))
        self._add("TTL", result.ttl_s)
        self._add("GrantedTTL", result.granted_ttl_s)
        for key in result.keys:
            self._add("Key", quote(key))
        self._flush()

    def leases(self, result: c.LeaseList) -> None:
        """Header and ids."""
        self._header(result.header)
        for lease_id in result.ids:
            self._add("ID", self._lease(lease_id))
        self._flush()

    def member_list(self, result: c.MemberList) -> None:
        """Header, then each member and a blank line."""
        self._header(result.header)
        for member in result.members:
            self._add("ID", self._id(member.id))
            self._add("Name", quote(member.name.encode()))
            for url in member.peer_urls:
                self._add("PeerURL", quote(url.encode()))
            for url in member.client_urls:
                self._add("ClientURL", quote(url.encode()))
            self._add("IsLearner", _bool(member.is_learner))
            self._lines.append("\n")
        self._flush()

    def member_change(self, result: c.MemberList, member_id: int, text: str) -> None:
        """The membership that results (etcdctl has no such format for it)."""
        self.member_list(result)

    def move_leader(self, leader_id: int, target_id: int, result: c.HeaderResult) -> None:
        """From whom to whom (etcdctl has no such format for it)."""
        self._add("Leader", self._id(leader_id))
        self._add("Target", self._id(target_id))
        self._flush()

    def alarms(self, result: c.AlarmList) -> None:
        """Header, then each alarm and a blank line."""
        self._header(result.header)
        for alarm in result.alarms:
            self._add("MemberID", self._id(alarm.member_id))
            self._add("AlarmType", alarm.name)
            self._lines.append("\n")
        self._flush()

    def health(self, rows: list[Health]) -> None:
        """Each endpoint and a blank line."""
        for row in rows:
            self._add("Endpoint", quote(row.endpoint.encode()))
            self._add("Health", _bool(row.healthy))
            self._add("Took", format_duration(row.took_s))
            self._add("Error", row.error)
            self._lines.append("\n")
        self._flush()

    def status(self, rows: list[tuple[str, c.Status]]) -> None:
        """Each endpoint and a blank line."""
        for endpoint, status in rows:
            self._header(status.header)
            self._add("Version", quote(status.version.encode()))
            self._add("StorageVersion", quote(status.storage_version.encode()))
            self._add("DBSize", status.db_size_bytes)
            self._add("DBSizeInUse", status.db_size_in_use_bytes)
            self._add("DBSizeQuota", status.db_size_quota_bytes)
            self._add("Leader", status.leader)
            self._add("IsLearner", _bool(status.is_learner))
            self._add("RaftIndex", status.raft_index)
            self._add("RaftTerm", status.raft_term)
            self._add("RaftAppliedIndex", status.raft_applied_index)
            self._add("Errors", f"[{' '.join(status.errors)}]")
            self._add("Endpoint", quote(endpoint.encode()))
            self._add("DowngradeTargetVersion", quote(status.downgrade_target_version.encode()))
            self._add("DowngradeEnabled", _bool(status.downgrade_enabled))
            self._lines.append("\n")
        self._flush()

    def hash_kv(self, rows: list[tuple[str, c.HashKV]]) -> None:
        """Each endpoint and a blank line."""
        for endpoint, result in rows:
            self._header(result.header)
            self._add("Endpoint", quote(endpoint.encode()))
            self._add("Hash", result.hash)
            self._add("HashRevision", result.hash_revision)
            self._lines.append("\n")
        self._flush()
