"""The operations on keys, as values: what to read, write or delete, usable alone or inside a transaction.

Builds etcd's request messages; sends nothing. Numbers of orders, targets and results are etcd's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from raftkv.client.selection import Selection, bounds, encode
from raftkv.pb import rpc


class Order(IntEnum):
    """The direction of a sorted range."""

    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortBy(IntEnum):
    """What a range is sorted by."""

    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


@dataclass(frozen=True, slots=True)
class RangeOp:
    """Reads keys. Revision 0 is the newest; the minima and maxima are inclusive, 0 is off."""

    selection: Selection
    limit: int = 0
    revision: int = 0
    order: Order = Order.NONE
    sort_by: SortBy = SortBy.KEY
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0

    def request(self) -> rpc.RangeRequest:
        """The request message."""
        key, range_end = bounds(self.selection)
        # NB: etcd's Go client asks for no order at all when it would be the natural one; the server then need not sort.
        natural = self.sort_by is SortBy.KEY and self.order is Order.ASCEND
        message = rpc.RangeRequest(key=key, range_end=range_end, limit=self.limit, revision=self.revision)
        message.sort_order = rpc.RangeRequest.SortOrder.NONE if natural else self.order.value  # type: ignore[assignment]
        message.sort_target = self.sort_by.value  # type: ignore[assignment]
        message.serializable = self.serializable
        message.keys_only = self.keys_only
        message.count_only = self.count_only
        message.min_mod_revision = self.min_mod_revision
        message.max_mod_revision = self.max_mod_revision
        message.min_create_revision = self.min_create_revision
        message.max_create_revision = self.max_create_revision
        return message

    def wrap(self) -> rpc.RequestOp:
        """The request as an operation of a transaction."""
        return rpc.RequestOp(request_range=self.request())


@dataclass(frozen=True, slots=True)
class PutOp:
    """Writes one key. Lease 0 detaches it; `keep_value` and `keep_lease` leave the stored one and fail if the key is absent."""

    key: bytes | str
    value: bytes | str = b""
    lease: int = 0
    previous: bool = False
    keep_value: bool = False
    keep_lease: bool = False

    def request(self) -> rpc.PutRequest:
        """The request message."""
        return rpc.PutRequest(
            key=encode(self.key),
            value=encode(self.value),
            lease=self.lease,
            prev_kv=self.previous,
            ignore_value=self.keep_value,
            ignore_lease=self.keep_lease,
        )

    def wrap(self) -> rpc.RequestOp:
        """The request as an operation of a transaction."""
        return rpc.RequestOp(request_put=self.request())


@dataclass(frozen=True, slots=True)
class DeleteOp:
    """Deletes keys; deleting nothing is no error and makes no revision."""

    selection: Selection
    previous: bool = False

    def request(self) -> rpc.DeleteRangeRequest:
        """The request message."""
        key, range_end = bounds(self.selection)
        return rpc.DeleteRangeRequest(key=key, range_end=range_end, prev_kv=self.previous)

    def wrap(self) -> rpc.RequestOp:
        """The request as an operation of a transaction."""
        return rpc.RequestOp(request_delete_range=self.request())


class CompareTarget(IntEnum):
    """What of a key a compare looks at."""

    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class CompareResult(IntEnum):
    """How stored and given must relate: GREATER means stored > given."""

    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


@dataclass(frozen=True, slots=True)
class Compare:
    """One condition of a transaction. Over a range it must hold for every key; an absent key has zeros, and no value at all."""

    selection: Selection
    target: CompareTarget
    result: CompareResult
    operand: int | bytes

    def request(self) -> rpc.Compare:
        """The compare message."""
        key, range_end = bounds(self.selection)
        message = rpc.Compare(key=key, range_end=range_end)
        message.result = self.result.value  # type: ignore[assignment]
        message.target = self.target.value  # type: ignore[assignment]
        if isinstance(self.operand, bytes):
            message.value = self.operand
        elif self.target is CompareTarget.VERSION:
            message.version = self.operand
        elif self.target is CompareTarget.CREATE:
            message.create_revision = self.operand
        elif self.target is CompareTarget.MOD:
            message.mod_revision = self.operand
        else:
            message.lease = self.operand
        return message


@dataclass(frozen=True, slots=True)
class TxnOp:
    """If all compares hold, the `success` operations run, else the `failure` ones; all in one revision."""

    compares: Sequence[Compare] = ()
    success: Sequence[Operation] = ()
    failure: Sequence[Operation] = ()

    def request(self) -> rpc.TxnRequest:
        """The request message."""
        return rpc.TxnRequest(
            compare=[compare.request() for compare in self.compares],
            success=[operation.wrap() for operation in self.success],
            failure=[operation.wrap() for operation in self.failure],
        )

    def wrap(self) -> rpc.RequestOp:
        """The request as an operation of an outer transaction."""
        return rpc.RequestOp(request_txn=self.request())

    def writes(self) -> bool:
        """Whether either branch may change the store."""
        return any(
            operation.writes() if isinstance(operation, TxnOp) else not isinstance(operation, RangeOp)
            for operation in (*self.success, *self.failure)
        )


Operation = RangeOp | PutOp | DeleteOp | TxnOp
