"""Stock grpcio as the client, with our messages."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from raftkv.pb import rpc

TIMEOUT_S = 10.0
"""For every call; a test that runs into it has failed."""

M = TypeVar("M", bound=Message)


class Client:
    """One channel."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.channel.close()

    def call(self, path: str, request: Message | bytes, response: type[M], **metadata: str) -> M:
        """A unary call; raises grpc.RpcError. Metadata names are given with `_` for `-`."""
        stub = self.channel.unary_unary(path, _encode, response.FromString)
        return stub(request, timeout=TIMEOUT_S, metadata=_pairs(metadata))

    def refused(self, path: str, request: Message | bytes, response: type[Message], **metadata: str) -> tuple[str, str]:
        """A unary call that must fail: code name and text."""
        try:
            self.call(path, request, response, **metadata)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        raise AssertionError(f"{path} was answered")

    def stream(self, path: str, response: type[Message], timeout_s: float = TIMEOUT_S, **metadata: str) -> Conversation:
        """A call in which both sides may speak."""
        return Conversation(self.channel.stream_stream(path, _encode, response.FromString), timeout_s, metadata)

    # What most tests need.

    def put(self, key: bytes, value: bytes = b"", **more: Any) -> rpc.PutResponse:
        return self.call("/etcdserverpb.KV/Put", rpc.PutRequest(key=key, value=value, **more), rpc.PutResponse)

    def range(self, key: bytes, **more: Any) -> rpc.RangeResponse:
        return self.call("/etcdserverpb.KV/Range", rpc.RangeRequest(key=key, **more), rpc.RangeResponse)

    def delete(self, key: bytes, **more: Any) -> rpc.DeleteRangeResponse:
        request = rpc.DeleteRangeRequest(key=key, **more)
        return self.call("/etcdserverpb.KV/DeleteRange", request, rpc.DeleteRangeResponse)

    def txn(self, **branches: Any) -> rpc.TxnResponse:
        return self.call("/etcdserverpb.KV/Txn", rpc.TxnRequest(**branches), rpc.TxnResponse)

    def compact(self, revision: int) -> rpc.CompactionResponse:
        request = rpc.CompactionRequest(revision=revision, physical=True)
        return self.call("/etcdserverpb.KV/Compact", request, rpc.CompactionResponse)

    def grant(self, ttl_s: int, lease_id: int = 0) -> rpc.LeaseGrantResponse:
        return self.call("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl_s, ID=lease_id), rpc.LeaseGrantResponse)

    def revision(self) -> int:
        return self.range(b"\0").header.revision

    def watch(self, **metadata: str) -> Watching:
        return Watching(self.stream("/etcdserverpb.Watch/Watch", rpc.WatchResponse, **metadata))


class Conversation:
    """Both directions of a stream."""

    def __init__(self, stub: Any, timeout_s: float, metadata: dict[str, str]) -> None:
        self._requests: queue.SimpleQueue[Message | bytes | None] = queue.SimpleQueue()
        self._call = stub(self._take(), timeout=timeout_s, metadata=_pairs(metadata))

    def send(self, *requests: Message | bytes) -> None:
        for request in requests:
            self._requests.put(request)

    def half_close(self) -> None:
        self._requests.put(None)

    def receive(self) -> Any:
        """The next response; raises grpc.RpcError, or StopIteration when the server ended the stream well."""
        return next(self._call)

    def ended(self) -> tuple[str, str]:
        """Reads to the end, which must bring no further response: code name and text."""
        try:
            unexpected = next(self._call)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        except StopIteration:
            return "OK", ""
        raise AssertionError(f"received {unexpected}")

    def cancel(self) -> None:
        self._requests.put(None)
        self._call.cancel()

    def _take(self) -> Iterator[Message | bytes]:
        while (request := self._requests.get()) is not None:
            yield request


class Watching:
    """One watch stream."""

    def __init__(self, stream: Conversation) -> None:
        self.stream = stream

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stream.cancel()

    def ask(self, **fields: Any) -> None:
        """Sends a create request."""
        self.stream.send(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(**fields)))

    def create(self, **fields: Any) -> rpc.WatchResponse:
        """Sends a create request and returns its answer."""
        self.ask(**fields)
        return self.next()

    def cancel(self, watch_id: int) -> None:
        self.stream.send(rpc.WatchRequest(cancel_request=rpc.WatchCancelRequest(watch_id=watch_id)))

    def request_progress(self) -> None:
        self.stream.send(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    def next(self) -> rpc.WatchResponse:
        response: rpc.WatchResponse = self.stream.receive()
        return response

    def events(self, count: int) -> list[Any]:
        """The next `count` events, however they are cut into responses."""
        found: list[Any] = []
        while len(found) < count:
            response = self.next()
            assert not response.canceled and not response.created, response
            found.extend(response.events)
        assert len(found) == count
        return found


def _encode(request: Message | bytes) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def _pairs(metadata: dict[str, str]) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in metadata.items()]
