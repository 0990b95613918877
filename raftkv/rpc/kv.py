"""etcdserverpb.KV: keys and transactions.

Owns nothing but the order of arguments: validation and quota are the member's, behind the api. Hot path: a put runs
UnaryMethod.handle → api.put → UnaryMethod._done, with no call of this module in between.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv.pb import rpc
from raftkv.rpc.method import Stream
from raftkv.rpc.range_stream import RangeStream
from raftkv.rpc.router import Router
from raftkv.server.api import Done, MemberApi

SERVICE = "/etcdserverpb.KV/"


def add_kv(router: Router, api: MemberApi, max_request_bytes: int) -> None:
    """Adds the service. Chunks of a range stream are aimed at `max_request_bytes`."""

    def range_(raw: bytes, request: rpc.RangeRequest, done: Done) -> None:
        api.range(request, done)

    def range_stream(stream: Stream, request: rpc.RangeRequest) -> Callable[[], None]:
        return RangeStream(api, stream, request, max_request_bytes).step

    router.server_stream(SERVICE + "RangeStream", rpc.RangeRequest, range_stream)
    # A learner answers serializable ranges; the member refuses it the others, and every put.
    router.unary(SERVICE + "Range", rpc.RangeRequest, range_, learners=True)
    router.unary(SERVICE + "Put", rpc.PutRequest, api.put, learners=True)
    router.unary(SERVICE + "DeleteRange", rpc.DeleteRangeRequest, api.delete_range)
    router.unary(SERVICE + "Txn", rpc.TxnRequest, api.txn)
    router.unary(SERVICE + "Compact", rpc.CompactionRequest, api.compact)
