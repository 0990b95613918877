"""What the peer port answers over HTTP/1.1: /version and /members, for people and scripts.

Members themselves talk gRPC there (`raft_peer.py`). The paths by which etcd's members talk are not here: such a member is answered 404 and
cannot join. Source: etcd's api/etcdhttp/peer.go.
"""

from __future__ import annotations

import json
from typing import Any

from raftkv.rpc.endpoints import HttpRequest, HttpResponse, Reply, text_response, version_response
from raftkv.server.api import LocalApi, Member


class PeerEndpoints:
    """Answers for one member."""

    def __init__(self, api: LocalApi) -> None:
        self._api = api

    def serve(self, request: HttpRequest, reply: Reply) -> None:
        """Calls `reply` at once."""
        if request.path not in ("/version", "/members"):
            reply(text_response(404, "404 page not found"))
        elif request.method != "GET":
            reply(text_response(405, "Method Not Allowed", ("Allow", "GET")))
        elif request.path == "/version":
            reply(version_response(self._api))
        else:
            reply(self._members())

    def _members(self) -> HttpResponse:
        text = json.dumps([_shown(member) for member in self._api.members()], separators=(",", ":"), ensure_ascii=False)
        headers = (("X-Etcd-Cluster-Id", f"{self._api.cluster_id:x}"), ("Content-Type", "application/json"))
        return HttpResponse(200, headers, f"{text}\n".encode())


def _shown(member: Member) -> dict[str, Any]:
    """As etcd's Go struct is encoded: what is empty is left out, but for the id and the peer URLs."""
    shown: dict[str, Any] = {"id": member.id, "peerURLs": member.peer_urls}
    if member.is_learner:
        shown["isLearner"] = True
    if member.name:
        shown["name"] = member.name
    if member.client_urls:
        shown["clientURLs"] = member.client_urls
    return shown
