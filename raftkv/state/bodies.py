"""Encoded response messages without their header field, joined from stored bytes.

Field numbers are etcd's (spec/etcd-wire.md). A stored record is `0x12 len KeyValue`, which is the `kvs` field of
RangeResponse and the `prev_kv` of PutResponse as it stands; as `prev_kvs` of DeleteRangeResponse it gets another tag.
Zero values are left out, as proto3 does. Hot path: `of_range` for one-key reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raftkv.wire import delimited, varint

_MORE = b"\x18\x01"
_COUNT_ONE = b"\x20\x01"

RANGE_OP, PUT_OP, DELETE_OP, TXN_OP = 1, 2, 3, 4
"""Fields of ResponseOp."""


def of_range(records: Sequence[bytes], count: int, more: bool = False) -> bytes:
    """RangeResponse: kvs, more, count."""
    if count == 1 and not more:
        return records[0] + _COUNT_ONE if records else _COUNT_ONE
    if not count:
        return b""
    tail = b"\x20" + varint(count)
    return b"".join((*records, _MORE, tail) if more else (*records, tail))


def of_delete(deleted: int, previous: Iterable[bytes]) -> bytes:
    """DeleteRangeResponse: deleted, prev_kvs."""
    if not deleted:
        return b""
    return b"\x10" + varint(deleted) + b"".join([b"\x1a" + record[1:] for record in previous])


def of_lease_grant(lease_id: int, ttl_s: int) -> bytes:
    """LeaseGrantResponse: ID, TTL."""
    return b"\x10" + varint(lease_id) + b"\x18" + varint(ttl_s)


def of_alarms(alarms: Iterable[tuple[int, int]]) -> bytes:
    """AlarmResponse: alarms, each (member id, type)."""
    out = []
    for member_id, alarm in alarms:
        content = (b"\x08" + varint(member_id) if member_id else b"") + (b"\x10" + varint(alarm) if alarm else b"")
        out.append(delimited(b"\x12", content))
    return b"".join(out)


def of_hash(value: int) -> bytes:
    """HashResponse: hash."""
    return b"\x10" + varint(value) if value else b""


def of_txn(succeeded: bool, responses: Iterable[bytes]) -> bytes:
    """TxnResponse: succeeded, responses (each an encoded ResponseOp)."""
    out = [b"\x10\x01"] if succeeded else []
    out += [delimited(b"\x1a", response) for response in responses]
    return b"".join(out)


def response_op(field: int, revision: int, body: bytes) -> bytes:
    """ResponseOp of a range, put or delete inside a txn: its header carries the revision alone."""
    return delimited(bytes((field << 3 | 2,)), delimited(b"\x0a", b"\x18" + varint(revision)) + body)


def nested_txn(body: bytes) -> bytes:
    """ResponseOp of a txn inside a txn: its header is there and empty."""
    return delimited(b"\x22", b"\x0a\x00" + body)
