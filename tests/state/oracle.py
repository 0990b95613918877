"""etcd's key-value rules a second time: whole states by revision, requests answered as messages.

Written from spec/etcd-behaviour.md §1.2 and §1.4 and sharing nothing with `raftkv.state`: states are copied dictionaries,
a txn is tried on a copy, and responses are built with protobuf.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from raftkv import errors
from raftkv.pb import kv, rpc

State = dict[bytes, kv.KeyValue]


class Refused(Exception):
    def __init__(self, error: type[Exception]) -> None:
        super().__init__(error.__name__)
        self.error = error


class Working(NamedTuple):
    """An entry under way: the state it changes, and whether it has."""

    state: State
    changed: list[bytes]


def selected(state: State, key: bytes, end: bytes) -> list[kv.KeyValue]:
    def inside(name: bytes) -> bool:
        if end == b"":
            return name == key
        return name >= key and (end == b"\0" or name < end)

    return [state[name] for name in sorted(state) if inside(name)]


class Oracle:
    def __init__(self) -> None:
        self.states: list[State] = [{}, {}]
        self.compacted = -1
        self.leases: dict[int, int] = {}

    @property
    def revision(self) -> int:
        return len(self.states) - 1

    def do(self, request: Message) -> Message:
        """The answer with its header's revision, or Refused."""
        handlers: dict[type, Callable[[Any, Working], Message]] = {
            rpc.PutRequest: self._put_alone,
            rpc.DeleteRangeRequest: self._delete,
            rpc.TxnRequest: self._txn,
            rpc.CompactionRequest: self._compact,
            rpc.LeaseGrantRequest: self._grant,
            rpc.LeaseRevokeRequest: self._revoke,
        }
        working = Working(dict(self.states[-1]), [])
        response = handlers[type(request)](request, working)
        if working.changed:
            self.states.append(working.state)
        response.header.Clear()
        response.header.revision = self.revision
        return response

    def _now(self, working: Working) -> int:
        return self.revision + bool(working.changed)

    def range(self, request: rpc.RangeRequest, working: Working | None = None) -> rpc.RangeResponse:
        newest = self.revision if working is None else self._now(working)
        if request.revision > newest:
            raise Refused(errors.FutureRevError)
        if 0 < request.revision < self.compacted:
            raise Refused(errors.CompactedError)
        if 0 < request.revision <= self.revision:
            state = self.states[request.revision]
        else:
            state = self.states[-1] if working is None else working.state
        found = selected(state, request.key, request.range_end)
        response = rpc.RangeResponse(count=len(found))
        response.header.revision = newest
        if request.count_only:
            return response
        R = rpc.RangeRequest
        bounds = (request.min_mod_revision, request.max_mod_revision, request.min_create_revision, request.max_create_revision)
        if request.sort_order == R.NONE and request.limit > 0 and not any(bounds):
            found = found[: request.limit + 1]
        if request.min_mod_revision:
            found = [item for item in found if item.mod_revision >= request.min_mod_revision]
        if request.max_mod_revision:
            found = [item for item in found if item.mod_revision <= request.max_mod_revision]
        if request.min_create_revision:
            found = [item for item in found if item.create_revision >= request.min_create_revision]
        if request.max_create_revision:
            found = [item for item in found if item.create_revision <= request.max_create_revision]
        field = {R.KEY: "key", R.VERSION: "version", R.CREATE: "create_revision", R.MOD: "mod_revision", R.VALUE: "value"}
        found.sort(key=lambda item: getattr(item, field[request.sort_target]), reverse=request.sort_order == R.DESCEND)
        if 0 < request.limit < len(found):
            found = found[: request.limit]
            response.more = True
        for item in found:
            sent = response.kvs.add()
            sent.CopyFrom(item)
            if request.keys_only:
                sent.value = b""
                if request.sort_target != R.VALUE:
                    sent.lease = 0
        return response

    def _check_put(self, request: rpc.PutRequest, state: State) -> None:
        if (request.ignore_value or request.ignore_lease) and request.key not in state:
            raise Refused(errors.KeyNotFoundError)
        if request.lease and request.lease not in self.leases:
            raise Refused(errors.LeaseNotFoundError)

    def _put_alone(self, request: rpc.PutRequest, working: Working) -> Message:
        if request.lease and request.lease not in self.leases:
            raise Refused(errors.LeaseNotFoundError)
        self._check_put(request, working.state)
        return self._put(request, working)

    def _put(self, request: rpc.PutRequest, working: Working) -> Message:
        old = working.state.get(request.key)
        response = rpc.PutResponse()
        if request.prev_kv and old is not None:
            response.prev_kv.CopyFrom(old)
        made = self.revision + 1
        working.state[request.key] = kv.KeyValue(
            key=request.key,
            value=old.value if request.ignore_value and old else request.value,
            lease=old.lease if request.ignore_lease and old else request.lease,
            create_revision=old.create_revision if old else made,
            mod_revision=made,
            version=old.version + 1 if old else 1,
        )
        working.changed.append(request.key)
        response.header.revision = made
        return response

    def _delete(self, request: rpc.DeleteRangeRequest, working: Working) -> Message:
        gone = selected(working.state, request.key, request.range_end)
        for item in gone:
            del working.state[item.key]
            working.changed.append(item.key)
        response = rpc.DeleteRangeResponse(deleted=len(gone), prev_kvs=gone if request.prev_kv else [])
        response.header.revision = self._now(working)
        return response

    def _holds(self, compare: rpc.Compare, state: State) -> bool:
        C = rpc.Compare
        items = selected(state, compare.key, compare.range_end)
        if compare.target == C.VALUE and not items:
            return False
        name = {C.VERSION: "version", C.CREATE: "create_revision", C.MOD: "mod_revision", C.VALUE: "value", C.LEASE: "lease"}[
            compare.target
        ]
        given = getattr(compare, name)

        def one(item: kv.KeyValue) -> bool:
            stored = getattr(item, name)
            order = (stored > given) - (stored < given)
            return {C.EQUAL: order == 0, C.NOT_EQUAL: order != 0, C.GREATER: order == 1, C.LESS: order == -1}[compare.result]

        return all(one(item) for item in items or [kv.KeyValue()])

    def _chosen(self, request: rpc.TxnRequest, state: State) -> tuple[bool, list[Any]]:
        """Succeeded, and the operations, a nested txn being such a pair."""
        succeeded = all(self._holds(compare, state) for compare in request.compare)
        chosen: list[Any] = []
        for op in request.success if succeeded else request.failure:
            part = getattr(op, op.WhichOneof("request"))
            chosen.append(self._chosen(part, state) if isinstance(part, rpc.TxnRequest) else part)
        return succeeded, chosen

    def _txn(self, request: rpc.TxnRequest, working: Working) -> Message:
        plan = self._chosen(request, working.state)

        def leaves(part: Any) -> list[Any]:
            return [leaf for item in part[1] for leaf in leaves(item)] if isinstance(part, tuple) else [part]

        for part in leaves(plan):
            if isinstance(part, rpc.PutRequest):
                self._check_put(part, working.state)
        for part in leaves(plan):
            if isinstance(part, rpc.RangeRequest) and part.revision:
                if part.revision > self.revision:
                    raise Refused(errors.FutureRevError)
                if part.revision < self.compacted:
                    raise Refused(errors.CompactedError)
        return self._run(plan, working)

    def _run(self, plan: tuple[bool, list[Any]], working: Working) -> Message:
        response = rpc.TxnResponse(succeeded=plan[0])
        for part in plan[1]:
            answer = response.responses.add()
            if isinstance(part, tuple):
                answer.response_txn.CopyFrom(self._run(part, working))
                answer.response_txn.header.SetInParent()
            elif isinstance(part, rpc.PutRequest):
                answer.response_put.CopyFrom(self._put(part, working))
            elif isinstance(part, rpc.DeleteRangeRequest):
                answer.response_delete_range.CopyFrom(self._delete(part, working))
            else:
                answer.response_range.CopyFrom(self.range(part, working))
        return response

    def _compact(self, request: rpc.CompactionRequest, working: Working) -> Message:
        if request.revision <= self.compacted:
            raise Refused(errors.CompactedError)
        if request.revision > self.revision:
            raise Refused(errors.FutureRevError)
        self.compacted = request.revision
        return rpc.CompactionResponse()

    def _grant(self, request: rpc.LeaseGrantRequest, working: Working) -> Message:
        if request.ID in self.leases:
            raise Refused(errors.LeaseExistError)
        self.leases[request.ID] = request.TTL
        return rpc.LeaseGrantResponse(ID=request.ID, TTL=request.TTL)

    def _revoke(self, request: rpc.LeaseRevokeRequest, working: Working) -> Message:
        if request.ID not in self.leases:
            raise Refused(errors.LeaseNotFoundError)
        del self.leases[request.ID]
        for key in sorted(key for key, item in working.state.items() if item.lease == request.ID):
            del working.state[key]
            working.changed.append(key)
        return rpc.LeaseRevokeResponse()
