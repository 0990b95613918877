"""Random requests of the KV service, right and wrong ones, with every option.

Keys are few, so that requests meet; revisions lie around the current and the compacted one. Left out, because etcd 3.4 does
not survive it: a sort target that is none; a txn that deletes [k, "\\0") and then puts there with ignore_value or ignore_lease
(it passes the check for duplicate keys, and the put finds nothing to keep).
"""

from __future__ import annotations

from random import Random
from typing import Any

from raftkv.pb import rpc

KEYS = (
    *(b"a", b"a\0", b"aa", b"ab", b"abc", b"b", b"b/", b"b/1", b"b/2", b"b/3", b"b/3/x", b"b0", b"c", b"d", b"e", b"f", b"g", b"h"),
    *(b"k1", b"k2", b"k3", b"k4", b"z", b"\0", b"\0\0", b"\x01", b"\xfe", b"\xff", b"\xff\xff", "ключ".encode(), b"long" * 200),
)
VALUES = (b"", b"0", b"1", b"10", b"2", b"value", b"\0", b"\xff" * 3)
UNKNOWN_LEASES = (999_999, -999_999)
TXN_OPS_MAX = 128


class View:
    """What the requests are made from: the state the servers should be in."""

    def __init__(self) -> None:
        self.revision = 1
        self.compact_revision = 0
        self.leases: list[int] = []


class KvRequests:
    """Makes one request after another out of a seeded source."""

    def __init__(self, random: Random, view: View) -> None:
        self._random = random
        self._view = view

    def chance(self, percent: float) -> bool:
        """True that often."""
        return self._random.random() * 100 < percent

    def key(self) -> bytes:
        """One of the keys, seldom none."""
        return b"" if self.chance(1) else self._random.choice(KEYS)

    def span(self, *, single: float = 40) -> tuple[bytes, bytes]:
        """A key and a range end: none, a prefix, anything, all above, nothing."""
        key = self.key()
        if self.chance(single):
            return key, b""
        choice = self._random.randrange(10)
        if choice < 3:
            return key, prefix_end(key)
        if choice < 7:
            other = self._random.choice(KEYS)
            return (key, other) if self.chance(20) else (min(key, other), max(key, other))
        return (key, b"\0") if choice < 9 else (b"\0", b"\0")

    def revision(self) -> int:
        """Somewhere in the history, or just outside of it."""
        now, compacted = self._view.revision, self._view.compact_revision
        choice = self._random.randrange(12)
        if choice < 6:
            return self._random.randint(compacted, max(compacted, now))
        if choice < 8:
            return self._random.randint(max(compacted, now - 20), now)
        edges = (now, compacted, compacted + 1, now + self._random.randint(1, 5), compacted - 1, -1)
        return max(-5, self._random.choice(edges))

    def value(self) -> bytes:
        """One of a few, or some bytes."""
        return self._random.choice(VALUES) if self.chance(70) else self._random.randbytes(self._random.randint(1, 120))

    def lease(self) -> int:
        """A lease that is there, mostly."""
        if self._view.leases and self.chance(92):
            return self._random.choice(self._view.leases)
        return self._random.choice(UNKNOWN_LEASES)

    def range(self, *, unknown_order: bool = True) -> rpc.RangeRequest:
        """With any options together. An order that is none is refused by raftkv alone, so it must not stand where writes do."""
        key, range_end = self.span(single=30)
        request = rpc.RangeRequest(key=key, range_end=range_end, serializable=self.chance(20))
        if self.chance(25):
            request.revision = self.revision()
        if self.chance(35):
            request.limit = self._random.choice((-1, 1, 1, 2, 3, 5, 8, 13, 100))
        if self.chance(45):
            request.sort_order = self._random.randrange(3)
            request.sort_target = self._random.randrange(5)
        if unknown_order and self.chance(2):
            request.sort_order = 7
        request.keys_only = self.chance(12)
        request.count_only = self.chance(8)
        if self.chance(20):
            for bound in ("min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision"):
                if self.chance(40):
                    setattr(request, bound, self.revision())
        return request

    def put(self) -> rpc.PutRequest:
        """With any options together, those that exclude each other too."""
        request = rpc.PutRequest(key=self.key(), prev_kv=self.chance(30), ignore_value=self.chance(10), ignore_lease=self.chance(10))
        if not request.ignore_value or self.chance(10):
            request.value = self.value()
        if self.chance(8 if request.ignore_lease else 25):
            request.lease = self.lease()
        return request

    def delete(self) -> rpc.DeleteRangeRequest:
        """Of a few keys, mostly."""
        key, range_end = self.span(single=75)
        return rpc.DeleteRangeRequest(key=key, range_end=range_end, prev_kv=self.chance(40))

    def compact(self) -> rpc.CompactionRequest:
        """A little further, mostly; seldom all, or what must be refused."""
        now, compacted = self._view.revision, self._view.compact_revision
        choice = self._random.randrange(10)
        if choice < 6:
            revision = self._random.randint(min(compacted + 1, now), min(compacted + 40, now))
        else:
            revision = (now, compacted, now + 1, self._random.choice((0, -1, compacted - 1)))[choice - 6]
        return rpc.CompactionRequest(revision=revision, physical=self.chance(50))

    def txn(self) -> rpc.TxnRequest:
        """Any; seldom one that is too wide, or whose operations are all ranges."""
        choice = self._random.randrange(20)
        if choice == 0:
            return self._wide_txn()
        if choice <= 2:
            ranges = [[rpc.RequestOp(request_range=self.range()) for _ in range(self._random.randint(0, 3))] for _ in range(2)]
            return rpc.TxnRequest(compare=self._compares(), success=ranges[0], failure=ranges[1])
        request = self._txn(depth=3)
        if _deletes_to_the_end(request):
            _keep_nothing(request)
        return request

    def _txn(self, depth: int) -> rpc.TxnRequest:
        success, failure = ([self._operation(depth) for _ in range(self._random.choice((0, 1, 1, 2, 2, 3, 4)))] for _ in range(2))
        return rpc.TxnRequest(compare=self._compares(), success=success, failure=failure)

    def _operation(self, depth: int) -> rpc.RequestOp:
        choice = self._random.random() * 100
        if choice < 35:
            return rpc.RequestOp(request_range=self.range(unknown_order=False))
        if choice < 70:
            return rpc.RequestOp(request_put=self.put())
        if choice < 84:
            return rpc.RequestOp(request_delete_range=self.delete())
        if choice < 99 and depth > 1:
            return rpc.RequestOp(request_txn=self._txn(depth - 1))
        return rpc.RequestOp() if choice >= 99 else rpc.RequestOp(request_put=self.put())

    def _wide_txn(self) -> rpc.TxnRequest:
        """About as many operations as there may be; those of a nested txn count against what its parents left."""
        outer = self._random.choice((1, 2, 64, 127, 128, 129))
        inner = self._random.choice((0, TXN_OPS_MAX - outer, TXN_OPS_MAX - outer + 1))
        operations = [rpc.RequestOp(request_range=rpc.RangeRequest(key=b"a", count_only=True)) for _ in range(outer)]
        if inner > 0:
            nested = [rpc.RequestOp(request_put=rpc.PutRequest(key=b"wide/%d" % number)) for number in range(inner)]
            compares = [rpc.Compare(key=b"wide/0", version=0)] * self._random.choice((0, inner))
            operations[0].request_txn.CopyFrom(rpc.TxnRequest(compare=compares, success=nested))
        return rpc.TxnRequest(success=operations) if self.chance(70) else rpc.TxnRequest(failure=operations)

    def _compares(self) -> list[rpc.Compare]:
        return [self.compare() for _ in range(self._random.choice((0, 0, 1, 1, 1, 2, 3)))]

    def compare(self) -> rpc.Compare:
        """With a union that fits its target, mostly."""
        target = self._random.randrange(5)
        compare = rpc.Compare(key=self.key(), target=target, result=self._random.randrange(4))
        given: dict[str, Any] = {
            "version": self._random.choice((0, 0, 1, 2, 3, 5)),
            "create_revision": self._random.choice((0, self.revision())),
            "mod_revision": self._random.choice((0, self.revision())),
            "value": self.value(),
            "lease": self._random.choice((0, 0, self.lease())),
        }
        names = list(given)
        name = names[target] if self.chance(90) else self._random.choice(names)
        if not self.chance(5):
            setattr(compare, name, given[name])
        if self.chance(30):
            compare.key, compare.range_end = self.span(single=0)
        if self.chance(3):
            compare.target = 9
        if self.chance(3):
            compare.result = 9
        return compare


def prefix_end(key: bytes) -> bytes:
    """The end of the range of all keys that begin so."""
    kept = key.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"


def _deletes_to_the_end(request: rpc.TxnRequest) -> bool:
    return any(
        operation.request_delete_range.range_end == b"\0" or _deletes_to_the_end(operation.request_txn)
        for operation in (*request.success, *request.failure)
    )


def _keep_nothing(request: rpc.TxnRequest) -> None:
    for operation in (*request.success, *request.failure):
        if operation.HasField("request_put"):
            operation.request_put.ClearField("ignore_value")
            operation.request_put.ClearField("ignore_lease")
        elif operation.HasField("request_txn"):
            _keep_nothing(operation.request_txn)
