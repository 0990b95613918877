"""etcdserverpb.Maintenance: status, alarms, hashes, hand-over of leadership.

Source: etcd's api/v3rpc/maintenance.go.
"""

from __future__ import annotations

from functools import partial

from raftkv import ETCD_VERSION
from raftkv.errors import NoLeaderError
from raftkv.pb import rpc
from raftkv.rpc.router import Router
from raftkv.server.api import Alarm, Done, MemberApi, MemberStatus
from raftkv.transport.call import Kind

SERVICE = "/etcdserverpb.Maintenance/"

NO_SNAPSHOT = "etcdserver: snapshots are not supported by this version of raftkv"
NO_DOWNGRADE = "etcdserver: downgrades are not supported by this version of raftkv"

STORAGE_VERSION = ETCD_VERSION.rpartition(".")[0] + ".0"
"""etcd reports the minor version whose storage schema is in use."""


def add_maintenance(router: Router, api: MemberApi) -> None:
    """Adds the service."""

    def status(raw: bytes, request: rpc.StatusRequest, done: Done) -> None:
        now = api.status()
        done((now.revision, status_response(now).SerializeToString()), None)

    def hash_(raw: bytes, request: rpc.HashRequest, done: Done) -> None:
        api.hash(done)

    def hash_kv(raw: bytes, request: rpc.HashKVRequest, done: Done) -> None:
        api.hash_kv(request.revision, done)

    def move_leader(raw: bytes, request: rpc.MoveLeaderRequest, done: Done) -> None:
        api.move_leader(request.targetID, partial(_answer_empty, done))

    def defragment(raw: bytes, request: rpc.DefragmentRequest, done: Done) -> None:
        api.defragment(partial(_answer_empty, done))

    router.unary(SERVICE + "Alarm", rpc.AlarmRequest, api.alarm)
    router.unary(SERVICE + "Status", rpc.StatusRequest, status, learners=True)
    router.unary(SERVICE + "Hash", rpc.HashRequest, hash_)
    router.unary(SERVICE + "HashKV", rpc.HashKVRequest, hash_kv)
    # These two are answered without a header.
    router.unary(SERVICE + "MoveLeader", rpc.MoveLeaderRequest, move_leader, with_header=False)
    router.unary(SERVICE + "Defragment", rpc.DefragmentRequest, defragment, with_header=False)
    router.unimplemented(SERVICE + "Snapshot", Kind.SERVER_STREAM, NO_SNAPSHOT)
    router.unimplemented(SERVICE + "Downgrade", Kind.UNARY, NO_DOWNGRADE)


def status_response(now: MemberStatus) -> rpc.StatusResponse:
    """Everything HEAD's Status reports, without the header."""
    return rpc.StatusResponse(
        version=ETCD_VERSION,
        dbSize=now.db_size_bytes,
        leader=now.leader_id,
        raftIndex=now.raft_index,
        raftTerm=now.raft_term,
        raftAppliedIndex=now.applied_index,
        errors=status_errors(now),
        dbSizeInUse=now.db_size_in_use_bytes,
        isLearner=now.is_learner,
        storageVersion=STORAGE_VERSION,
        dbSizeQuota=now.quota_bytes,
        downgradeInfo=rpc.DowngradeInfo(enabled=False),
    )


def status_errors(now: MemberStatus) -> list[str]:
    """What is wrong with the member, in etcd's words."""
    found = [] if now.leader_id else [NoLeaderError.text]
    return found + [alarm_text(alarm) for alarm in now.alarms]


def alarm_text(alarm: Alarm) -> str:
    """An alarm in protobuf's text form, which is what etcd prints, trailing space included."""
    member = f"memberID:{alarm.member_id} " if alarm.member_id else ""
    kind = f"alarm:{alarm_name(alarm.type)} " if alarm.type else ""
    return member + kind


def alarm_name(number: int) -> str:
    """The alarm's name; an unknown number as itself."""
    names: dict[int, str] = {value: name for name, value in rpc.AlarmType.items()}
    return names.get(number, str(number))


def _answer_empty(done: Done, error: Exception | None) -> None:
    done((0, b"") if error is None else None, error)
