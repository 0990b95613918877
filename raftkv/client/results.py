"""What a call to the cluster returns: plain slots classes, no protobuf objects.

Owns the public result types of the client. Every top-level result keeps `raw`, the response bytes as they arrived, for
callers that pass them on. Ids are unsigned 64-bit except lease ids, which are signed; TTLs are whole seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Header:
    """Which member answered, at which revision and term; all zero when the server sent none."""

    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


@dataclass(slots=True)
class KeyValue:
    """One key as the store held it. A deleted key in an event has only `key` and `mod_revision`."""

    key: bytes
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0

    @property
    def text(self) -> str:
        """The value as UTF-8 text.

        Raises:
            UnicodeDecodeError: the value is not UTF-8.
        """
        return self.value.decode()

    def json(self) -> Any:
        """The value parsed as JSON."""
        return json.loads(self.value)


@dataclass(slots=True)
class HeaderResult:
    """An answer that says nothing but who answered and when."""

    header: Header
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class PutResult:
    """A write of one key; `header.revision` is the revision it made."""

    header: Header
    previous: KeyValue | None = None
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class RangeResult:
    """The keys read, in the order asked for. `count` ignores the limit; `more` says that the limit cut something off."""

    header: Header
    kvs: list[KeyValue]
    more: bool = False
    count: int = 0
    raw: bytes = field(default=b"", repr=False, compare=False)

    def __iter__(self) -> Iterator[KeyValue]:
        return iter(self.kvs)

    def __len__(self) -> int:
        return len(self.kvs)


@dataclass(slots=True)
class DeleteResult:
    """How many keys went; `previous` holds them when asked for."""

    header: Header
    deleted: int = 0
    previous: list[KeyValue] = field(default_factory=list)
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class TxnResult:
    """Which branch ran, and one result per operation of it, in order. Inner headers hold a revision only."""

    header: Header
    succeeded: bool
    responses: list[PutResult | RangeResult | DeleteResult | TxnResult]
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class LeaseGrant:
    """A new lease; the server may have raised the TTL to its minimum."""

    header: Header
    id: int
    ttl_s: int
    error: str = ""
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class LeaseKeepAlive:
    """A renewal; `ttl_s` is the full TTL again."""

    header: Header
    id: int
    ttl_s: int
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class LeaseTimeToLive:
    """What is left of a lease; an unknown one has `ttl_s` −1 and `granted_ttl_s` 0."""

    header: Header
    id: int
    ttl_s: int
    granted_ttl_s: int
    keys: list[bytes] = field(default_factory=list)
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class LeaseList:
    """The ids of all leases, first to expire first."""

    header: Header
    ids: list[int]
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class Member:
    """One server of the cluster; name and client URLs are empty until it has started."""

    id: int
    name: str
    peer_urls: list[str]
    client_urls: list[str]
    is_learner: bool


@dataclass(slots=True)
class MemberList:
    """The membership; `member` is the one just added, for an add."""

    header: Header
    members: list[Member]
    member: Member | None = None
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class Status:
    """What one member says of itself; sizes in bytes, `leader` 0 when it knows none."""

    header: Header
    version: str
    db_size_bytes: int
    leader: int
    raft_index: int
    raft_term: int
    raft_applied_index: int
    errors: list[str]
    db_size_in_use_bytes: int
    is_learner: bool
    storage_version: str
    db_size_quota_bytes: int
    downgrade_target_version: str
    downgrade_enabled: bool
    downgrade_known: bool
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class HashKV:
    """A member's hash over its history up to `hash_revision`; equal on all members at equal revisions."""

    header: Header
    hash: int
    compact_revision: int
    hash_revision: int
    raw: bytes = field(default=b"", repr=False, compare=False)


ALARM_NAMES = ("NONE", "NOSPACE", "CORRUPT")


@dataclass(slots=True)
class Alarm:
    """One alarm one member has raised; `kind` is etcd's number (1 no space, 2 corrupt)."""

    member_id: int
    kind: int

    @property
    def name(self) -> str:
        """etcd's name of the kind, or the number of one this client does not know."""
        return ALARM_NAMES[self.kind] if self.kind < len(ALARM_NAMES) else str(self.kind)


@dataclass(slots=True)
class AlarmList:
    """The alarms asked for, or the ones an action changed."""

    header: Header
    alarms: list[Alarm]
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(slots=True)
class Event:
    """One change of one key: `type` is "PUT" or "DELETE"; `previous` is the key before it, when asked for and still kept."""

    type: str
    kv: KeyValue
    previous: KeyValue | None = None


@dataclass(slots=True)
class WatchBatch:
    """What one message of a watch held. Without events it reports progress: all up to `header.revision` has been delivered."""

    header: Header
    events: list[Event]
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    fragment: bool = False
    watch_id: int = 0
    raw: bytes = field(default=b"", repr=False, compare=False)

    @property
    def is_progress(self) -> bool:
        """Whether this only says how far the watch has come."""
        return not self.events and not self.created and not self.canceled and not self.compact_revision and self.header.revision != 0
