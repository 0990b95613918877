"""Response bytes to results: the one place where the client reads etcd's response messages."""

from __future__ import annotations

from collections.abc import Iterable

from raftkv.client import results
from raftkv.pb import kv, rpc


def header(message: rpc.ResponseHeader) -> results.Header:
    """The header of a response."""
    return results.Header(message.cluster_id, message.member_id, message.revision, message.raft_term)


def key_value(message: kv.KeyValue) -> results.KeyValue:
    """One key-value pair."""
    return results.KeyValue(message.key, message.value, message.create_revision, message.mod_revision, message.version, message.lease)


def put(message: rpc.PutResponse, raw: bytes = b"") -> results.PutResult:
    """A PutResponse."""
    return results.PutResult(header(message.header), key_value(message.prev_kv) if message.HasField("prev_kv") else None, raw)


def range_(message: rpc.RangeResponse, raw: bytes = b"") -> results.RangeResult:
    """A RangeResponse."""
    return results.RangeResult(header(message.header), [key_value(item) for item in message.kvs], message.more, message.count, raw)


def delete(message: rpc.DeleteRangeResponse, raw: bytes = b"") -> results.DeleteResult:
    """A DeleteRangeResponse."""
    return results.DeleteResult(header(message.header), message.deleted, [key_value(item) for item in message.prev_kvs], raw)


def txn(message: rpc.TxnResponse, raw: bytes = b"") -> results.TxnResult:
    """A TxnResponse, nested ones included."""
    return results.TxnResult(header(message.header), message.succeeded, [_operation(item) for item in message.responses], raw)


def _operation(
    message: rpc.ResponseOp,
) -> results.PutResult | results.RangeResult | results.DeleteResult | results.TxnResult:
    which = message.WhichOneof("response")
    if which == "response_put":
        return put(message.response_put)
    if which == "response_delete_range":
        return delete(message.response_delete_range)
    if which == "response_txn":
        return txn(message.response_txn)
    return range_(message.response_range)


def put_from(raw: bytes) -> results.PutResult:
    """Bytes of a PutResponse."""
    return put(rpc.PutResponse.FromString(raw), raw)


def range_from(raw: bytes) -> results.RangeResult:
    """Bytes of a RangeResponse."""
    return range_(rpc.RangeResponse.FromString(raw), raw)


def delete_from(raw: bytes) -> results.DeleteResult:
    """Bytes of a DeleteRangeResponse."""
    return delete(rpc.DeleteRangeResponse.FromString(raw), raw)


def txn_from(raw: bytes) -> results.TxnResult:
    """Bytes of a TxnResponse."""
    return txn(rpc.TxnResponse.FromString(raw), raw)


def header_from(raw: bytes) -> results.HeaderResult:
    """Bytes of any response whose only field is the header (compaction, defragment, move leader, lease revoke)."""
    return results.HeaderResult(header(rpc.CompactionResponse.FromString(raw).header), raw)


def grant_from(raw: bytes) -> results.LeaseGrant:
    """Bytes of a LeaseGrantResponse."""
    message = rpc.LeaseGrantResponse.FromString(raw)
    return results.LeaseGrant(header(message.header), message.ID, message.TTL, message.error, raw)


def keep_alive_from(raw: bytes) -> results.LeaseKeepAlive:
    """Bytes of a LeaseKeepAliveResponse."""
    message = rpc.LeaseKeepAliveResponse.FromString(raw)
    return results.LeaseKeepAlive(header(message.header), message.ID, message.TTL, raw)


def time_to_live_from(raw: bytes) -> results.LeaseTimeToLive:
    """Bytes of a LeaseTimeToLiveResponse."""
    message = rpc.LeaseTimeToLiveResponse.FromString(raw)
    return results.LeaseTimeToLive(header(message.header), message.ID, message.TTL, message.grantedTTL, list(message.keys), raw)


def leases_from(raw: bytes) -> results.LeaseList:
    """Bytes of a LeaseLeasesResponse."""
    message = rpc.LeaseLeasesResponse.FromString(raw)
    return results.LeaseList(header(message.header), [item.ID for item in message.leases], raw)


def _member(message: rpc.Member) -> results.Member:
    return results.Member(message.ID, message.name, list(message.peerURLs), list(message.clientURLs), message.isLearner)


def _members(messages: Iterable[rpc.Member]) -> list[results.Member]:
    return [_member(message) for message in messages]


def member_list_from(raw: bytes) -> results.MemberList:
    """Bytes of a MemberListResponse, or of the responses to remove, update and promote: all have header and members in 1 and 2."""
    message = rpc.MemberListResponse.FromString(raw)
    return results.MemberList(header(message.header), _members(message.members), raw=raw)


def member_added_from(raw: bytes) -> results.MemberList:
    """Bytes of a MemberAddResponse."""
    message = rpc.MemberAddResponse.FromString(raw)
    return results.MemberList(header(message.header), _members(message.members), _member(message.member), raw)


def status_from(raw: bytes) -> results.Status:
    """Bytes of a StatusResponse; fields an older server does not send are empty or zero."""
    message = rpc.StatusResponse.FromString(raw)
    return results.Status(
        header=header(message.header),
        version=message.version,
        db_size_bytes=message.dbSize,
        leader=message.leader,
        raft_index=message.raftIndex,
        raft_term=message.raftTerm,
        raft_applied_index=message.raftAppliedIndex,
        errors=list(message.errors),
        db_size_in_use_bytes=message.dbSizeInUse,
        is_learner=message.isLearner,
        storage_version=message.storageVersion,
        db_size_quota_bytes=message.dbSizeQuota,
        downgrade_target_version=message.downgradeInfo.targetVersion,
        downgrade_enabled=message.downgradeInfo.enabled,
        downgrade_known=message.HasField("downgradeInfo"),
        raw=raw,
    )


def hash_kv_from(raw: bytes) -> results.HashKV:
    """Bytes of a HashKVResponse."""
    message = rpc.HashKVResponse.FromString(raw)
    return results.HashKV(header(message.header), message.hash, message.compact_revision, message.hash_revision, raw)


def alarms_from(raw: bytes) -> results.AlarmList:
    """Bytes of an AlarmResponse."""
    message = rpc.AlarmResponse.FromString(raw)
    return results.AlarmList(header(message.header), [results.Alarm(item.memberID, int(item.alarm)) for item in message.alarms], raw)


def watch_from(raw: bytes) -> results.WatchBatch:
    """Bytes of a WatchResponse."""
    message = rpc.WatchResponse.FromString(raw)
    return results.WatchBatch(
        header(message.header),
        [_event(event) for event in message.events],
        message.created,
        message.canceled,
        message.compact_revision,
        message.cancel_reason,
        message.fragment,
        message.watch_id,
        raw,
    )


def _event(message: kv.Event) -> results.Event:
    previous = key_value(message.prev_kv) if message.HasField("prev_kv") else None
    return results.Event("DELETE" if message.type == kv.Event.DELETE else "PUT", key_value(message.kv), previous)
