"""What a request may add to the store, by etcd's formulas, for the proposer's quota check.

Apply never looks at a size (design §4 rule 5): a member over its quota refuses to propose and raises NOSPACE through
the log; from there on `apply.py` refuses what has a cost. Source: spec/etcd-behaviour.md §1.6.
"""

from __future__ import annotations

from collections.abc import Iterable

from raftkv.pb import rpc

LEASE_GRANT_BYTES = 64
_PUT_OVERHEAD_BYTES = 256


def put_bytes(request: rpc.PutRequest) -> int:
    """What a put may add."""
    return _PUT_OVERHEAD_BYTES + len(request.key) + len(request.value)


def txn_bytes(request: rpc.TxnRequest) -> int:
    """What a txn may add: the costlier of its two lists.

    Nested txns count too; etcd overlooks them, and so lets a nested put pass a quota that stands.
    """
    return max(_operations_bytes(request.success), _operations_bytes(request.failure))


def _operations_bytes(operations: Iterable[rpc.RequestOp]) -> int:
    total = 0
    for operation in operations:
        which = operation.WhichOneof("request")
        if which == "request_put":
            total += put_bytes(operation.request_put)
        elif which == "request_txn":
            total += txn_bytes(operation.request_txn)
    return total
