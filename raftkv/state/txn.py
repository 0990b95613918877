"""Transactions: choose the branches, check them, run them.

All compares, nested ones too, are evaluated before any operation; then the chosen operations are checked against the
same state, and only then is anything written, so a txn that fails has changed nothing. Operations run in order and see
what earlier ones did. Source: spec/etcd-behaviour.md §1.2 (Txn, Compare).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from raftkv.errors import CompactedError, FutureRevError, KeyNotFoundError
from raftkv.mvcc.kv import KV, KeyState, Write
from raftkv.pb import rpc
from raftkv.state import bodies, reads, writes
from raftkv.state.lease import Lessor

_RESULTS: dict[int, Callable[[Any, Any], bool]] = {
    rpc.Compare.EQUAL: lambda stored, given: stored == given,
    rpc.Compare.GREATER: lambda stored, given: stored > given,
    rpc.Compare.LESS: lambda stored, given: stored < given,
    rpc.Compare.NOT_EQUAL: lambda stored, given: stored != given,
}


class Branch(NamedTuple):
    """The list of operations a txn's compares chose, nested txns replaced by their own branches."""

    succeeded: bool
    operations: list[Operation]


Operation: TypeAlias = "rpc.RangeRequest | rpc.PutRequest | rpc.DeleteRangeRequest | Branch"


def is_read_only(request: rpc.TxnRequest) -> bool:
    """True when both lists hold ranges alone: such a txn is a read and does not go through the log. So is an empty one."""
    for operations in (request.success, request.failure):
        for operation in operations:
            if not operation.HasField("request_range"):
                return False
    return True


def is_serializable(request: rpc.TxnRequest) -> bool:
    """Of a read-only txn: true when every range is serializable, and when there is none."""
    return all(operation.request_range.serializable for operations in (request.success, request.failure) for operation in operations)


def choose(store: KV, request: rpc.TxnRequest) -> Branch:
    """Evaluates the compares, those of nested txns on the way too."""
    succeeded = all(holds(store, compare) for compare in request.compare)
    operations: list[Operation] = []
    for operation in request.success if succeeded else request.failure:
        which = operation.WhichOneof("request")
        if which == "request_txn":
            operations.append(choose(store, operation.request_txn))
        elif which is not None:
            operations.append(getattr(operation, which))
    return Branch(succeeded, operations)


def holds(store: KV, compare: rpc.Compare) -> bool:
    """One compare, on the newest state; of a range, for each of its keys."""
    relation = _RESULTS.get(compare.result)
    if compare.target == rpc.Compare.VALUE:
        return _value_holds(store, compare, relation)
    if relation is None:
        return True  # etcd: a result it does not know holds.
    if not compare.range_end:
        return relation(_field(store.key_state(compare.key), compare.target), _given(compare))
    given = _given(compare)
    keys = [reads.key_of(record) for record in store.range(compare.key, compare.range_end, keys_only=True).records]
    if not keys:
        return relation(0, given)
    return all(relation(_field(store.key_state(key), compare.target), given) for key in keys)


def _value_holds(store: KV, compare: rpc.Compare, relation: Callable[[Any, Any], bool] | None) -> bool:
    """A key that is not there has no value: then no relation holds, whichever it is."""
    if not compare.range_end:
        value = store.value(compare.key)
        return value is not None and (relation is None or relation(value, compare.value))
    records = store.range(compare.key, compare.range_end).records
    stored = rpc.RangeResponse.FromString(b"".join(records)).kvs
    return bool(stored) and (relation is None or all(relation(item.value, compare.value) for item in stored))


def _field(state: KeyState, target: int) -> int:
    if target == rpc.Compare.VERSION:
        return state.version
    if target == rpc.Compare.CREATE:
        return state.create_revision
    if target == rpc.Compare.MOD:
        return state.mod_revision
    if target == rpc.Compare.LEASE:
        return state.lease
    return 0


def _given(compare: rpc.Compare) -> int:
    """The number to compare with: that of the field that belongs to the target, 0 when another one is set."""
    if compare.target == rpc.Compare.VERSION:
        return compare.version
    if compare.target == rpc.Compare.CREATE:
        return compare.create_revision
    if compare.target == rpc.Compare.MOD:
        return compare.mod_revision
    if compare.target == rpc.Compare.LEASE:
        return compare.lease
    return 0


def check(store: KV, lessor: Lessor, branch: Branch) -> None:
    """Everything that can fail in the chosen operations, against the state before any of them.

    Raises KeyNotFoundError, LeaseNotFoundError, FutureRevError, CompactedError; puts are looked at before ranges.
    """
    open_deletes: list[bytes] = []
    for operation in flat(branch):
        if isinstance(operation, rpc.PutRequest):
            writes.check_put(store, lessor, operation)
            # A delete to the end of the keys passes the check for duplicate keys, so it may stand before a put
            # that wants to keep what it deletes. (etcd's server ends there.)
            if (operation.ignore_value or operation.ignore_lease) and any(start <= operation.key for start in open_deletes):
                raise KeyNotFoundError
        elif isinstance(operation, rpc.DeleteRangeRequest) and operation.range_end == b"\0":
            open_deletes.append(operation.key)
    check_ranges(store, branch)


def check_ranges(store: KV, branch: Branch) -> None:
    """Raises FutureRevError, CompactedError for a range of the branch that cannot be read."""
    for operation in flat(branch):
        if isinstance(operation, rpc.RangeRequest) and operation.revision:
            if operation.revision > store.revision:
                raise FutureRevError
            if operation.revision < store.compact_revision:
                raise CompactedError


def flat(branch: Branch) -> Iterator[rpc.RangeRequest | rpc.PutRequest | rpc.DeleteRangeRequest]:
    """The operations in the order they run, those of nested txns in their place."""
    for operation in branch.operations:
        if isinstance(operation, Branch):
            yield from flat(operation)
        else:
            yield operation


def run(store: KV, lessor: Lessor, write: Write, branch: Branch) -> bytes:
    """Runs a checked branch inside the open Write. Returns the TxnResponse without its header."""
    responses = []
    for operation in branch.operations:
        if isinstance(operation, rpc.PutRequest):
            body = writes.put(store, lessor, write, operation)
            responses.append(bodies.response_op(bodies.PUT_OP, write.revision, body))
        elif isinstance(operation, rpc.RangeRequest):
            responses.append(bodies.response_op(bodies.RANGE_OP, write.revision, reads.range_body(store, operation)))
        elif isinstance(operation, rpc.DeleteRangeRequest):
            body = writes.delete_range(store, lessor, write, operation)
            responses.append(bodies.response_op(bodies.DELETE_OP, write.revision, body))
        else:
            responses.append(bodies.nested_txn(run(store, lessor, write, operation)))
    return bodies.of_txn(branch.succeeded, responses)


class ReadTxnJob:
    """A read-only txn in slices: compares and ranges of one revision. `body` and `revision` are set once `step` is True."""

    __slots__ = ("_done", "_jobs", "_request", "_restarts", "_store", "_succeeded", "body", "revision")

    def __init__(self, store: KV, request: rpc.TxnRequest) -> None:
        """Raises FutureRevError, CompactedError."""
        self._store = store
        self._request = request
        self._restarts = 0
        self.body = b""
        self._begin()

    def _begin(self) -> None:
        branch = choose(self._store, self._request)
        check_ranges(self._store, branch)
        self.revision = self._store.revision
        self._succeeded = branch.succeeded
        self._jobs = [reads.RangeJob(self._store, operation) for operation in flat(branch) if isinstance(operation, rpc.RangeRequest)]
        self._done = 0

    def step(self, keys_max: int = reads.SLICE_KEYS) -> bool:
        """Reads about `keys_max` more keys; True when the body is there. Raises FutureRevError, CompactedError."""
        try:
            finished = self._advance(keys_max)
        except CompactedError:
            # A range that named its revision fails; the others are taken again, all of them, at a newer one.
            if self._jobs[self._done].named_revision:
                raise
            self._restarts += 1
            self._begin()
            return self.step(keys_max if self._restarts <= reads.RESTARTS_MAX else 0)
        if finished:
            responses = [bodies.response_op(bodies.RANGE_OP, self.revision, job.body) for job in self._jobs]
            self.body = bodies.of_txn(self._succeeded, responses)
        return finished

    def _advance(self, keys_max: int) -> bool:
        left = keys_max
        while self._done < len(self._jobs):
            if keys_max and left <= 0:
                return False
            job = self._jobs[self._done]
            before = job.keys_seen
            finished = job.advance(left if keys_max else 0)
            # A range costs one key even when it finds none, so that many small ones end the slice too.
            left -= max(1, job.keys_seen - before)
            if finished:
                self._done += 1
        return True
