"""etcdserverpb.Cluster: who the members are.

Headers of this service carry no revision, as etcd's. Source: etcd's api/v3rpc/member.go.
"""

from __future__ import annotations

from functools import partial

from raftkv.pb import rpc
from raftkv.rpc.router import Router
from raftkv.server.api import Done, MemberApi, MemberChangeKind, Result

SERVICE = "/etcdserverpb.Cluster/"


def add_cluster(router: Router, api: MemberApi) -> None:
    """Adds the service."""

    def member_list(raw: bytes, request: rpc.MemberListRequest, done: Done) -> None:
        if request.linearizable:
            api.read_barrier(partial(_answer_members, api, done))
        else:
            _answer_members(api, done, (0, b""), None)

    def add(raw: bytes, request: rpc.MemberAddRequest, done: Done) -> None:
        answer = partial(_answer_change, api, done, True)
        api.change_member(MemberChangeKind.ADD, 0, tuple(request.peerURLs), request.isLearner, answer)

    def remove(raw: bytes, request: rpc.MemberRemoveRequest, done: Done) -> None:
        api.change_member(MemberChangeKind.REMOVE, request.ID, (), False, partial(_answer_change, api, done, False))

    def update(raw: bytes, request: rpc.MemberUpdateRequest, done: Done) -> None:
        answer = partial(_answer_change, api, done, False)
        api.change_member(MemberChangeKind.UPDATE, request.ID, tuple(request.peerURLs), False, answer)

    def promote(raw: bytes, request: rpc.MemberPromoteRequest, done: Done) -> None:
        api.change_member(MemberChangeKind.PROMOTE, request.ID, (), False, partial(_answer_change, api, done, False))

    router.unary(SERVICE + "MemberList", rpc.MemberListRequest, member_list)
    router.unary(SERVICE + "MemberAdd", rpc.MemberAddRequest, add)
    router.unary(SERVICE + "MemberRemove", rpc.MemberRemoveRequest, remove)
    router.unary(SERVICE + "MemberUpdate", rpc.MemberUpdateRequest, update)
    router.unary(SERVICE + "MemberPromote", rpc.MemberPromoteRequest, promote)


def _members(api: MemberApi) -> list[rpc.Member]:
    return [
        rpc.Member(ID=one.id, name=one.name, peerURLs=one.peer_urls, clientURLs=one.client_urls, isLearner=one.is_learner)
        for one in api.members()
    ]


def _answer_members(api: MemberApi, done: Done, barrier: Result | None, error: Exception | None) -> None:
    if barrier is None:
        done(None, error)
    else:
        done((0, rpc.MemberListResponse(members=_members(api)).SerializeToString()), None)


def _answer_change(api: MemberApi, done: Done, show: bool, changed: int, error: Exception | None) -> None:
    """All four answer the members as they are now; the responses of three have no other field, so one type encodes them."""
    if error is not None:
        done(None, error)
        return
    members = _members(api)
    if show:
        added = next((one for one in members if changed == one.ID), None)
        done((0, rpc.MemberAddResponse(member=added, members=members).SerializeToString()), None)
    else:
        done((0, rpc.MemberRemoveResponse(members=members).SerializeToString()), None)
