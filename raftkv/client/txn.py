"""Writes a transaction the way it reads: `client.txn().if_(version("k") == 0).then(put("k", "v")).else_(get("k"))`.

The functions here make compares and operations; sending is the client's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from raftkv.client.operations import Compare, CompareResult, CompareTarget, DeleteOp, Operation, Order, PutOp, RangeOp, SortBy, TxnOp
from raftkv.client.results import TxnResult
from raftkv.client.selection import Selection, encode


class Subject:
    """The left side of a compare; the operators `== != < >` give the compare."""

    __slots__ = ("_selection", "_target")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, selection: Selection, target: CompareTarget) -> None:
        self._selection = selection
        self._target = target

    def _compare(self, result: CompareResult, operand: int | bytes | str) -> Compare:
        if (self._target is CompareTarget.VALUE) == isinstance(operand, int):
            raise TypeError(f"{self._target.name.lower()} cannot be compared with {operand!r}")
        return Compare(self._selection, self._target, result, operand if isinstance(operand, int) else encode(operand))

    def __eq__(self, operand: int | bytes | str) -> Compare:  # type: ignore[override]
        return self._compare(CompareResult.EQUAL, operand)

    def __ne__(self, operand: int | bytes | str) -> Compare:  # type: ignore[override]
        return self._compare(CompareResult.NOT_EQUAL, operand)

    def __lt__(self, operand: int | bytes | str) -> Compare:
        return self._compare(CompareResult.LESS, operand)

    def __gt__(self, operand: int | bytes | str) -> Compare:
        return self._compare(CompareResult.GREATER, operand)


def version(selection: Selection) -> Subject:
    """How often the key was written since it was created; 0 if it is absent."""
    return Subject(selection, CompareTarget.VERSION)


def create(selection: Selection) -> Subject:
    """The revision that created the key; 0 if it is absent."""
    return Subject(selection, CompareTarget.CREATE)


def mod(selection: Selection) -> Subject:
    """The revision that last wrote the key; 0 if it is absent."""
    return Subject(selection, CompareTarget.MOD)


def value(selection: Selection) -> Subject:
    """The key's value; a compare with it fails if the key is absent, whatever the operator."""
    return Subject(selection, CompareTarget.VALUE)


def lease(selection: Selection) -> Subject:
    """The lease the key hangs on; 0 for none."""
    return Subject(selection, CompareTarget.LEASE)


def put(key: bytes | str, value: bytes | str = b"", **options: Any) -> PutOp:
    """A write; options as `PutOp`'s fields."""
    return PutOp(key, value, **options)


def get(
    selection: Selection, *, limit: int = 0, revision: int = 0, order: Order = Order.NONE, sort_by: SortBy = SortBy.KEY, **options: Any
) -> RangeOp:
    """A read; options as `RangeOp`'s fields."""
    return RangeOp(selection, limit, revision, order, sort_by, **options)


def delete(selection: Selection, *, previous: bool = False) -> DeleteOp:
    """A delete."""
    return DeleteOp(selection, previous)


class Txn:
    """A transaction being written; each of `if_`, `then` and `else_` adds to what is there and returns the transaction."""

    def __init__(self, send: Callable[[TxnOp], Awaitable[TxnResult]]) -> None:
        self._send = send
        self._compares: list[Compare] = []
        self._success: list[Operation] = []
        self._failure: list[Operation] = []

    def if_(self, *compares: Compare) -> Txn:
        """Conditions; all must hold."""
        self._compares.extend(compares)
        return self

    def then(self, *operations: Operation) -> Txn:
        """What runs if all conditions hold."""
        self._success.extend(operations)
        return self

    def else_(self, *operations: Operation) -> Txn:
        """What runs if one does not."""
        self._failure.extend(operations)
        return self

    def as_operation(self) -> TxnOp:
        """The transaction as an operation of an outer one."""
        return TxnOp(tuple(self._compares), tuple(self._success), tuple(self._failure))

    async def commit(self) -> TxnResult:
        """Sends it.

        Raises:
            RaftKVError: as `AsyncClient.execute`.
        """
        return await self._send(self.as_operation())
