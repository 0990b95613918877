"""etcdserverpb.Cluster: who the members are.

Headers of this service carry no revision, as etcd's. Source: etcd's api/v3rpc/member.go.
"""

from __future__ import annotations

from functools import partial

from raftkv.pb import rpc
from raftkv.rpc.router import Router
from raftkv.server.api import Done, MemberApi, Result
from raftkv.transport.call import Kind

SERVICE = "/etcdserverpb.Cluster/"

FIXED_MEMBERSHIP = "etcdserver: membership changes are not supported by this version of raftkv"


def add_cluster(router: Router, api: MemberApi) -> None:
    """Adds the service."""

    def member_list(raw: bytes, request: rpc.MemberListRequest, done: Done) -> None:
        if request.linearizable:
            api.read_barrier(partial(_answer_members, api, done))
        else:
            _answer_members(api, done, (0, b""), None)

    router.unary(SERVICE + "MemberList", rpc.MemberListRequest, member_list)
    for method in ("MemberAdd", "MemberRemove", "MemberUpdate", "MemberPromote"):
        router.unimplemented(SERVICE + method, Kind.UNARY, FIXED_MEMBERSHIP)


def _answer_members(api: MemberApi, done: Done, barrier: Result | None, error: Exception | None) -> None:
    if barrier is None:
        done(None, error)
        return
    members = [
        rpc.Member(ID=one.id, name=one.name, peerURLs=one.peer_urls, clientURLs=one.client_urls, isLearner=one.is_learner)
        for one in api.members()
    ]
    done((0, rpc.MemberListResponse(members=members).SerializeToString()), None)
