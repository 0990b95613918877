"""The storage seam over a client of any etcd v3 store: exactly the requests that kube-apiserver sends (spec E.3).

Owns the prefix, the leases that TTLs are made of, and the translation of errors. Endpoints, failover, retries and the resuming of a broken
watch are `raftkv.client`'s. Loop only; calls carry the client's deadline.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from raftkv import errors
from raftkv.client import (
    AsyncClient,
    Event,
    KeyRange,
    KeyValue,
    Prefix,
    RangeOp,
    RangeResult,
    TxnOp,
    TxnResult,
    Watch,
    cancellation,
    mod,
    tls_context,
    version,
)
from raftkv.client import delete as delete_op
from raftkv.client import get as get_op
from raftkv.client import put as put_op
from raftkv.client.selection import prefix_end
from raftkv.clock import Clock
from resource_api.registry.store import (
    Change,
    ChangedError,
    Changes,
    CompactedError,
    CompactionTurn,
    FutureRevisionError,
    KeyExistsError,
    KeyMissingError,
    OutcomeUnknownError,
    Page,
    Store,
    Stored,
    StoreError,
    StoreUnavailableError,
    StoreWatch,
    ValueTooLargeError,
)

T = TypeVar("T")

LEASE_OBJECTS_MAX = 1000
"""How many objects hang on one lease; when it ends they go in one revision."""

LEASE_SLACK_S_MAX = 60
LEASE_SLACK_PERCENT = 5
"""A lease lives longer than the TTL asked for by the smaller of the two, so that later objects can share it."""

COMPACTION_KEY = "compact_rev_key"
"""Shared with every other API server of the store: outside all prefixes, its version is the turn, its value the revision."""

HEALTH_KEY = "health"
"""Read to learn the store's revision; need not exist."""

PROGRESS_VERSIONS = ((3, 4, 31), (3, 5, 13))
"""From the first on within 3.4, and from the second on, the answer to a progress request comes after all events below it."""

ON_REQUEST = -1
"""The watch id of such an answer."""

REQUEST_TOO_LARGE = re.compile(r"request is too large|trying to send message larger than max|received message larger than max")


class KvStore:
    """`registry.store.Store`; see there. The client belongs to the store and is closed with it."""

    def __init__(self, client: AsyncClient, prefix: str = "/registry", *, clock: Clock) -> None:
        self._client = client
        self._prefix = prefix.rstrip("/") + "/"
        self._skip = len(self._prefix.encode())
        self._leases = _Leases(client, clock)
        self._progress_is_sound: bool | None = None

    async def get(self, key: str, *, revision: int = 0) -> Stored:
        """See Store."""
        found = await self._range(RangeOp(self._prefix + key, limit=1, revision=revision))
        if not found.kvs:
            raise KeyMissingError(key)
        return self._stored(found.kvs[0])

    async def list(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See Store."""
        first = self._prefix + prefix
        found = await self._range(RangeOp(KeyRange(first + start, prefix_end(first.encode())), limit=limit, revision=revision))
        items = [self._stored(kv) for kv in found.kvs]
        return Page(items, revision or found.header.revision, found.more, max(0, found.count - len(items)))

    async def count(self, prefix: str) -> int:
        """See Store."""
        return (await self._range(RangeOp(Prefix(self._prefix + prefix), count_only=True))).count

    async def revision(self) -> int:
        """See Store."""
        return (await self._range(RangeOp(self._prefix + HEALTH_KEY, limit=1))).header.revision

    async def size(self) -> int:
        """See Store."""
        try:
            return (await self._client.maintenance.status()).db_size_bytes
        except errors.RequestError:
            return 0
        except errors.RaftKVError as error:
            raise _translated(error, writes=False) from error

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        """See Store."""
        done = await self._put(key, value, 0, ttl_s)
        if not done.succeeded:
            raise KeyExistsError(key)
        return done.header.revision

    async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
        """See Store."""
        done = await self._put(key, value, expected_revision, ttl_s)
        if not done.succeeded:
            raise ChangedError(self._current(done))
        return done.header.revision

    async def delete(self, key: str, *, expected_revision: int) -> int:
        """See Store."""
        full = self._prefix + key
        condition = (mod(full) == expected_revision,)
        done = await _writing(self._client.execute(TxnOp(condition, (delete_op(full),), (get_op(full),))))
        if not done.succeeded:
            raise ChangedError(self._current(done))
        return done.header.revision

    async def compaction_turn(self, number: int, revision: int) -> CompactionTurn:
        """See Store."""
        noted = put_op(COMPACTION_KEY, str(revision))
        done = await _writing(self._client.execute(TxnOp((version(COMPACTION_KEY) == number,), (noted,), (get_op(COMPACTION_KEY),))))
        if done.succeeded:
            return CompactionTurn(True, number + 1, done.header.revision)
        found = done.responses[0]
        assert isinstance(found, RangeResult)
        return CompactionTurn(False, found.kvs[0].version if found.kvs else 0, done.header.revision)

    async def compact(self, revision: int) -> None:
        """See Store."""
        try:
            await self._client.compact(revision)
        except errors.CompactedError:
            return
        except errors.FutureRevError as error:
            raise FutureRevisionError(await self.revision()) from error
        except errors.RaftKVError as error:
            raise _translated(error, writes=True) from error

    @asynccontextmanager
    async def watch(self, prefix: str, *, after_revision: int) -> AsyncIterator[StoreWatch]:
        """See Store. Raises StoreUnavailableError."""
        sound = await self._answers_progress()
        watch = self._client.watch(Prefix(self._prefix + prefix), since=after_revision + 1, previous=True, progress=True)
        async with watch:
            yield _KvWatch(watch, self._skip, after_revision, progress_is_sound=sound)

    async def aclose(self) -> None:
        """See Store."""
        await self._client.aclose()

    # Inside.

    async def _put(self, key: str, value: bytes, expected_revision: int, ttl_s: int) -> TxnResult:
        """One compare and put; an update also reads what stands in its way."""
        full = self._prefix + key
        otherwise = (get_op(full),) if expected_revision else ()
        for is_last in (False, True):
            lease = await self._leases.lease_of(ttl_s) if ttl_s else 0
            operation = TxnOp((mod(full) == expected_revision,), (put_op(full, value, lease=lease),), otherwise)
            try:
                return await _writing(self._client.execute(operation))
            except _LeaseGoneError:
                # Ended behind our back (a restored backup, an operator): nothing was written, a new one will do.
                self._leases.forget(lease)
                if is_last:
                    raise
        raise AssertionError("unreachable")

    async def _range(self, operation: RangeOp) -> RangeResult:
        try:
            return await self._client.execute(operation)
        except errors.CompactedError as error:
            # The text has no number; whoever wants one reads it off a watch.
            raise CompactedError(0) from error
        except errors.FutureRevError as error:
            raise FutureRevisionError(await self.revision()) from error
        except errors.RaftKVError as error:
            raise _translated(error, writes=False) from error

    def _stored(self, kv: KeyValue) -> Stored:
        return Stored(kv.key[self._skip :].decode(), kv.value, kv.mod_revision)

    def _current(self, done: TxnResult) -> Stored | None:
        found = done.responses[0]
        assert isinstance(found, RangeResult)
        return self._stored(found.kvs[0]) if found.kvs else None

    async def _answers_progress(self) -> bool:
        """Whether answers to progress requests can be believed; asked of the store once."""
        if self._progress_is_sound is None:
            try:
                status = await self._client.maintenance.status()
            except errors.RequestError:
                # A store without the call, or one that does not let us: believe nothing.
                self._progress_is_sound = False
            except errors.RaftKVError as error:
                raise _translated(error, writes=False) from error
            else:
                self._progress_is_sound = _is_sound(status.version)
        return self._progress_is_sound


class _KvWatch:
    """A running watch; `client.Watch` resumes it wherever the connection breaks.

    Invariant: what is delivered has ascending revisions above `_after`, each whole.
    """

    def __init__(self, watch: Watch, skip: int, after_revision: int, *, progress_is_sound: bool) -> None:
        self._watch = watch
        self._skip = skip
        self._after = after_revision
        self._progress_is_sound = progress_is_sound

    async def __aiter__(self) -> AsyncIterator[Changes]:
        """See StoreWatch."""
        try:
            async for batch in self._watch.batches():
                if batch.canceled:
                    if batch.compact_revision:
                        raise CompactedError(batch.compact_revision)
                    raise StoreUnavailableError(str(cancellation(batch)))
                if batch.events:
                    self._after = batch.events[-1].kv.mod_revision
                    yield Changes([self._change(event) for event in batch.events], self._after)
                elif batch.header.revision > self._after and (self._progress_is_sound or batch.watch_id != ON_REQUEST):
                    self._after = batch.header.revision
                    yield Changes([], self._after)
        except errors.RaftKVError as error:
            raise _translated(error, writes=False) from error

    async def request_progress(self) -> bool:
        """See StoreWatch."""
        if self._progress_is_sound:
            self._watch.request_progress()
        return self._progress_is_sound

    def _change(self, event: Event) -> Change:
        value = None if event.type == "DELETE" else event.kv.value
        previous = None if event.previous is None else event.previous.value
        return Change(event.kv.key[self._skip :].decode(), value, previous, event.kv.mod_revision)


class _Leases:
    """The lease that objects written now share: they end together, none before its TTL.

    Invariant: an object's lease ends between its TTL and its TTL and the slack after it was handed out.
    """

    def __init__(self, client: AsyncClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._leases: dict[int, tuple[int, float, int]] = {}
        """Per TTL: id, end, and how many objects have it."""

    async def lease_of(self, ttl_s: int) -> int:
        """The id of a lease for one more object."""
        slack_s = max(1, min(LEASE_SLACK_S_MAX, ttl_s * LEASE_SLACK_PERCENT // 100))
        now_s = self._clock.monotonic_s()
        lease, end_s, count = self._leases.get(ttl_s, (0, 0.0, 0))
        if lease and now_s + ttl_s < end_s and count < LEASE_OBJECTS_MAX:
            self._leases[ttl_s] = (lease, end_s, count + 1)
            return lease
        # A lease nobody gets to know ends by itself, so granting one twice does no harm.
        grant = await _granting(self._client, ttl_s + slack_s)
        self._leases[ttl_s] = (grant, now_s + ttl_s + slack_s, 1)
        return grant

    def forget(self, lease: int) -> None:
        """It is gone."""
        self._leases = {ttl_s: entry for ttl_s, entry in self._leases.items() if entry[0] != lease}


class _LeaseGoneError(StoreError):
    """The lease of a put does not exist. No effect."""


async def _granting(client: AsyncClient, ttl_s: int) -> int:
    try:
        return (await client.leases.grant(ttl_s)).id
    except errors.RaftKVError as error:
        # The grant is not the caller's write: of that nothing has happened.
        raise _translated(error, writes=False) from error


async def _writing(call: Awaitable[T]) -> T:
    """A write's answer, its failure as the seam says it."""
    try:
        return await call
    except errors.LeaseNotFoundError as error:
        raise _LeaseGoneError(str(error)) from error
    except errors.RaftKVError as error:
        raise _translated(error, writes=True) from error


def _translated(error: errors.RaftKVError, *, writes: bool) -> StoreError:
    text = str(error)
    if isinstance(error, errors.RequestTooLargeError) or REQUEST_TOO_LARGE.search(text):
        return ValueTooLargeError(text)
    if isinstance(error, errors.UnavailableError | errors.NoSpaceError):
        return StoreUnavailableError(text)
    if isinstance(error, errors.IndeterminateError):
        return OutcomeUnknownError(text) if writes else StoreUnavailableError(text)
    return StoreError(text)


def _is_sound(release: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", release)
    if found is None:
        return False
    numbers = tuple(map(int, found.groups()))
    old, new = PROGRESS_VERSIONS
    return numbers >= new or (numbers[:2] == old[:2] and numbers >= old)


def _conforms(store: KvStore) -> Store:
    """Has the type checker compare the two."""
    return store


def open_store(
    endpoints: Sequence[str], prefix: str, *, clock: Clock, authority: str = "", certificate: str = "", key: str = ""
) -> KvStore:
    """A store at any etcd v3 endpoints. Raises OSError and ValueError for files that cannot be read."""
    secure = bool(authority or certificate) or any(endpoint.startswith("https://") for endpoint in endpoints)
    tls = tls_context(trusted_ca_file=authority or None, cert_file=certificate or None, key_file=key or None) if secure else None
    return KvStore(AsyncClient(endpoints, tls=tls, clock=clock), prefix, clock=clock)
