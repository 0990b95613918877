"""The client library: an asynchronous client for raftkv and any other etcd v3 server.

`AsyncClient` is the entrance; results are slots classes, errors are those of `raftkv.errors`.
"""

from raftkv.client.caller import Credentials
from raftkv.client.client import AsyncClient
from raftkv.client.dial import tls_context
from raftkv.client.endpoints import Endpoint, parse_endpoint
from raftkv.client.operations import Compare, CompareResult, CompareTarget, DeleteOp, Operation, Order, PutOp, RangeOp, SortBy, TxnOp
from raftkv.client.results import (
    Alarm,
    AlarmList,
    DeleteResult,
    Event,
    HashKV,
    Header,
    HeaderResult,
    KeyValue,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseList,
    LeaseTimeToLive,
    Member,
    MemberList,
    PutResult,
    RangeResult,
    Status,
    TxnResult,
    WatchBatch,
)
from raftkv.client.selection import ALL, KeyRange, Prefix, Selection
from raftkv.client.txn import Txn, create, delete, get, lease, mod, put, value, version
from raftkv.client.watch import Watch, WatchOptions, cancellation

__all__ = [
    "ALL",
    "Alarm",
    "AlarmList",
    "AsyncClient",
    "Compare",
    "CompareResult",
    "CompareTarget",
    "Credentials",
    "DeleteOp",
    "DeleteResult",
    "Endpoint",
    "Event",
    "HashKV",
    "Header",
    "HeaderResult",
    "KeyRange",
    "KeyValue",
    "LeaseGrant",
    "LeaseKeepAlive",
    "LeaseList",
    "LeaseTimeToLive",
    "Member",
    "MemberList",
    "Operation",
    "Order",
    "Prefix",
    "PutOp",
    "PutResult",
    "RangeOp",
    "RangeResult",
    "Selection",
    "SortBy",
    "Status",
    "Txn",
    "TxnOp",
    "TxnResult",
    "Watch",
    "WatchBatch",
    "WatchOptions",
    "cancellation",
    "create",
    "delete",
    "get",
    "lease",
    "mod",
    "parse_endpoint",
    "put",
    "tls_context",
    "value",
    "version",
]
