"""Random requests over few keys, leases and revisions, so that they meet."""

from __future__ import annotations

from google.protobuf.message import Message
from hypothesis import strategies as st

from raftkv.pb import rpc

KEYS = st.sampled_from([b"\0", b"a", b"a1", b"b", b"c"])
ENDS = st.sampled_from([b"", b"", b"\0", b"a1", b"b", b"d"])
VALUES = st.sampled_from([b"", b"1", b"2", b"x" * 150])
LEASES = st.sampled_from([0, 0, 0, 1, 2, -3])
REVISIONS = st.one_of(st.just(0), st.integers(-2, 12))

puts = st.builds(
    rpc.PutRequest, key=KEYS, value=VALUES, lease=LEASES, prev_kv=st.booleans(), ignore_value=st.booleans(), ignore_lease=st.booleans()
).filter(lambda put: not (put.ignore_value and put.value) and not (put.ignore_lease and put.lease))
deletes = st.builds(rpc.DeleteRangeRequest, key=KEYS, range_end=ENDS, prev_kv=st.booleans())
ranges = st.builds(
    rpc.RangeRequest,
    key=KEYS,
    range_end=ENDS,
    limit=st.integers(-1, 3),
    revision=REVISIONS,
    sort_order=st.integers(0, 2),
    sort_target=st.integers(0, 4),
    keys_only=st.booleans(),
    count_only=st.sampled_from([False, False, True]),
    min_mod_revision=st.sampled_from([0, 0, 4]),
    max_mod_revision=st.sampled_from([0, 0, 5]),
    min_create_revision=st.sampled_from([0, 0, 3]),
    max_create_revision=st.sampled_from([0, 0, 6]),
)

_numbers = st.integers(0, 4)
compares = st.one_of(
    *(
        st.builds(rpc.Compare, key=KEYS, range_end=ENDS, result=st.integers(0, 3), target=st.just(target), **{field: values})
        for target, field, values in (
            (rpc.Compare.VERSION, "version", _numbers),
            (rpc.Compare.CREATE, "create_revision", _numbers),
            (rpc.Compare.MOD, "mod_revision", _numbers),
            (rpc.Compare.VALUE, "value", VALUES),
            (rpc.Compare.LEASE, "lease", LEASES),
        )
    )
)

_leaves = st.one_of(
    st.builds(rpc.RequestOp, request_put=puts),
    st.builds(rpc.RequestOp, request_delete_range=deletes),
    st.builds(rpc.RequestOp, request_range=ranges),
)


def _txns(operations: st.SearchStrategy[rpc.RequestOp]) -> st.SearchStrategy[rpc.TxnRequest]:
    lists = st.lists(operations, max_size=3)
    return st.builds(rpc.TxnRequest, compare=st.lists(compares, max_size=2), success=lists, failure=lists)


_operations = st.recursive(_leaves, lambda inner: st.builds(rpc.RequestOp, request_txn=_txns(inner)), max_leaves=4)
txns = _txns(_operations)
compactions = st.builds(rpc.CompactionRequest, revision=st.integers(-2, 12))
grants = st.builds(rpc.LeaseGrantRequest, ID=st.sampled_from([1, 2, -3]), TTL=st.integers(2, 90))
revokes = st.builds(rpc.LeaseRevokeRequest, ID=st.sampled_from([1, 2, -3]))

log_requests: st.SearchStrategy[Message] = st.one_of(puts, puts, txns, txns, deletes, grants, grants, revokes, compactions)
