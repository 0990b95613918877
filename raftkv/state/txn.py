"""Transactions: choose the branches, check them, run them.

All compares, nested ones too, are evaluated before any operation; then the chosen operations are checked against the
same state, and only then is anything written, so a txn that fails has changed nothing. Operations run in order and see
what earlier ones did. Source: spec/etcd-behaviour.md §1.2 (Txn, Compare).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from raftkv.errors import CompactedError, FutureRevError, KeyNotFoundError
from raftkv.mvcc.kv import KV, Write
from raftkv.pb import rpc
from raftkv.state import bodies, reads, writes
from raftkv.state.lease import Lessor

_RESULTS: dict[int, Callable[[Any, Any], bool]] = {
    rpc.Compare.EQUAL: operator.eq,
    rpc.Compare.GREATER: operator.gt,
    rpc.Compare.LESS: operator.lt,
    rpc.Compare.NOT_EQUAL: operator.ne,
}
"""Stored against given."""

# The names are the same in KeyValue, in KeyState and in Compare's union.
_FIELDS: dict[int, Callable[[Any], Any]] = {
    rpc.Compare.VERSION: operator.attrgetter("version"),
    rpc.Compare.CREATE: operator.attrgetter("create_revision"),
    rpc.Compare.MOD: operator.attrgetter("mod_revision"),
    rpc.Compare.VALUE: operator.attrgetter("value"),
    rpc.Compare.LEASE: operator.attrgetter("lease"),
}


def _nothing(_: object) -> int:
    """A target etcd does not know compares zero with zero."""
    return 0


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
    """One compare, on the newest state; of a range, for each of its keys.

    A key that is not there, and a range without keys, count as zeros; but they have no value, so then no relation to a
    value holds, whichever it is. What is compared with is the union field of the target: zero when another one is set.
    """
    target = compare.target
    field = _FIELDS.get(target, _nothing)
    stored: list[Any]
    if compare.range_end:
        keys_only = target not in (rpc.Compare.VALUE, rpc.Compare.LEASE)
        records = store.range(compare.key, compare.range_end, keys_only=keys_only).records
        stored = [field(item) for item in rpc.RangeResponse.FromString(b"".join(records)).kvs]
    elif target == rpc.Compare.VALUE:
        value = store.value(compare.key)
        stored = [] if value is None else [value]
    else:
        stored = [field(store.key_state(compare.key))]
    if not stored:
        if target == rpc.Compare.VALUE:
            return False
        stored = [0]
    relation = _RESULTS.get(compare.result)
    if relation is None:
        return True  # etcd: a result it does not know holds.
    given = field(compare)
    return all(relation(one, given) for one in stored)


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
