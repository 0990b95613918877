"""`--write-out=json`: Go's encoding of etcd's Go structs, which is what etcdctl prints.

So: numbers are numbers even above 2⁵³, bytes are base64, enumerations are numbers, zero fields are left out, and the structs of
etcd's Go client keep its spelling (`TTL` here, `granted-ttl` there).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from raftctl.context import write
from raftctl.go_text import format_duration
from raftctl.output import Health
from raftkv import client as c

_HTML = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
"""Go's encoder escapes these in strings; outside strings they do not occur."""

Object = dict[str, Any]


def dump(value: Any) -> bytes:
    """One line of JSON as Go's encoder writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char, escaped in _HTML:
        text = text.replace(char, escaped)
    return text.encode("utf-8", "surrogateescape") + b"\n"


def _set(fields: Iterable[tuple[str, Any]]) -> Object:
    """Go's `omitempty`: only fields that are not zero."""
    return {name: value for name, value in fields if value}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _header_fields(header: c.Header) -> Object:
    return _set(
        (
            ("cluster_id", header.cluster_id),
            ("member_id", header.member_id),
            ("revision", header.revision),
            ("raft_term", header.raft_term),
        )
    )


def _kv(kv: c.KeyValue) -> Object:
    return _set(
        (
            ("key", _base64(kv.key)),
            ("create_revision", kv.create_revision),
            ("mod_revision", kv.mod_revision),
            ("version", kv.version),
            ("value", _base64(kv.value)),
            ("lease", kv.lease),
        )
    )


def _put(result: c.PutResult) -> Object:
    previous = None if result.previous is None else _kv(result.previous)
    return _set((("header", _header_fields(result.header)),)) | ({} if previous is None else {"prev_kv": previous})


def _range(result: c.RangeResult) -> Object:
    return _set(
        (
            ("header", _header_fields(result.header)),
            ("kvs", [_kv(kv) for kv in result.kvs]),
            ("more", result.more),
            ("count", result.count),
        )
    )


def _delete(result: c.DeleteResult) -> Object:
    return _set(
        (
            ("header", _header_fields(result.header)),
            ("deleted", result.deleted),
            ("prev_kvs", [_kv(kv) for kv in result.previous]),
        )
    )


def _txn(result: c.TxnResult) -> Object:
    responses = [{"Response": _response(response)} for response in result.responses]
    return _set((("header", _header_fields(result.header)), ("succeeded", result.succeeded), ("responses", responses)))


def _response(response: c.PutResult | c.RangeResult | c.DeleteResult | c.TxnResult) -> Object:
    if isinstance(response, c.PutResult):
        return {"response_put": _put(response)}
    if isinstance(response, c.RangeResult):
        return {"response_range": _range(response)}
    if isinstance(response, c.DeleteResult):
        return {"response_delete_range": _delete(response)}
    return {"response_txn": _txn(response)}


def _event(event: c.Event) -> Object:
    previous = {} if event.previous is None else {"prev_kv": _kv(event.previous)}
    return _set((("type", 1 if event.type == "DELETE" else 0),)) | {"kv": _kv(event.kv)} | previous


def _status(status: c.Status) -> Object:
    downgrade = _set((("enabled", status.downgrade_enabled), ("targetVersion", status.downgrade_target_version)))
    return _set(
        (
            ("header", _header_fields(status.header)),
            ("version", status.version),
            ("dbSize", status.db_size_bytes),
            ("leader", status.leader),
            ("raftIndex", status.raft_index),
            ("raftTerm", status.raft_term),
            ("raftAppliedIndex", status.raft_applied_index),
            ("errors", status.errors),
            ("dbSizeInUse", status.db_size_in_use_bytes),
            ("isLearner", status.is_learner),
            ("storageVersion", status.storage_version),
            ("dbSizeQuota", status.db_size_quota_bytes),
        )
    ) | ({"downgradeInfo": downgrade} if status.downgrade_known else {})


class JSONPrinter:
    """One JSON value per line; see the module."""

    def __init__(self, *, hexadecimal: bool) -> None:
        self._hex = hexadecimal

    def put(self, result: c.PutResult) -> None:
        """PutResponse."""
        write(dump(_put(result)))

    def get(self, result: c.RangeResult, *, values_only: bool = False) -> None:
        """RangeResponse."""
        write(dump(_range(result)))

    def delete(self, result: c.DeleteResult) -> None:
        """DeleteRangeResponse."""
        write(dump(_delete(result)))

    def txn(self, result: c.TxnResult) -> None:
        """TxnResponse."""
        write(dump(_txn(result)))

    def watch(self, batch: c.WatchBatch) -> None:
        """The Go client's WatchResponse."""
        write(
            dump(
                {
                    "Header": _header_fields(batch.header),
                    "Events": [_event(event) for event in batch.events],
                    "CompactRevision": batch.compact_revision,
                    "Canceled": batch.canceled,
                    "Created": batch.created,
                }
            )
        )

    def grant(self, result: c.LeaseGrant) -> None:
        """The Go client's LeaseGrantResponse; the header's fields are its own."""
        write(dump(_header_fields(result.header) | {"ID": result.id, "TTL": result.ttl_s, "Error": result.error}))

    def revoke(self, lease_id: int, result: c.HeaderResult) -> None:
        """LeaseRevokeResponse."""
        write(dump(_set((("header", _header_fields(result.header)),))))

    def keep_alive(self, result: c.LeaseKeepAlive) -> None:
        """The Go client's LeaseKeepAliveResponse."""
        write(dump(_header_fields(result.header) | {"ID": result.id, "TTL": result.ttl_s}))

    def time_to_live(self, result: c.LeaseTimeToLive, *, keys: bool) -> None:
        """The Go client's LeaseTimeToLiveResponse."""
        fields = {
            "id": result.id,
            "ttl": result.ttl_s,
            "granted-ttl": result.granted_ttl_s,
            "keys": [_base64(key) for key in result.keys] or None,
        }
        write(dump(_header_fields(result.header) | fields))

    def leases(self, result: c.LeaseList) -> None:
        """The Go client's LeaseLeasesResponse."""
        write(dump(_header_fields(result.header) | {"leases": [{"id": lease_id} for lease_id in result.ids]}))

    def member_list(self, result: c.MemberList) -> None:
        """MemberListResponse; with --hex the ids are hexadecimal strings."""
        write(dump(self._members(result)))

    def member_change(self, result: c.MemberList, member_id: int, text: str) -> None:
        """The response as the server gave it."""
        write(dump(self._members(result)))

    def move_leader(self, leader_id: int, target_id: int, result: c.HeaderResult) -> None:
        """MoveLeaderResponse."""
        write(dump(_set((("header", _header_fields(result.header)),))))

    def alarms(self, result: c.AlarmList) -> None:
        """AlarmResponse."""
        alarms = [_set((("memberID", alarm.member_id), ("alarm", alarm.kind))) for alarm in result.alarms]
        write(dump(_set((("header", _header_fields(result.header)), ("alarms", alarms)))))

    def health(self, rows: list[Health]) -> None:
        """A list, one object per endpoint."""
        objects = []
        for row in rows:
            value: Object = {"endpoint": row.endpoint, "health": row.healthy, "took": format_duration(row.took_s)}
            objects.append(value | ({"error": row.error} if row.error else {}))
        write(dump(objects))

    def status(self, rows: list[tuple[str, c.Status]]) -> None:
        """A list of endpoint and StatusResponse."""
        write(dump([{"Endpoint": endpoint, "Status": _status(status)} for endpoint, status in rows]))

    def hash_kv(self, rows: list[tuple[str, c.HashKV]]) -> None:
        """A list of endpoint and HashKVResponse."""
        write(dump([{"Endpoint": endpoint, "HashKV": _hash(result)} for endpoint, result in rows]))

    def _members(self, result: c.MemberList) -> Object:
        added = {} if result.member is None else {"member": self._member(result.member)}
        header = _header_fields(result.header)
        if self._hex:
            header = {"cluster_id": f"{result.header.cluster_id:x}", "member_id": f"{result.header.member_id:x}"} | {
                name: value for name, value in header.items() if name not in ("cluster_id", "member_id")
            }
        return _set((("header", header),)) | added | {"members": [self._member(member) for member in result.members]}

    def _member(self, member: c.Member) -> Object:
        rest = _set(
            (
                ("name", member.name),
                ("peerURLs", member.peer_urls),
                ("clientURLs", member.client_urls),
                ("isLearner", member.is_learner),
            )
        )
        if self._hex:
            return {"ID": f"{member.id:x}"} | rest
        return _set((("ID", member.id),)) | rest


def _hash(result: c.HashKV) -> Object:
    return _set(
        (
            ("header", _header_fields(result.header)),
            ("hash", result.hash),
            ("compact_revision", result.compact_revision),
            ("hash_revision", result.hash_revision),
        )
    )
