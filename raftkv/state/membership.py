"""The members of the cluster as the applied log says, and how their ids come about.

Knows names, URLs and roles; which of the members vote is consensus's configuration, kept beside it in `meta.py`. A
change travels as the context of a configuration entry (`MemberChange`); a member's name and client URLs arrive later,
by its own publication. Removed ids keep a mark and never come back. Source: spec/etcd-behaviour.md §1.1 (Ids), §1.5;
design §4 rules 15 and 16.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

import msgpack

from raftkv.errors import CorruptionError, MemberExistError, MemberNotFoundError, MemberNotLearnerError, PeerURLExistError
from raftkv.failpoints import FAILPOINTS, hit
from raftkv.state.requests import Publication
from raftkv.storage.backend import Table, Tables

CHANGE_FORMAT = 1
"""Layout of an encoded MemberChange."""

_ID = struct.Struct(">Q")
_CLUSTER_ID_KEY = b"cluster_id"
_REMOVED = b""


class Member(NamedTuple):
    """One member. `started` once it has published its name: from then on it may not come back with an empty disk."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False
    started: bool = False


class ChangeKind(IntEnum):
    """What a configuration entry does to the list of members. Numbers are stored."""

    ADD = 1
    REMOVE = 2
    UPDATE = 3
    PROMOTE = 4


class MemberChange(NamedTuple):
    """The context of a configuration entry. `cluster_id` is set on the additions a new cluster begins with, else 0."""

    kind: ChangeKind
    member: Member
    cluster_id: int = 0
    request_id: int = 0
    """Of the proposal that waits for it at the leader that took it."""

    def encode(self) -> bytes:
        """For the entry's context."""
        member = self.member
        fields = (CHANGE_FORMAT, self.kind, member.id, member.name, member.peer_urls, member.is_learner, self.cluster_id, self.request_id)
        return bytes(msgpack.packb(fields))


def decode_change(context: bytes) -> MemberChange:
    """Raises CorruptionError: skipping a change others apply would split the members' views."""
    try:
        layout, kind, member_id, name, peer_urls, is_learner, cluster_id, request_id = msgpack.unpackb(context)
        if layout != CHANGE_FORMAT:
            raise ValueError(f"format {layout}, this build reads format {CHANGE_FORMAT}")
        return MemberChange(ChangeKind(kind), Member(member_id, name, tuple(peer_urls), (), is_learner), cluster_id, request_id)
    except (msgpack.UnpackException, ValueError, TypeError) as exc:
        raise CorruptionError(f"member change in the log cannot be read: {exc}") from exc


def member_id(peer_urls: Iterable[str], token: str, added_at_s: int | None = None) -> int:
    """A member's id: of the initial cluster by its token; of one added later by the second the adding server saw, without token."""
    text = "".join(sorted(peer_urls)) + (token if added_at_s is None else str(added_at_s))
    return int.from_bytes(hashlib.sha1(text.encode(), usedforsecurity=False).digest()[:8], "big")


def cluster_id(member_ids: Iterable[int]) -> int:
    """The cluster's id, of the members it began with."""
    packed = b"".join(_ID.pack(number) for number in sorted(member_ids))
    return int.from_bytes(hashlib.sha1(packed, usedforsecurity=False).digest()[:8], "big")


def initial_members(initial_cluster: Sequence[tuple[str, str]], token: str) -> tuple[Member, ...]:
    """The members a new cluster begins with, by id, from (name, peer URL) pairs; a name stands once for each of its URLs."""
    urls: dict[str, list[str]] = {}
    for name, url in initial_cluster:
        urls.setdefault(name, []).append(url)
    members = [Member(member_id(peer_urls, token), name, tuple(sorted(peer_urls))) for name, peer_urls in urls.items()]
    return tuple(sorted(members))


def initial_changes(members: Sequence[Member]) -> tuple[MemberChange, ...]:
    """The additions a new cluster's log begins with, the same on every member."""
    number = cluster_id(member.id for member in members)
    # The name is published by the member itself, once it serves.
    return tuple(MemberChange(ChangeKind.ADD, member._replace(name=""), number) for member in sorted(members))


class Membership:
    """The list of members, replicated. Loop only."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._members: dict[int, Member] = {}
        self._removed: set[int] = set()
        for key, row in tables.scan(Table.MEMBER, b"", None):
            number = _ID.unpack(key)[0]
            if row == _REMOVED:
                self._removed.add(number)
            else:
                name, peer_urls, client_urls, is_learner, started = msgpack.unpackb(row)
                self._members[number] = Member(number, name, tuple(peer_urls), tuple(client_urls), is_learner, started)
        stored = tables.get(Table.META, _CLUSTER_ID_KEY)
        self._cluster_id = _ID.unpack(stored)[0] if stored else 0

    @property
    def cluster_id(self) -> int:
        """0 until the first initial member was added."""
        return self._cluster_id

    def all(self) -> tuple[Member, ...]:
        """By id."""
        return tuple(sorted(self._members.values()))

    def get(self, number: int) -> Member | None:
        """The member, or None."""
        return self._members.get(number)

    def is_removed(self, number: int) -> bool:
        """True when a member of this id was once removed."""
        return number in self._removed

    def check(self, change: MemberChange) -> None:
        """Whether a change may be applied to the list as it is now; depends on the log alone.

        Raises MemberExistError, PeerURLExistError, MemberNotFoundError, MemberNotLearnerError. A removed id is not found,
        whatever the change.
        """
        number = change.member.id
        known = self._members.get(number)
        if number in self._removed or (known is None and change.kind != ChangeKind.ADD):
            raise MemberNotFoundError
        if known is not None and change.kind == ChangeKind.ADD:
            raise MemberExistError
        if FAILPOINTS and change.kind == ChangeKind.ADD:
            hit("afterIsMemberExist")
        if change.kind in (ChangeKind.ADD, ChangeKind.UPDATE):
            taken = {url for member in self._members.values() if member.id != number for url in member.peer_urls}
            if not taken.isdisjoint(change.member.peer_urls):
                raise PeerURLExistError
        if change.kind == ChangeKind.PROMOTE and known is not None and not known.is_learner:
            raise MemberNotLearnerError

    def apply(self, change: MemberChange) -> None:
        """Makes a change that `check` let pass."""
        member = change.member
        if change.kind == ChangeKind.ADD:
            self._save(member)
        elif change.kind == ChangeKind.REMOVE:
            del self._members[member.id]
            self._removed.add(member.id)
            self._tables.put(Table.MEMBER, _ID.pack(member.id), _REMOVED)
        elif change.kind == ChangeKind.UPDATE:
            self._save(self._members[member.id]._replace(peer_urls=member.peer_urls))
        else:
            self._save(self._members[member.id]._replace(is_learner=False))
        if change.cluster_id and not self._cluster_id:
            self._cluster_id = change.cluster_id
            self._tables.put(Table.META, _CLUSTER_ID_KEY, _ID.pack(change.cluster_id))

    def publish(self, publication: Publication) -> None:
        """A member tells its name and client URLs. Raises MemberNotFoundError."""
        member = self._members.get(publication.member_id)
        if member is None:
            raise MemberNotFoundError
        self._save(member._replace(name=publication.name, client_urls=publication.client_urls, started=True))

    def _save(self, member: Member) -> None:
        self._members[member.id] = member
        row = msgpack.packb((member.name, member.peer_urls, member.client_urls, member.is_learner, member.started))
        self._tables.put(Table.MEMBER, _ID.pack(member.id), row)
