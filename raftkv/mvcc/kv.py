"""SEAM: the multi-version key-value store as the state machine sees it.

Keys and values are bytes. A record is one encoded `mvccpb.KeyValue` behind its field tag and length (`0x12 len …`): the
same bytes are the `kvs` field of RangeResponse, the `prev_kv` of PutResponse and the `kv` of an Event, so answers are
joined and never re-encoded. Implementation: `mvcc/store.py`; the naive model in tests/mvcc is the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class RangeResult(NamedTuple):
    """Answer of a range."""

    records: list[bytes]
    """In key order, each `0x12 len KeyValue`, without its stored checksum."""

    total: int
    """Keys in the range at that revision, whatever the limit."""


class KeyState(NamedTuple):
    """What a compare needs to know of a key; zeros for a key that is not there."""

    create_revision: int
    mod_revision: int
    version: int
    lease: int


class Event(NamedTuple):
    """One change, as the watch hub gets it."""

    key: bytes
    revision: int
    sub: int
    record: bytes
    """As in RangeResult; of a deletion: the record with key and mod_revision alone."""

    is_delete: bool
    is_create: bool
    """True when the change made the key; never with is_delete."""


class KV(Protocol):
    """The store. Loop only; nothing here waits.

    Revision arguments: 0 or less means the current one. Range ends follow etcd: empty is one key, b"\\0" is "to the end".
    """

    @property
    def revision(self) -> int:
        """Newest revision; 1 in a fresh store."""

    @property
    def compact_revision(self) -> int:
        """Oldest revision still readable; -1 before the first compaction."""

    def range(
        self,
        key: bytes,
        range_end: bytes,
        *,
        revision: int = 0,
        limit: int = 0,
        count_only: bool = False,
        keys_only: bool = False,
        need_total: bool = True,
    ) -> RangeResult:
        """Records of [key, range_end) at a revision, at most `limit` (0: all).

        A long range is cut into slices by asking from the last key + b"\\0" on at the first slice's revision; those
        later slices say need_total=False, because counting keys at a past revision walks the whole range: total is then
        -1 where it would have taken a walk.

        Raises FutureRevError, CompactedError (of raftkv.errors).
        """

    def key_state(self, key: bytes) -> KeyState:
        """Of the newest revision, from the index alone."""

    def value(self, key: bytes) -> bytes | None:
        """Value at the newest revision."""

    def put(self, key: bytes, value: bytes, lease: int) -> int:
        """One put as a whole entry: `begin`, `put`, `end`. Returns the new revision."""

    def begin(self) -> Write:
        """Starts the changes of one entry. Exactly one Write is open at a time; reads see its changes as they are made."""

    def lease_of(self, key: bytes) -> int:
        """The lease a key is attached to; 0 for none."""

    def leased_keys(self) -> Iterator[tuple[bytes, int]]:
        """Every live key with a lease; used once, after the store was opened."""

    def take_events(self) -> list[Event]:
        """Events since the last call, in revision order."""


class Write(Protocol):
    """The changes of one entry: all carry one main revision, numbered 0, 1, 2 … in order."""

    def put(self, key: bytes, value: bytes, lease: int) -> None:
        """Sets the key."""

    def delete_range(self, key: bytes, range_end: bytes) -> list[bytes]:
        """Deletes the live keys of the range and returns them in key order."""

    @property
    def revision(self) -> int:
        """The store's revision as this entry sees it: the new one once anything was changed."""

    def end(self) -> int:
        """Ends the entry; returns the revision, which is a new one if anything was changed."""
