"""etcdserverpb.KV: keys and transactions.

Owns nothing but the order of arguments: validation and quota are the member's, behind the api. Hot path: a put runs
UnaryMethod.handle → api.put → UnaryMethod._done, with no call of this module in between.
"""

from __future__ import annotations

from raftkv.pb import rpc
from raftkv.rpc.router import Router
from raftkv.server.api import Done, MemberApi

SERVICE = "/etcdserverpb.KV/"


def add_kv(router: Router, api: MemberApi) -> None:
    """Adds the service's unary methods."""

    def range_(raw: bytes, request: rpc.RangeRequest, done: Done) -> None:
        api.range(request, done)

    router.unary(SERVICE + "Range", rpc.RangeRequest, range_)
    router.unary(SERVICE + "Put", rpc.PutRequest, api.put)
    router.unary(SERVICE + "DeleteRange", rpc.DeleteRangeRequest, api.delete_range)
    router.unary(SERVICE + "Txn", rpc.TxnRequest, api.txn)
    router.unary(SERVICE + "Compact", rpc.CompactionRequest, api.compact)
