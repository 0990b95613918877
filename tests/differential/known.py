"""Where etcd 3.4 and the 3.7 that raftkv speaks are meant to differ. A difference that no rule explains fails the run, and so
does a rule that explained nothing in it.

Each rule names the section and the line of etcd-behaviour.md it stands in, and holds for as little as it can: for both
answers, not just for the fact that they differ.
"""

from __future__ import annotations

import re
from typing import Any

from raftkv import ETCD_VERSION
from raftkv.pb import kv, rpc
from tests.differential.exchange import Difference, Exchange, Rule, Tree
from tests.differential.servers import ETCD_SERIES

_COMPACTED = "etcdserver: mvcc: required revision has been compacted"
_SORT_ORDERS = frozenset(rpc.RangeRequest.SortOrder.values())


def _unknown_sort_order(exchange: Exchange, found: Difference) -> bool:
    """etcd 3.4 goes on, and may find something else to refuse."""
    return (
        found.path == "status"
        and found.raftkv == ("INVALID_ARGUMENT", "etcdserver: invalid sort option")
        and any(one.sort_order not in _SORT_ORDERS for one in _ranges(exchange.request))
    )


def _keys_only_lease(exchange: Exchange, found: Difference) -> bool:
    if not (found.path.endswith(".lease") and found.etcd and found.raftkv is None):
        return False
    asked = _range_at(exchange, found.path)
    return asked is not None and asked.keys_only and asked.sort_target != rpc.RangeRequest.VALUE


def _since_3_5(method: str, service: str, *, raftkv: str = "OK") -> Any:
    def explains(exchange: Exchange, found: Difference) -> bool:
        return (
            exchange.method == method
            and found.path == "status"
            and found.etcd == ("UNIMPLEMENTED", f"unknown method {method} for service {service}")
            and found.raftkv[0] == raftkv
        )

    return explains


def _token_ignored(exchange: Exchange, found: Difference) -> bool:
    return (
        exchange.method == "Range with a token"
        and found.path == "status"
        and found.etcd == ("UNAUTHENTICATED", "etcdserver: invalid auth token")
        and found.raftkv == ("OK", "")
    )


def _status_version(exchange: Exchange, found: Difference) -> bool:
    return (
        exchange.method == "Status"
        and found.path == "version"
        and found.etcd.startswith(ETCD_SERIES + ".")
        and found.raftkv == ETCD_VERSION
    )


def _status_fields(exchange: Exchange, found: Difference) -> bool:
    return exchange.method == "Status" and found.etcd is None and found.path in ("storageVersion", "dbSizeQuota", "downgradeInfo")


def _hash_revision(exchange: Exchange, found: Difference) -> bool:
    if exchange.method != "HashKV" or found.path != "hash_revision" or found.etcd is not None:
        return False
    assert exchange.raftkv.body is not None
    return bool(found.raftkv == (exchange.request.revision or exchange.raftkv.body["header"]["revision"]))


def _hash_at_the_compaction(exchange: Exchange, found: Difference) -> bool:
    if exchange.method != "HashKV" or exchange.raftkv.body is None:
        return False
    at_it = bool(exchange.request.revision == exchange.raftkv.body["compact_revision"])
    return at_it and found == Difference("status", ("OUT_OF_RANGE", _COMPACTED), ("OK", ""))


def _alarm_header(exchange: Exchange, found: Difference) -> bool:
    return exchange.method == "Alarm" and found.path == "header" and found.etcd is None


def _negative_watch_start(exchange: Exchange, found: Difference) -> bool:
    """etcd 3.4 takes it for "from now"."""
    if exchange.method != "Watch from a negative revision":
        return False
    refusal = {"created": True, "canceled": True, "watch_id": -1, "cancel_reason": _COMPACTED}
    if found.path == "watch -1":
        return found.etcd is None and _control(found.raftkv) == [refusal]
    return found.path == "watch 99" and _control(found.etcd) == [{"created": True, "watch_id": 99}] and found.raftkv is None


def _progress_without_watchers(exchange: Exchange, found: Difference) -> bool:
    return (
        exchange.method == "Watch progress without watchers"
        and found.path == "watch -1"
        and _control(found.etcd) == [{"watch_id": -1}]
        and found.raftkv is None
    )


def _tombstone_at_the_compaction(exchange: Exchange, found: Difference) -> bool:
    """The same responses, but for what the compacted revision itself deleted: 3.4 forgets that, and puts before it in that revision."""
    if exchange.method != "Watch" or not found.path.startswith("watch "):
        return False
    name = re.match(r"watch -?\d+", found.path)
    assert name is not None and exchange.etcd.body is not None and exchange.raftkv.body is not None
    compact_revision = exchange.request.compact_revision
    thinned = [_without_deleted(one, compact_revision) for one in exchange.raftkv.body.get(name[0], [])]
    return [one for one in thinned if one is not None] == exchange.etcd.body.get(name[0], [])


def _without_deleted(response: Tree, revision: int) -> Tree | None:
    if "events" not in response:
        return response
    # Of each key the last event of the revision says whether it was there after it.
    last = {one["kv"]["key"]: one for one in response["events"] if one["kv"]["mod_revision"] == revision}
    left = [
        one
        for one in response["events"]
        if one["kv"]["mod_revision"] != revision or (one is last[one["kv"]["key"]] and one.get("type") != kv.Event.DELETE)
    ]
    return {**response, "events": left} if left else None


def _control(responses: list[Tree]) -> list[Tree]:
    """Responses without their headers."""
    return [{name: value for name, value in one.items() if name != "header"} for one in responses]


def _ranges(request: Any) -> list[rpc.RangeRequest]:
    """Every range in a request."""
    if isinstance(request, rpc.RangeRequest):
        return [request]
    if not isinstance(request, rpc.TxnRequest):
        return []
    found: list[rpc.RangeRequest] = []
    for operation in (*request.success, *request.failure):
        found += _ranges(getattr(operation, operation.WhichOneof("request") or "request_put"))
    return found


def _range_at(exchange: Exchange, path: str) -> rpc.RangeRequest | None:
    """The range that a field of the answer, given by its path, belongs to."""
    request, body = exchange.request, exchange.etcd.body
    for index in re.findall(r"responses\[(\d+)\]", path):
        assert body is not None
        operation = (request.success if body.get("succeeded") else request.failure)[int(index)]
        place = body["responses"][int(index)]
        request = getattr(operation, operation.WhichOneof("request"))
        body = place.get("response_txn")
    return request if isinstance(request, rpc.RangeRequest) else None


RULES = (
    Rule("a sort order that is none", "1.2 Range", "unknown sort_order value", _unknown_sort_order),
    Rule("keys_only drops the lease", "1.2 Range", "keys_only", _keys_only_lease),
    Rule("RangeStream", "1.2 RangeStream", "(heading: HEAD only, since 3.7)", _since_3_5("RangeStream", "etcdserverpb.KV")),
    Rule("a watch from a negative revision", "1.3 Stream protocol", "start_revision < 0", _negative_watch_start),
    Rule("progress asked for without watchers", "1.3 Stream protocol", "progress_request", _progress_without_watchers),
    Rule("a deletion in the compacted revision is kept", "1.2 Compact", "effect", _tombstone_at_the_compaction),
    Rule("the version spoken", "1.6 Maintenance", "Status", _status_version),
    Rule("Status says more", "1.6 Maintenance", "Status", _status_fields),
    Rule("HashKV names its revision", "1.6 Maintenance", "HashKV", _hash_revision),
    Rule("HashKV at the compacted revision", "1.6 Maintenance", "HashKV", _hash_at_the_compaction),
    Rule("Alarm has a header", "1.1 Response header", "no header at all", _alarm_header),
    Rule("AuthStatus", "1.7 Enabling", "AuthStatus", _since_3_5("AuthStatus", "etcdserverpb.Auth")),
    Rule("a token without authentication", "1.7 Enabling", "token sent when auth off", _token_ignored),
)
