"""A state machine under test, and a driver that feeds it entries."""

from __future__ import annotations

from google.protobuf.message import Message

from raftkv.pb import rpc
from raftkv.state import requests
from raftkv.state.apply import Applied, StateMachine, Store
from raftkv.state.requests import RequestKind
from raftkv.storage.backend import Tables
from tests.state.naive_kv import DictTables, NaiveKV

KINDS: dict[type, RequestKind] = {
    rpc.PutRequest: RequestKind.PUT,
    rpc.DeleteRangeRequest: RequestKind.DELETE_RANGE,
    rpc.TxnRequest: RequestKind.TXN,
    rpc.CompactionRequest: RequestKind.COMPACT,
    rpc.LeaseGrantRequest: RequestKind.LEASE_GRANT,
    rpc.LeaseRevokeRequest: RequestKind.LEASE_REVOKE,
    rpc.LeaseCheckpointRequest: RequestKind.LEASE_CHECKPOINT,
    rpc.AlarmRequest: RequestKind.ALARM,
}

RESPONSES: dict[type, type[Message]] = {
    rpc.PutRequest: rpc.PutResponse,
    rpc.DeleteRangeRequest: rpc.DeleteRangeResponse,
    rpc.TxnRequest: rpc.TxnResponse,
    rpc.CompactionRequest: rpc.CompactionResponse,
    rpc.LeaseGrantRequest: rpc.LeaseGrantResponse,
    rpc.LeaseRevokeRequest: rpc.LeaseRevokeResponse,
    rpc.LeaseCheckpointRequest: rpc.LeaseCheckpointResponse,
    rpc.AlarmRequest: rpc.AlarmResponse,
}


def entry_data(request: object, number: int = 1) -> bytes:
    """The entry's data for any request."""
    if isinstance(request, Message):
        return requests.encode(KINDS[type(request)], number, request.SerializeToString())
    return requests.encode_own(request, number)  # type: ignore[arg-type]


class Driver:
    """Applies requests as entries of one term."""

    def __init__(self, tables: Tables | None = None, store: Store | None = None) -> None:
        self.tables = tables if tables is not None else DictTables()
        self.store = store if store is not None else NaiveKV()
        self.state = StateMachine(self.tables, self.store)
        self.term = 1

    def apply(self, request: object) -> Applied:
        index = self.state.applied_index + 1
        applied = self.state.apply(self.term, index, entry_data(request, index))
        self.state.note_applied(index, self.term)
        return applied

    def do(self, request: Message) -> Message:
        """Applies and decodes the answer; a failed request raises."""
        revision, body, error = self.apply(request)
        if error is not None:
            raise error
        response = RESPONSES[type(request)].FromString(body)
        assert not response.HasField("header")
        response.header.revision = revision
        return response

    def put(self, key: bytes, value: bytes = b"v", lease: int = 0, **options: bool) -> rpc.PutResponse:
        return self.do(rpc.PutRequest(key=key, value=value, lease=lease, **options))

    def delete(self, key: bytes, range_end: bytes = b"", prev_kv: bool = False) -> rpc.DeleteRangeResponse:
        return self.do(rpc.DeleteRangeRequest(key=key, range_end=range_end, prev_kv=prev_kv))

    def grant(self, lease_id: int, ttl: int = 60) -> rpc.LeaseGrantResponse:
        return self.do(rpc.LeaseGrantRequest(ID=lease_id, TTL=ttl))

    def revoke(self, lease_id: int) -> rpc.LeaseRevokeResponse:
        return self.do(rpc.LeaseRevokeRequest(ID=lease_id))

    def range(self, key: bytes, range_end: bytes = b"", **options: int) -> rpc.RangeResponse:
        answer = self.state.range(rpc.RangeRequest(key=key, range_end=range_end, **options))
        assert isinstance(answer, tuple)
        response = rpc.RangeResponse.FromString(answer[1])
        assert not response.HasField("header")
        response.header.revision = answer[0]
        return response

    def keys(self) -> list[bytes]:
        return [item.key for item in self.range(b"\0", b"\0").kvs]
