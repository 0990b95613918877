"""The table of outcomes: each text and class, for calls that write and for reads."""

from __future__ import annotations

import pytest

from jepsen_like.history import FAIL, UNKNOWN
from jepsen_like.workload.attempts import judged
from jepsen_like.workload.outcome import BY_TEXT, outcome_of
from raftkv import errors
from raftkv.client.outcome import NOT_APPLIED
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code

AMBIGUOUS = (
    "etcdserver: request timed out",
    "etcdserver: request timed out, possibly due to previous leader failure",
    "etcdserver: request timed out, possibly due to connection lost",
    "etcdserver: leader changed",
    "etcdserver: no leader",
    "etcdserver: server stopped",
)
"""What etcd says of writes that it may already have proposed."""


def over_the_wire(text: str, code: Code = Code.UNAVAILABLE, *, mutates: bool = True, sent: bool = True, trailers=()) -> BaseException:
    return judged(RpcError(code, text, sent=sent, trailers=trailers), "/etcdserverpb.KV/Txn" if mutates else "/etcdserverpb.KV/Range")


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_write_answered_ambiguously_is_unknown(text):
    """A text that etcd also gives to proposed writes never counts as a failure."""
    assert outcome_of(over_the_wire(text), mutates=True) == UNKNOWN


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_write_denied_by_trailer_has_failed(text):
    """raftkv's word that it proposed nothing is taken, and so put to the test by every checker."""
    assert outcome_of(over_the_wire(text, trailers=(NOT_APPLIED,)), mutates=True) == FAIL


@pytest.mark.parametrize(("text", "outcome"), sorted(BY_TEXT.items()))
def test_write_answered_with_text_follows_table(text, outcome):
    """Every text of the table gets its outcome over the wire, under the code that says the least."""
    assert outcome_of(over_the_wire(text, Code.UNKNOWN), mutates=True) == outcome


@pytest.mark.parametrize("code", list(Code))
def test_write_with_unknown_text_is_failed_only_under_refusing_codes(code):
    if code is Code.OK:
        return
    refusing = {
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.RESOURCE_EXHAUSTED,
        Code.FAILED_PRECONDITION,
        Code.OUT_OF_RANGE,
        Code.UNIMPLEMENTED,
        Code.UNAUTHENTICATED,
    }
    assert outcome_of(over_the_wire("what is this", code), mutates=True) == (FAIL if code in refusing else UNKNOWN)


def test_write_never_sent_has_failed():
    assert outcome_of(over_the_wire("connection refused", sent=False), mutates=True) == FAIL


def test_write_cancelled_here_is_unknown():
    """Who stops waiting learns nothing."""
    import asyncio

    assert outcome_of(asyncio.CancelledError(), mutates=True) == UNKNOWN
    assert outcome_of(RuntimeError("a bug"), mutates=True) == UNKNOWN


@pytest.mark.parametrize("text", sorted(BY_TEXT))
def test_read_that_fails_has_failed(text):
    """A read has no effect that could come later."""
    assert outcome_of(over_the_wire(text, mutates=False), mutates=False) == FAIL


def test_table_texts_are_those_the_client_knows():
    """A misspelt text would never match; those of Go's contexts have no class of ours."""
    known = {cls.text for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.RaftKVError)}
    assert {text for text in BY_TEXT if not text.startswith("context ")} <= known
