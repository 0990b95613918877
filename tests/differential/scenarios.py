"""What is asked once, in this order: what chance would not hit upon, and what would spoil the random requests.

A scenario leaves the store usable for the next one, and no alarm standing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftkv.pb import rpc
from tests.differential.exchange import Answer
from tests.differential.kv_requests import prefix_end
from tests.differential.lockstep import Lockstep
from tests.differential.watching import SENTINEL_ID, TwinWatch

REQUEST_BYTES_MAX = 1_572_864
MESSAGE_BYTES_MAX = REQUEST_BYTES_MAX + 512 * 1024

ALARM = rpc.AlarmRequest


def fresh_store(lockstep: Lockstep) -> None:
    """Nothing was compacted yet, not even revision 0."""
    lockstep.ask("Range", rpc.RangeRequest(key=b"\0", range_end=b"\0"))
    lockstep.ask("HashKV", rpc.HashKVRequest())
    for revision in (-1, 2, 0, 0, 1, 1):
        lockstep.ask("Compact", rpc.CompactionRequest(revision=revision, physical=True))
    lockstep.ask("Txn", rpc.TxnRequest())


def watch_from_a_negative_revision(lockstep: Lockstep) -> None:
    """Refused since 3.5."""
    with TwinWatch(lockstep) as watch:
        watch.create(key=b"a", start_revision=-1, watch_id=99)
        watch.compare(called="Watch from a negative revision")


def progress_without_watchers(lockstep: Lockstep) -> None:
    """Dropped in silence; what is created next shows it."""
    with TwinWatch(lockstep) as watch:
        watch.request_progress()
        watch.create(key=b"a")
        watch.compare(called="Watch progress without watchers")


def deletion_in_the_compacted_revision(lockstep: Lockstep) -> None:
    """A watch from there may still want it."""
    lockstep.ask("Put", rpc.PutRequest(key=b"tomb/1"))
    lockstep.ask("Put", rpc.PutRequest(key=b"tomb/2"))
    lockstep.ask("DeleteRange", rpc.DeleteRangeRequest(key=b"tomb/1"))
    deleted = lockstep.view.revision
    lockstep.ask("Put", rpc.PutRequest(key=b"tomb/2"))
    lockstep.ask("Compact", rpc.CompactionRequest(revision=deleted, physical=True))
    for revision in (deleted - 1, deleted, deleted + 1):
        lockstep.ask("HashKV", rpc.HashKVRequest(revision=revision))
    with TwinWatch(lockstep) as watch:
        watch.create(key=b"tomb/", range_end=prefix_end(b"tomb/"), start_revision=deleted, prev_kv=True, watch_id=7)
        watch.wait_event(7, lockstep.view.revision)
        watch.compare()


def long_history(lockstep: Lockstep) -> None:
    """More revisions than one response may hold."""
    start = lockstep.view.revision + 1
    for number in range(1_050):
        lockstep.ask("Put", rpc.PutRequest(key=b"history/%d" % (number % 7), value=b"%d" % number))
    with TwinWatch(lockstep) as watch:
        watch.create(key=b"history/", range_end=prefix_end(b"history/"), start_revision=start, watch_id=7)
        watch.wait_event(7, lockstep.view.revision)
        watch.compare()


def fragments(lockstep: Lockstep) -> None:
    """Two events that together are too long for one message, live and from the past, with fragments and without."""
    for fill in (b"1", b"2"):
        puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=b"long/%d" % number, value=fill * 700_000)) for number in range(2)]
        if fill == b"1":
            lockstep.ask("Txn", rpc.TxnRequest(success=puts))
    with TwinWatch(lockstep) as watch:
        for watch_id in (1, 2):
            watch.create(key=b"long/", range_end=b"long0", prev_kv=True, fragment=watch_id == 1, watch_id=watch_id)
        lockstep.ask("Txn", rpc.TxnRequest(success=puts))
        revision = lockstep.view.revision
        for watch_id in (3, 4):
            watch.create(key=b"long/", range_end=b"long0", prev_kv=True, fragment=watch_id == 3, watch_id=watch_id, start_revision=revision)
        for watch_id in (1, 2, 3, 4):
            watch.wait_events(watch_id, 2)
        watch.compare()
    lockstep.ask("DeleteRange", rpc.DeleteRangeRequest(key=b"long/", range_end=b"long0"))


def half_closed_watch(lockstep: Lockstep) -> None:
    """It goes on."""
    with TwinWatch(lockstep) as watch:
        watch.create_sentinel()
        watch.half_close()
        watch.barrier()
        watch.compare()


def half_closed_keep_alive(lockstep: Lockstep) -> None:
    """What was asked is answered, then it ends well."""
    streams = [side.converse("LeaseKeepAlive") for side in lockstep.sides]
    request = rpc.LeaseKeepAliveRequest(ID=424_242)
    for stream in streams:
        stream.send(request.SerializeToString())
        stream.half_close()
    lockstep.verdict.requests += 1
    for _ in range(2):
        etcd, raftkv = (side.received(stream, request) for side, stream in zip(lockstep.sides, streams, strict=True))
        lockstep.judge("LeaseKeepAlive half-closed", request, etcd, raftkv)


def large_requests(lockstep: Lockstep) -> None:
    """The last bytes below the limit of a request, and of a message."""
    for size in range(REQUEST_BYTES_MAX - 45, REQUEST_BYTES_MAX - 20):
        lockstep.ask("Put", rpc.PutRequest(key=b"large", value=bytes(size)), called="a large Put")
    half = rpc.RequestOp(request_put=rpc.PutRequest(key=b"large", value=bytes(800_000)))
    other = rpc.RequestOp(request_put=rpc.PutRequest(key=b"large/2", value=bytes(800_000)))
    lockstep.ask("Txn", rpc.TxnRequest(success=[half, other]), called="a large Txn")
    for size in (MESSAGE_BYTES_MAX - 12, MESSAGE_BYTES_MAX - 11, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX + 12345):
        lockstep.ask("Put", rpc.PutRequest(key=b"large", value=bytes(size)), called="a large Put")
    lockstep.ask("DeleteRange", rpc.DeleteRangeRequest(key=b"large", range_end=b"largf"))


def range_streams(lockstep: Lockstep) -> None:
    """3.4 has none; its Range says what ours must come to, joined."""
    requests = [
        rpc.RangeRequest(key=b"\0", range_end=b"\0"),
        rpc.RangeRequest(key=b"a", range_end=b"c", limit=3),
        rpc.RangeRequest(key=b"a", range_end=b"h", revision=lockstep.view.revision - 3),
        rpc.RangeRequest(key=b"\0", range_end=b"\0", count_only=True),
        rpc.RangeRequest(key=b"history/1"),
        rpc.RangeRequest(key=b"nothing here"),
        rpc.RangeRequest(key=b"a", revision=1),
        rpc.RangeRequest(key=b"a", revision=lockstep.view.revision + 7),
        rpc.RangeRequest(),
    ]
    for request in requests:
        ours, chunks = lockstep.raftkv.collect("RangeStream", request)
        step = rpc.RangeRequest.FromString(request.SerializeToString())
        whole = rpc.RangeResponse()
        for chunk in chunks:
            whole.MergeFrom(chunk.range_response)
        body = lockstep.raftkv.normal.tree(step, whole) if ours.code == "OK" else None
        theirs = lockstep.answer_of_etcd("Range", request)
        lockstep.judge("RangeStream beside Range", request, theirs, Answer(ours.code, ours.text, body))
    (etcd, _), (raftkv, _) = (side.collect("RangeStream", requests[0]) for side in lockstep.sides)
    lockstep.judge("RangeStream", requests[0], etcd, raftkv)


def metadata(lockstep: Lockstep) -> None:
    """What clients send beside a request."""
    lockstep.ask("Range", rpc.RangeRequest(key=b"a"), called="Range with a token", token="unknown.1")
    lockstep.ask("Range", rpc.RangeRequest(key=b"a"), hasleader="true")
    lockstep.ask("Range", rpc.RangeRequest(key=b"a"), **{"client-api-version": "3.4.23"})


def unknown_methods(lockstep: Lockstep) -> None:
    """gRPC's own answers."""
    for path in ("/etcdserverpb.KV/Nothing", "/etcdserverpb.Nothing/Range"):
        lockstep.ask(path, rpc.RangeRequest(key=b"a"), called="an unknown method")


def leadership(lockstep: Lockstep) -> None:
    """Of a cluster of one."""
    member_id = lockstep.raftkv.member_id()
    for target in (member_id, 0, 1):
        lockstep.ask("MoveLeader", rpc.MoveLeaderRequest(targetID=target))
    lockstep.ask("Defragment", rpc.DefragmentRequest())
    for request in (rpc.AuthenticateRequest(name="root", password="x"), rpc.AuthenticateRequest()):
        lockstep.ask("Authenticate", request)
    lockstep.ask("AuthDisable", rpc.AuthDisableRequest())


def alarms(lockstep: Lockstep) -> None:
    """Which requests each of them stops, and how it is taken back."""
    member_id = lockstep.raftkv.member_id()
    for alarm in (rpc.NOSPACE, rpc.CORRUPT):
        lockstep.ask("LeaseGrant", rpc.LeaseGrantRequest(ID=7_000 + alarm, TTL=5_000))
        for alarmed in (member_id, 77, member_id):
            lockstep.ask("Alarm", ALARM(action=ALARM.ACTIVATE, memberID=alarmed, alarm=alarm))
        for kind in (rpc.NONE, rpc.NOSPACE, rpc.CORRUPT):
            lockstep.ask("Alarm", ALARM(action=ALARM.GET, alarm=kind))
        lockstep.ask("Status", rpc.StatusRequest())
        _everything_under_an_alarm(lockstep, 7_000 + alarm)
        lockstep.ask("Alarm", ALARM(action=ALARM.DEACTIVATE, memberID=1, alarm=alarm))
        lockstep.ask("Alarm", ALARM(action=ALARM.DEACTIVATE, memberID=member_id, alarm=rpc.NOSPACE + rpc.CORRUPT - alarm))
        for alarmed in (member_id, 77, 77):
            lockstep.ask("Alarm", ALARM(action=ALARM.DEACTIVATE, memberID=alarmed, alarm=alarm))
        lockstep.ask("Put", rpc.PutRequest(key=b"a", value=b"after the alarm"))


def _everything_under_an_alarm(lockstep: Lockstep, lease_id: int) -> None:
    put = rpc.RequestOp(request_put=rpc.PutRequest(key=b"alarmed", value=b"1"))
    get = rpc.RequestOp(request_range=rpc.RangeRequest(key=b"a"))
    delete = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=b"alarmed"))
    lockstep.ask("Put", rpc.PutRequest(key=b"a", value=b"1"))
    lockstep.ask("Put", rpc.PutRequest())
    lockstep.ask("DeleteRange", rpc.DeleteRangeRequest(key=b"b"))
    for success, failure in (([put], []), ([get], [put]), ([get], []), ([delete], []), ([], []), ([get], [delete])):
        lockstep.ask("Txn", rpc.TxnRequest(success=success, failure=failure))
    lockstep.ask("Range", rpc.RangeRequest(key=b"a", range_end=b"c"))
    lockstep.ask("LeaseGrant", rpc.LeaseGrantRequest(ID=7_100, TTL=5_000))
    lockstep.ask("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=lease_id))
    lockstep.ask("LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease_id))
    lockstep.ask("Compact", rpc.CompactionRequest(revision=lockstep.view.compact_revision + 1, physical=True))
    lockstep.ask("HashKV", rpc.HashKVRequest())
    lockstep.ask("MemberList", rpc.MemberListRequest())


def expiry(lockstep: Lockstep) -> None:
    """All keys of a lease go in one revision, in the order of the keys; a key that changed to another lease stays."""
    with TwinWatch(lockstep) as watch:
        watch.create(key=b"lease/", range_end=prefix_end(b"lease/"), prev_kv=True, watch_id=SENTINEL_ID)
        lockstep.ask("LeaseGrant", rpc.LeaseGrantRequest(ID=8_001, TTL=1))
        lockstep.ask("LeaseGrant", rpc.LeaseGrantRequest(ID=8_002, TTL=5_000))
        for key in (b"lease/c", b"lease/a", b"lease/b", b"lease/kept"):
            lockstep.ask("Put", rpc.PutRequest(key=key, lease=8_001))
        lockstep.ask("Put", rpc.PutRequest(key=b"lease/kept", lease=8_002))
        lockstep.ask("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=8_002, keys=True))
        expired = lockstep.view.revision + 1
        watch.wait_event(SENTINEL_ID, expired)
        watch.compare()
        lockstep.view.leases.remove(8_001)
    lockstep.ask("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=8_001, keys=True))
    lockstep.ask("LeaseRevoke", rpc.LeaseRevokeRequest(ID=8_001))
    lockstep.ask("LeaseRevoke", rpc.LeaseRevokeRequest(ID=8_002))


FIRST: Sequence[Callable[[Lockstep], None]] = (fresh_store,)

LAST: Sequence[Callable[[Lockstep], None]] = (
    *(watch_from_a_negative_revision, progress_without_watchers, deletion_in_the_compacted_revision),
    *(half_closed_watch, half_closed_keep_alive, metadata, unknown_methods, leadership, alarms),
    *(long_history, range_streams, fragments, large_requests, expiry),
)
