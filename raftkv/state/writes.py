"""Puts and deletes inside an open Write: what the store changes, what the lessor must learn, what is answered.

Used for single requests with options and for the operations of a txn; the plain put goes straight from `apply.py` to
`KV.put`. Everything that may fail is checked before the first change, here by `check_put`. Source:
spec/etcd-behaviour.md §1.2.
"""

from __future__ import annotations

from raftkv.errors import KeyNotFoundError, LeaseNotFoundError
from raftkv.mvcc.kv import KV, Write
from raftkv.pb import rpc
from raftkv.state import bodies
from raftkv.state.lease import Lessor


def check_put(store: KV, lessor: Lessor, request: rpc.PutRequest) -> None:
    """Raises KeyNotFoundError when there is nothing to keep a value or lease of, LeaseNotFoundError."""
    if (request.ignore_value or request.ignore_lease) and store.key_state(request.key).version == 0:
        raise KeyNotFoundError
    if request.lease and request.lease not in lessor:
        raise LeaseNotFoundError


def put(store: KV, lessor: Lessor, write: Write, request: rpc.PutRequest) -> bytes:
    """One checked put. Returns the PutResponse without its header."""
    key, value, lease = request.key, request.value, request.lease
    body = b""
    if request.prev_kv:
        # A record is a `prev_kv` field as it stands.
        body = b"".join(store.range(key, b"").records)
    if request.ignore_value:
        value = store.value(key) or b""
    if request.ignore_lease:
        lease = store.lease_of(key)
    write.put(key, value, lease)
    lessor.attach(key, lease)
    return body


def delete_range(store: KV, lessor: Lessor, write: Write, request: rpc.DeleteRangeRequest) -> bytes:
    """One delete. Returns the DeleteRangeResponse without its header."""
    previous = store.range(request.key, request.range_end).records if request.prev_kv else []
    deleted = write.delete_range(request.key, request.range_end)
    lessor.detach(deleted)
    return bodies.of_delete(len(deleted), previous)
