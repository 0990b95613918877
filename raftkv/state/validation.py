"""What a request must satisfy before it may enter the log: pure functions of the request.

The server calls these before it proposes or reads; nothing here looks at the store. Source: spec/etcd-behaviour.md
§1.2, checked against etcd 3.4.23 where marked there; the sort options are refused as 3.7 does.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkv.errors import (
    DuplicateKeyError,
    EmptyKeyError,
    InvalidSortOptionError,
    KeyNotFoundError,
    LeaseProvidedError,
    TooManyOpsError,
    ValueProvidedError,
)
from raftkv.pb import rpc

_SORT_ORDERS = frozenset(rpc.RangeRequest.SortOrder.values())
_SORT_TARGETS = frozenset(rpc.RangeRequest.SortTarget.values())


def check_range(request: rpc.RangeRequest) -> None:
    """Raises EmptyKeyError, InvalidSortOptionError."""
    if not request.key:
        raise EmptyKeyError
    if request.sort_order not in _SORT_ORDERS or request.sort_target not in _SORT_TARGETS:
        raise InvalidSortOptionError


def check_put(request: rpc.PutRequest) -> None:
    """Raises EmptyKeyError, ValueProvidedError, LeaseProvidedError."""
    if not request.key:
        raise EmptyKeyError
    if request.ignore_value and request.value:
        raise ValueProvidedError
    if request.ignore_lease and request.lease:
        raise LeaseProvidedError


def check_delete(request: rpc.DeleteRangeRequest) -> None:
    """Raises EmptyKeyError."""
    if not request.key:
        raise EmptyKeyError


def check_txn(request: rpc.TxnRequest, max_txn_ops: int) -> None:
    """Raises TooManyOpsError, DuplicateKeyError, KeyNotFoundError (an operation that is none) and what the single checks raise."""
    _check_operations(request, max_txn_ops)
    for operations in (request.success, request.failure):
        # One operation cannot meet another unless it is a txn: a guarded put, the most frequent txn, ends here.
        if len(operations) > 1 or (operations and operations[0].HasField("request_txn")):
            _Footprint().take(operations)


def _check_operations(request: rpc.TxnRequest, max_ops: int) -> None:
    count = max(len(request.compare), len(request.success), len(request.failure))
    if count > max_ops:
        raise TooManyOpsError
    for compare in request.compare:
        if not compare.key:
            raise EmptyKeyError
    for operations in (request.success, request.failure):
        for operation in operations:
            _check_operation(operation, max_ops - count)


def _check_operation(operation: rpc.RequestOp, max_nested_ops: int) -> None:
    which = operation.WhichOneof("request")
    if which == "request_range":
        check_range(operation.request_range)
    elif which == "request_put":
        check_put(operation.request_put)
    elif which == "request_delete_range":
        check_delete(operation.request_delete_range)
    elif which == "request_txn":
        _check_operations(operation.request_txn, max_nested_ops)
    else:
        raise KeyNotFoundError  # etcd's answer to an operation with nothing set.


class _Footprint:
    """Keys put and ranges deleted by one list of operations and the txns nested in it.

    The order of the checks is etcd's and visible: deletes of the list itself count against every put in and below it;
    a nested txn's deletes count against puts of txns that follow it and of the list, not of those before it.
    """

    __slots__ = ("_deletes", "_puts")

    def __init__(self) -> None:
        self._puts: set[bytes] = set()
        self._deletes: list[tuple[bytes, bytes]] = []

    def take(self, operations: Sequence[rpc.RequestOp]) -> None:
        """Raises DuplicateKeyError."""
        puts = []
        nested = []
        for operation in operations:
            which = operation.WhichOneof("request")
            if which == "request_put":
                puts.append(operation.request_put.key)
            elif which == "request_delete_range":
                self._add_delete(operation.request_delete_range)
            elif which == "request_txn":
                nested.append(operation.request_txn)
        for txn in nested:
            self._take_txn(txn)
        for key in puts:
            self._add_put(key)

    def _take_txn(self, txn: rpc.TxnRequest) -> None:
        then, otherwise = _Footprint(), _Footprint()
        then.take(txn.success)
        otherwise.take(txn.failure)
        for key in then._puts:
            self._add_put(key)
        # Only one of the two lists runs, so they may share keys.
        for key in otherwise._puts - then._puts:
            self._add_put(key)
        self._deletes += then._deletes
        self._deletes += otherwise._deletes

    def _add_put(self, key: bytes) -> None:
        if key in self._puts or any(low <= key < high for low, high in self._deletes):
            raise DuplicateKeyError
        self._puts.add(key)

    def _add_delete(self, request: rpc.DeleteRangeRequest) -> None:
        # Invariant: a range end of one zero byte stays what it is here, an end below every key, so a delete "to the
        # end" meets no put; etcd has it so.
        self._deletes.append((request.key, request.range_end or request.key + b"\0"))
