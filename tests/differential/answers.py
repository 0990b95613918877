"""Answers in normal form: what two servers may rightly say differently is made the same; everything else stays as it was said.

The rules:
1. A lease id that the server chose is replaced by a name, the same for the n-th one granted by either (`LeaseNames`).
2. A term is counted from the first term the server answered with.
3. What is left of a lease's time is `running` when it is at most what was granted and lacks no more than the run can have taken.
4. Sizes of files and positions in the log are `some` when they are there; the applied position is at most the committed one.
5. A hash is `same` when the server gave the same hash for that state before (`Hashes`), and compared as it is
   as long as no key can hold an id of rule 1.
6. Keys of a lease and alarms come in any order. So do keys of a sorted range that have the same sort field, when there are more than
   twelve to sort (Go keeps the order of up to twelve); of such a group that a limit cuts, only the field is compared.
7. Leases come in the order in which they expire; those of one TTL in any, as they may have been renewed in the same millisecond.
8. The past that a watcher catches up with may be cut anywhere between two revisions, at most a thousand of them in a response
   (`joined`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from raftkv.pb import kv, rpc
from tests.differential.exchange import Tree

RUN_S_MAX = 600
"""A run takes less."""

STABLE_SORT_MAX = 12
"""Go sorts that many by insertion, which keeps the order of equals."""

CATCH_UP_REVISIONS_MAX = 1000
"""etcd's bound."""

FIRST_NAME = 1 << 40
"""Above every id the requests choose, below every id a server chooses, so comparing names by size is comparing ids by size."""

_SORT_FIELDS = {
    rpc.RangeRequest.VERSION: attrgetter("version"),
    rpc.RangeRequest.CREATE: attrgetter("create_revision"),
    rpc.RangeRequest.MOD: attrgetter("mod_revision"),
    rpc.RangeRequest.VALUE: attrgetter("value"),
}


class LeaseNames:
    """The lease ids one server chose, by name and back."""

    def __init__(self) -> None:
        self._names: dict[int, int] = {}
        self._ids: dict[int, int] = {}

    def add(self, lease_id: int) -> int:
        """Names the next id."""
        name = FIRST_NAME + len(self._names)
        self._names[lease_id] = name
        self._ids[name] = lease_id
        return name

    def to_ids(self, message: Message) -> None:
        """Replaces names in a request."""
        if self._ids:
            _replace(message, self._ids)

    def to_names(self, message: Message) -> None:
        """Replaces ids in an answer."""
        if self._names:
            _replace(message, self._names)

    def __len__(self) -> int:
        return len(self._names)


def _replace(message: Message, by: dict[int, int]) -> None:
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in (value,) if isinstance(value, Message) else value:
                _replace(one, by)
        elif field.name in ("lease", "ID") and value in by:
            setattr(message, field.name, by[value])


class Hashes:
    """The hashes one server gave."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], int] = {}

    def check(self, revision: int, compact_revision: int, given: int) -> str:
        """`same` unless the state had another hash before."""
        return "same" if self._seen.setdefault((revision, compact_revision), given) == given else "changed"


class Normal:
    """Brings one server's answers into normal form."""

    def __init__(self) -> None:
        self.leases = LeaseNames()
        self._hashes = Hashes()
        self._ttls_s: dict[int, int] = {}
        self._first_term = 0

    def tree(self, request: Any, answer: Message) -> Tree:
        """The answer's normal form; changes the answer on the way."""
        self.leases.to_names(answer)
        if isinstance(answer, rpc.RangeResponse):
            found = _range(request, answer)
        elif isinstance(answer, rpc.TxnResponse):
            found = _txn(request, answer)
        else:
            found = tree(answer)
        if isinstance(answer, rpc.LeaseTimeToLiveResponse):
            _time_to_live(found)
        elif isinstance(answer, rpc.StatusResponse):
            self._status(found)
        elif isinstance(answer, rpc.HashKVResponse):
            self._hash_kv(request, found)
        elif isinstance(answer, rpc.LeaseGrantResponse):
            self._ttls_s[answer.ID] = answer.TTL
        elif isinstance(answer, rpc.LeaseLeasesResponse):
            groups = groupby((lease.ID for lease in answer.leases), self._ttls_s.get)
            found["leases"] = [(ttl_s, sorted(ids)) for ttl_s, ids in groups]
        elif isinstance(answer, rpc.AlarmResponse):
            found.get("alarms", []).sort(key=lambda alarm: sorted(alarm.items()))
        elif isinstance(answer, rpc.HashResponse):
            found["hash"] = "some" if answer.hash else "none"
        self._term(found.get("header"), "raft_term")
        return found

    def _term(self, found: Tree | None, field: str) -> None:
        if found and field in found:
            self._first_term = self._first_term or found[field]
            found[field] -= self._first_term - 1

    def _status(self, found: Tree) -> None:
        applied, committed = found["raftAppliedIndex"], found["raftIndex"]
        found["raftAppliedIndex"] = "some" if 0 < applied <= committed else f"{applied} of {committed}"
        for field in ("dbSize", "dbSizeInUse", "raftIndex"):
            found[field] = "some" if found[field] > 0 else found[field]
        found.get("errors", []).sort()
        self._term(found, "raftTerm")

    def _hash_kv(self, request: rpc.HashKVRequest, found: Tree) -> None:
        if len(self.leases):
            revision = request.revision or found["header"]["revision"]
            found["hash"] = self._hashes.check(revision, found["compact_revision"], found["hash"])


def tree(message: Message) -> Tree:
    """A message as it is. Fields we do not know are counted: neither server may send any."""
    found: Tree = {}
    for field, value in message.ListFields():
        if isinstance(value, Message):
            found[field.name] = tree(value)
        elif field.message_type is not None:
            found[field.name] = [tree(one) for one in value]
        else:
            found[field.name] = value if isinstance(value, int | bytes | str) else list(value)
    if unknown := len(UnknownFieldSet(message)):
        found["unknown fields"] = unknown
    return found


def joined(responses: Iterable[rpc.WatchResponse]) -> Iterator[rpc.WatchResponse]:
    """The responses of one watcher, those of one catch-up made one; what breaks rule 8 stays apart."""
    last: rpc.WatchResponse | None = None
    for response in responses:
        if last is not None and _continues(last, response):
            last.events.extend(response.events)
            continue
        if last is not None:
            yield last
        last = rpc.WatchResponse.FromString(response.SerializeToString())
    if last is not None:
        yield last


def _continues(last: rpc.WatchResponse, response: rpc.WatchResponse) -> bool:
    """Catching up shows in the header: it has the store's revision, and not that of the events."""
    if not last.events or not response.events or last.fragment or response.fragment:
        return False
    revisions = {event.kv.mod_revision for event in response.events}
    return (
        last.header.revision == response.header.revision
        and last.events[-1].kv.mod_revision < min(revisions)
        and len(revisions) <= CATCH_UP_REVISIONS_MAX
    )


def _time_to_live(found: Tree) -> None:
    granted, left = found.get("grantedTTL", 0), found.get("TTL", 0)
    if granted - RUN_S_MAX <= left <= granted and left > 0:
        found["TTL"] = "running"
    if "keys" in found:
        found["keys"] = sorted(found["keys"])


def _range(request: rpc.RangeRequest, answer: rpc.RangeResponse) -> Tree:
    field = _SORT_FIELDS.get(request.sort_target)
    # The values that were sorted by are not in the answer then; any order of them is as good.
    unseen = request.keys_only and request.sort_target == rpc.RangeRequest.VALUE
    if field is None or answer.count <= STABLE_SORT_MAX:
        return tree(answer)
    groups = [("", list(answer.kvs))] if unseen else [(value, list(group)) for value, group in groupby(answer.kvs, field)]
    found = tree(answer)
    if groups:
        found["kvs"] = list(_groups(groups, cut=answer.more))
    return found


def _groups(groups: list[tuple[Any, list[kv.KeyValue]]], *, cut: bool) -> Iterator[Tree]:
    for number, (value, group) in enumerate(groups, 1):
        if cut and number == len(groups):
            yield from ({"one of": value} for _ in group)
        else:
            yield from (tree(one) for one in sorted(group, key=attrgetter("key")))


def _txn(request: rpc.TxnRequest, answer: rpc.TxnResponse) -> Tree:
    """The same for the operations that ran."""
    found = tree(answer)
    operations = request.success if answer.succeeded else request.failure
    if len(operations) == len(answer.responses):
        for operation, response, place in zip(operations, answer.responses, found.get("responses", ()), strict=True):
            if operation.HasField("request_range") and response.HasField("response_range"):
                place["response_range"] = _range(operation.request_range, response.response_range)
            elif operation.HasField("request_txn") and response.HasField("response_txn"):
                place["response_txn"] = _txn(operation.request_txn, response.response_txn)
    return found
