"""Range requests answered from the store, whole or in slices.

Knows every option of RangeRequest and turns it into one or more `KV.range` calls; sorting and revision filters are
done here, on decoded records. A long range is a `RangeJob`: it holds a revision and does a bounded number of keys in
each `step`, so that the caller can give way between steps. Hot path: `range_body` for one key and plain prefixes.
Source: spec/etcd-behaviour.md §1.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raftkv.errors import CompactedError
from raftkv.mvcc.kv import KV
from raftkv.pb import kv, rpc
from raftkv.state import bodies

SLICE_KEYS = 500
"""Keys read in one step; about a third of a millisecond."""

RESTARTS_MAX = 2
"""How often a sliced read begins again because a compaction overtook it, before it is done in one piece."""

_SORT_KEYS: dict[int, Callable[[kv.KeyValue], Any]] = {
    rpc.RangeRequest.KEY: lambda item: item.key,
    rpc.RangeRequest.VERSION: lambda item: item.version,
    rpc.RangeRequest.CREATE: lambda item: item.create_revision,
    rpc.RangeRequest.MOD: lambda item: item.mod_revision,
    rpc.RangeRequest.VALUE: lambda item: item.value,
}


def is_plain(request: rpc.RangeRequest) -> bool:
    """True when the answer is in key order and every key counts: nothing to sort, nothing to filter."""
    return not (
        request.sort_target
        or request.sort_order > rpc.RangeRequest.ASCEND
        or request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def range_body(store: KV, request: rpc.RangeRequest) -> bytes:
    """The whole RangeResponse without its header. Raises FutureRevError, CompactedError."""
    revision = request.revision
    if request.count_only:
        return bodies.of_range((), store.range(request.key, request.range_end, revision=revision, count_only=True).total)
    if is_plain(request):
        limit = request.limit
        if limit < 0:
            limit = 0
        records, total = store.range(request.key, request.range_end, revision=revision, limit=limit, keys_only=request.keys_only)
        return bodies.of_range(records, total, 0 < limit < total)
    records, total = store.range(
        request.key, request.range_end, revision=revision, limit=_fetch_limit(request), keys_only=_fetch_keys_only(request)
    )
    return _shaped_body(request, records, total)


def _fetch_limit(request: rpc.RangeRequest) -> int:
    """How many keys must be read before sorting and filtering; 0 for all.

    A sort by another target than the key with no order given sorts only the first limit + 1 keys in key order: etcd
    pushes that limit down, and clients see it.
    """
    filtered = request.min_mod_revision or request.max_mod_revision or request.min_create_revision or request.max_create_revision
    if request.limit <= 0 or filtered or request.sort_order != rpc.RangeRequest.NONE:
        return 0
    return request.limit + 1


def _fetch_keys_only(request: rpc.RangeRequest) -> bool:
    """Values are needed for sorting by them even when they are not sent."""
    return request.keys_only and request.sort_target != rpc.RangeRequest.VALUE


def _shaped_body(request: rpc.RangeRequest, records: Sequence[bytes], total: int) -> bytes:
    # Records are `kvs` fields as they stand, so one parse of their join decodes them all.
    decoded = rpc.RangeResponse.FromString(b"".join(records)).kvs
    pairs = [pair for pair in zip(decoded, records, strict=True) if _passes(request, pair[0])]
    sort_key = _SORT_KEYS.get(request.sort_target, _SORT_KEYS[rpc.RangeRequest.KEY])
    # Any target but the key is sorted even when no order was given.
    if request.sort_order != rpc.RangeRequest.NONE or request.sort_target != rpc.RangeRequest.KEY:
        pairs.sort(key=lambda pair: sort_key(pair[0]), reverse=request.sort_order == rpc.RangeRequest.DESCEND)
    more = 0 < request.limit < len(pairs)
    if more:
        del pairs[request.limit :]
    if request.keys_only and not _fetch_keys_only(request):
        return bodies.of_range([_without_value(item) for item, _ in pairs], total, more)
    return bodies.of_range([record for _, record in pairs], total, more)


def _passes(request: rpc.RangeRequest, item: kv.KeyValue) -> bool:
    """Bounds are inclusive; 0 is no bound."""
    return not (
        (request.max_mod_revision and item.mod_revision > request.max_mod_revision)
        or (request.min_mod_revision and item.mod_revision < request.min_mod_revision)
        or (request.max_create_revision and item.create_revision > request.max_create_revision)
        or (request.min_create_revision and item.create_revision < request.min_create_revision)
    )


def _without_value(item: kv.KeyValue) -> bytes:
    item.value = b""
    return bodies.sized(b"\x12", item.SerializeToString())


def key_of(record: bytes) -> bytes:
    """The key in a stored record."""
    return rpc.RangeResponse.FromString(record).kvs[0].key


class RangeJob:
    """One range in slices. `body` and `revision` are set once `step` has returned True.

    The answer is that of one revision: the one asked for, or the newest when the job began. A compaction that overtakes
    a job of the second kind starts it again at a newer revision, in one piece after RESTARTS_MAX restarts.
    """

    __slots__ = ("_counted", "_key", "_pinned", "_records", "_request", "_restarts", "_store", "_total", "_want", "body", "revision")

    def __init__(self, store: KV, request: rpc.RangeRequest) -> None:
        self._store = store
        self._request = request
        self._restarts = 0
        self.body = b""
        self._begin()

    def _begin(self) -> None:
        request = self._request
        self.revision = self._store.revision
        self._pinned = request.revision if request.revision > 0 else self.revision
        self._key = request.key
        self._records: list[bytes] = []
        self._counted = 0
        self._total = -1
        self._want = max(request.limit, 0) if is_plain(request) else _fetch_limit(request)

    @property
    def named_revision(self) -> bool:
        """True when the request asked for a revision; such a job never begins again."""
        return self._request.revision > 0

    @property
    def keys_seen(self) -> int:
        """Keys read or counted so far."""
        return self._counted

    def step(self, keys_max: int = SLICE_KEYS) -> bool:
        """Looks at up to `keys_max` more keys (0: all); True when the body is there. Raises FutureRevError, CompactedError."""
        try:
            return self.advance(keys_max)
        except CompactedError:
            if self.named_revision:
                raise
        self._restarts += 1
        self._begin()
        return self.step(keys_max if self._restarts <= RESTARTS_MAX else 0)

    def advance(self, keys_max: int) -> bool:
        """As `step`, but a compaction that overtakes the job is the caller's affair: raises CompactedError."""
        request, store = self._request, self._store
        # Counting is two bisects at the newest revision and a walk at any other: there the slices count as they go.
        need_total = self._total < 0 and (not keys_max or not request.range_end or self._pinned >= store.revision)
        fetches = not request.count_only and not 0 < self._want <= len(self._records)
        limit = keys_max
        if fetches and self._want:
            left = self._want - len(self._records)
            limit = min(keys_max, left) if keys_max else left
        records, total = store.range(
            self._key,
            request.range_end,
            revision=self._pinned,
            limit=limit,
            count_only=need_total and not fetches,
            keys_only=not fetches or _fetch_keys_only(request),
            need_total=need_total,
        )
        if need_total:
            self._total = self._counted + total
        self._counted += len(records)
        if self._total < 0 and len(records) < limit:
            self._total = self._counted
        if fetches:
            self._records += records
        if self._total >= 0 and (request.count_only or 0 < self._want <= len(self._records) or self._counted >= self._total):
            self._finish()
            return True
        self._key = key_of(records[-1]) + b"\0"
        return False

    def _finish(self) -> None:
        if self._request.count_only:
            self.body = bodies.of_range((), self._total)
        elif is_plain(self._request):
            self.body = bodies.of_range(self._records, self._total, 0 < self._request.limit < self._total)
        else:
            self.body = _shaped_body(self._request, self._records, self._total)
