"""What the peer port says over HTTP/1.1, beside what etcd 3.4 says there."""

from __future__ import annotations

import json

import pytest

from raftkv.rpc.endpoints import HttpRequest, HttpResponse
from raftkv.rpc.peer_endpoints import PeerEndpoints
from raftkv.server.api import Member
from tests.rpc.fake_call import Bench


def ask(bench: Bench, path: str, method: str = "GET") -> HttpResponse:
    answers: list[HttpResponse] = []
    PeerEndpoints(bench.member).serve(HttpRequest(method, path), answers.append)
    (found,) = answers
    return found


def test_members_are_shown_as_etcd_shows_them():
    """Names of fields, their order, the newline, and that empty ones are left out."""
    bench = Bench()
    bench.member.cluster_id = 0x6DE832B8D5AFD88F
    shown = (
        Member(8312076847134691423, "n", ("http://127.0.0.1:29001",), ("http://127.0.0.1:29000",), False),
        Member(2**63 + 1, "", ("http://b:2380",), (), True),
    )
    bench.member.members = lambda: shown
    assert ask(bench, "/members") == HttpResponse(
        200,
        (("X-Etcd-Cluster-Id", "6de832b8d5afd88f"), ("Content-Type", "application/json")),
        b'[{"id":8312076847134691423,"peerURLs":["http://127.0.0.1:29001"],"name":"n","clientURLs":["http://127.0.0.1:29000"]},'
        b'{"id":9223372036854775809,"peerURLs":["http://b:2380"],"isLearner":true}]\n',
    )


def test_version_is_the_client_ports():
    assert json.loads(ask(Bench(), "/version").body).keys() == {"etcdserver", "etcdcluster", "storage"}


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_other_methods_are_refused(method):
    """There is no CORS on this port."""
    found = ask(Bench(), "/members", method)
    assert (found.status, found.headers[0]) == (405, ("Allow", "GET"))


@pytest.mark.parametrize("path", ["/", "/members/", "/health", "/metrics", "/raft", "/raft/probing"])
def test_nothing_else_is_there(path):
    """What clients are told, and how etcd's members talk."""
    assert ask(Bench(), path).status == 404
