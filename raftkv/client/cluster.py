"""Who is in the cluster: reading and changing the membership.

Calls pass the server's answer through; the rules are the server's.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkv.client import answers, results
from raftkv.client.caller import Caller, Method
from raftkv.pb import rpc

MEMBER_LIST = Method("/etcdserverpb.Cluster/MemberList", mutates=False)
MEMBER_ADD = Method("/etcdserverpb.Cluster/MemberAdd", mutates=True)
MEMBER_REMOVE = Method("/etcdserverpb.Cluster/MemberRemove", mutates=True)
MEMBER_UPDATE = Method("/etcdserverpb.Cluster/MemberUpdate", mutates=True)
MEMBER_PROMOTE = Method("/etcdserverpb.Cluster/MemberPromote", mutates=True)


class Cluster:
    """The membership calls. `timeout_s` left out is the client's; all raise as `AsyncClient.execute`."""

    def __init__(self, caller: Caller, timeout_s: float | None) -> None:
        self._caller = caller
        self._timeout_s = timeout_s

    async def members(self, *, linearizable: bool = True) -> results.MemberList:
        """The members, by id; `linearizable` asks a quorum, else the answering member's own view."""
        request = rpc.MemberListRequest(linearizable=linearizable)
        return answers.member_list_from(await self._send(MEMBER_LIST, request))

    async def add(self, peer_urls: Sequence[str], *, learner: bool = False) -> results.MemberList:
        """Adds a member that will serve its peers at `peer_urls`; the result's `member` is the new one."""
        request = rpc.MemberAddRequest(peerURLs=peer_urls, isLearner=learner)
        return answers.member_added_from(await self._send(MEMBER_ADD, request))

    async def remove(self, member_id: int) -> results.MemberList:
        """Removes a member for good; the result is what remains."""
        return answers.member_list_from(await self._send(MEMBER_REMOVE, rpc.MemberRemoveRequest(ID=member_id)))

    async def update(self, member_id: int, peer_urls: Sequence[str]) -> results.MemberList:
        """Changes where a member serves its peers."""
        return answers.member_list_from(await self._send(MEMBER_UPDATE, rpc.MemberUpdateRequest(ID=member_id, peerURLs=peer_urls)))

    async def promote(self, member_id: int) -> results.MemberList:
        """Makes a learner a voter."""
        return answers.member_list_from(await self._send(MEMBER_PROMOTE, rpc.MemberPromoteRequest(ID=member_id)))

    async def _send(
        self,
        method: Method,
        request: rpc.MemberListRequest
        | rpc.MemberAddRequest
        | rpc.MemberRemoveRequest
        | rpc.MemberUpdateRequest
        | rpc.MemberPromoteRequest,
    ) -> bytes:
        return await self._caller.call(method, request.SerializeToString(), timeout_s=self._timeout_s)
