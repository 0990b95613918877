"""CORS: who may call from a web page, as etcd 3.4 answers on its client port."""

from __future__ import annotations

import pytest

from raftkv.rpc.endpoints import HttpRequest, HttpResponse
from raftkv.rpc.origins import CrossOrigin

FIXED = (
    ("Access-Control-Allow-Headers", "accept, content-type, authorization"),
    ("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE"),
)
OWN = ("Content-Type", "text/plain")


class Inner:
    """Answers everything alike, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    def serve(self, request, reply):
        self.asked += 1
        reply(HttpResponse(405, (OWN,), b"no"))


def answer(method: str, origin: str, *allowed: str) -> tuple[HttpResponse, int]:
    inner, answers = Inner(), []
    CrossOrigin(inner, allowed).serve(HttpRequest(method, "/nosuch", origin=origin), answers.append)
    (found,) = answers
    return found, inner.asked


def allowing(origin: str) -> tuple[tuple[str, str], ...]:
    return (*FIXED, ("Access-Control-Allow-Origin", origin))


@pytest.mark.parametrize("allowed", [(), ("*",), ("http://b", "*")])
@pytest.mark.parametrize("origin", ["", "http://a"])
def test_any_origin_may_call_where_none_or_all_are_named(allowed, origin):
    """Also who names none: etcd says it to curl as well."""
    found, _ = answer("GET", origin, *allowed)
    assert found == HttpResponse(405, (*allowing("*"), OWN), b"no")


def test_origin_that_is_named_is_told_so():
    assert answer("GET", "http://a", "http://a", "http://b")[0].headers == (*allowing("http://a"), OWN)


@pytest.mark.parametrize("origin", ["", "http://c", "http://A"])
def test_origin_that_is_not_named_is_answered_without_leave(origin):
    """The browser keeps the answer from the page; others never asked for leave."""
    assert answer("GET", origin, "http://a", "http://b")[0] == HttpResponse(405, (OWN,), b"no")


@pytest.mark.parametrize(("origin", "leave"), [("http://a", allowing("http://a")), ("http://c", ())])
def test_options_are_answered_whatever_the_path(origin, leave):
    """With 200 and nothing; no endpoint is asked."""
    assert answer("OPTIONS", origin, "http://a") == (HttpResponse(200, leave, b""), 0)
