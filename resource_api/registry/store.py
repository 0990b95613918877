"""The storage seam: what the API server asks of an etcd v3 store, and nothing of etcd.

SEAM. Implementations: `kv_store.KvStore` over any etcd v3 endpoints or an embedded member; one conformance suite runs on all
(`tests/resource_api/registry/test_store_conformance.py`). Keys are text below the implementation's prefix (`pods/default/web`), values
opaque bytes, a revision is the store's own and counts changes of the whole store. Loop only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Stored(NamedTuple):
    """A value as it stands in the store, or stood at its last change."""

    key: str
    value: bytes
    revision: int
    """Of the last write."""


class Page(NamedTuple):
    """A part of a range, in key order."""

    items: list[Stored]
    revision: int
    """The store's revision this page was read at."""
    more: bool
    remaining: int
    """How many keys of the range are behind this page."""


class Change(NamedTuple):
    """One event of a watch."""

    key: str
    value: bytes | None
    """None when the key was deleted."""
    previous: bytes | None
    """None when the key was created."""
    revision: int


class Changes(NamedTuple):
    """What a watch delivers at once: whole revisions only, ascending, none twice, none missing."""

    events: list[Change]
    revision: int
    """Everything up to here was delivered; without events this is progress alone."""


class CompactionTurn(NamedTuple):
    """How a server's attempt to be the one that compacts went."""

    won: bool
    number: int
    """The turn that is over: what the next attempt names."""
    revision: int
    """The store's, at the attempt."""


class StoreError(Exception):
    """Base of what a store can answer besides a value."""


class KeyExistsError(StoreError):
    """Create: the key is there. No effect."""


class KeyMissingError(StoreError):
    """The key is not there. No effect."""


class ChangedError(StoreError):
    """Compare failed: the key's last write is not the expected one. No effect; `current` is what stands there, None when nothing."""

    def __init__(self, current: Stored | None) -> None:
        super().__init__("the key was changed")
        self.current = current


class CompactedError(StoreError):
    """That revision is no longer readable; `compact_revision` and later are. 0 where the store does not say which."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"compacted up to {compact_revision}")
        self.compact_revision = compact_revision


class FutureRevisionError(StoreError):
    """That revision has not been reached; `current` has."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the store is at {current}")
        self.current = current


class ValueTooLargeError(StoreError):
    """The store takes no value of this size. No effect."""


class StoreUnavailableError(StoreError):
    """No store could be asked, and nothing was done: try again."""


class OutcomeUnknownError(StoreError):
    """A write may or may not have happened. Whoever repeats it must compare."""


class StoreWatch(Protocol):
    """A running watch. Iteration ends with `CompactedError` or `StoreUnavailableError`; reconnecting is the implementation's work."""

    def __aiter__(self) -> AsyncIterator[Changes]:
        """Waits for the next changes or progress."""

    async def request_progress(self) -> bool:
        """Asks for a `Changes` that says how far the watch is, soon; false when this store never answers."""


class Store(Protocol):
    """See the module. Every read is linearizable. Deadlines are the caller's; a write abandoned by one has an unknown outcome."""

    async def get(self, key: str, *, revision: int = 0) -> Stored:
        """Raises KeyMissingError; with a revision also CompactedError and FutureRevisionError."""

    async def list(self, prefix: str, *, start: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Keys with the prefix (which ends in a slash) from `prefix + start` on; limit 0 means all.

        Raises CompactedError, FutureRevisionError.
        """

    async def count(self, prefix: str) -> int:
        """How many keys have the prefix."""

    async def revision(self) -> int:
        """The store's present revision."""

    async def size(self) -> int:
        """Bytes its database takes; 0 where it does not say."""

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        """The revision of the write. Raises KeyExistsError. With a TTL the key goes by itself, some time after it."""

    async def update(self, key: str, value: bytes, *, expected_revision: int, ttl_s: int = 0) -> int:
        """Writes if the key's last write has this revision; the write's own revision. Raises ChangedError."""

    async def delete(self, key: str, *, expected_revision: int) -> int:
        """Removes if the key's last write has this revision; the removal's own. Raises ChangedError (current None: it was gone)."""

    async def compaction_turn(self, number: int, revision: int) -> CompactionTurn:
        """Takes the turn after this one, noting the revision, if nobody else has; see `compactor.py`."""

    async def compact(self, revision: int) -> None:
        """No state before the revision can be read any more; a store that has given up more already takes it as done."""

    def watch(self, prefix: str, *, after_revision: int) -> AbstractAsyncContextManager[StoreWatch]:
        """Every change with the prefix after that revision, each with its previous value."""

    async def aclose(self) -> None:
        """Ends every watch and connection."""
