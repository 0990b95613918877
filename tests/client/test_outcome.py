"""Whether a failed call may be repeated, and what it is raised as."""

from __future__ import annotations

import pytest

from raftkv import errors
from raftkv.client.outcome import BY_TEXT, judge
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code

NOT_SENT = RpcError(Code.UNAVAILABLE, "connection refused", sent=False)


def etcd(cls: type[errors.RaftKVError], code: Code = Code.UNAVAILABLE, **options: object) -> RpcError:
    return RpcError(code, cls.text, **options)  # type: ignore[arg-type]


TABLE = [
    # what happened, read: (class, retry), write: (class, retry)
    (NOT_SENT, (errors.UnavailableError, True), (errors.UnavailableError, True)),
    (etcd(errors.NoLeaderError), (errors.NoLeaderError, True), (errors.IndeterminateError, False)),
    (etcd(errors.StoppedError), (errors.StoppedError, True), (errors.IndeterminateError, False)),
    (etcd(errors.NotCapableError), (errors.NotCapableError, True), (errors.IndeterminateError, False)),
    (
        etcd(errors.RequestTooManyRequestsError, Code.UNKNOWN),
        (errors.RequestTooManyRequestsError, True),
        (errors.RequestTooManyRequestsError, True),
    ),
    (etcd(errors.TimeoutError), (errors.TimeoutError, True), (errors.TimeoutError, False)),
    (
        etcd(errors.TimeoutDueToLeaderFailError),
        (errors.TimeoutDueToLeaderFailError, True),
        (errors.TimeoutDueToLeaderFailError, False),
    ),
    (etcd(errors.LeaderChangedError), (errors.LeaderChangedError, True), (errors.LeaderChangedError, False)),
    (RpcError(Code.UNAVAILABLE, "connection lost"), (errors.UnavailableError, True), (errors.IndeterminateError, False)),
    (RpcError(Code.CANCELLED, "context canceled"), (errors.UnavailableError, True), (errors.IndeterminateError, False)),
    (RpcError(Code.UNKNOWN, "context deadline exceeded"), (errors.UnavailableError, True), (errors.IndeterminateError, False)),
    (
        RpcError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"),
        (errors.DeadlineExceededError, True),
        (errors.DeadlineExceededError, False),
    ),
    (RpcError(Code.INTERNAL, "?"), (errors.UnavailableError, False), (errors.IndeterminateError, False)),
    (etcd(errors.CompactedError, Code.OUT_OF_RANGE), (errors.CompactedError, False), (errors.CompactedError, False)),
    (etcd(errors.NoSpaceError, Code.RESOURCE_EXHAUSTED), (errors.NoSpaceError, False), (errors.NoSpaceError, False)),
    (etcd(errors.MemberNotEnoughStartedError, Code.UNKNOWN), *[(errors.MemberNotEnoughStartedError, False)] * 2),
    (RpcError(Code.RESOURCE_EXHAUSTED, "grpc: received message larger than max"), *[(errors.RequestError, False)] * 2),
    (RpcError(Code.UNKNOWN, "auth: permission denied"), *[(errors.RequestError, False)] * 2),
    (RpcError(Code.UNIMPLEMENTED, "unknown service"), *[(errors.RequestError, False)] * 2),
    (etcd(errors.CorruptError, Code.DATA_LOSS), *[(errors.CorruptError, False)] * 2),
    (RpcError(Code.DATA_LOSS, "?"), *[(errors.CorruptionError, False)] * 2),
]


@pytest.mark.parametrize(("error", "read", "write"), TABLE, ids=[error.message for error, _, _ in TABLE])
def test_judge_by_situation_follows_the_table(error, read, write):
    """product.md §5.1 rule 5: by what the server can have done, never by the code alone."""
    for (cls, retry), mutates in ((read, False), (write, True)):
        verdict = judge(error, mutates=mutates)
        assert (type(verdict.error), verdict.retry) == (cls, retry)


@pytest.mark.parametrize("cls", [errors.InvalidAuthTokenError, errors.AuthOldRevisionError])
def test_judge_of_a_stale_token_asks_for_another_one(cls):
    """Refused before anything was proposed, so writes too are sent again with a new token."""
    verdict = judge(etcd(cls, Code.UNAUTHENTICATED), mutates=True)
    assert verdict.reauthenticate and isinstance(verdict.error, cls)


def test_judge_with_the_servers_word_that_nothing_happened_retries_a_write():
    """A raftkv server says so in a trailer; then a write is as safe to repeat as a read."""
    said = RpcError(Code.UNAVAILABLE, errors.StoppedError.text, [("raftkv-outcome", "not-applied")])
    unsaid = RpcError(Code.UNAVAILABLE, errors.StoppedError.text, [("raftkv-outcome", "unknown")])
    assert judge(said, mutates=True).retry
    assert not judge(unsaid, mutates=True).retry


def test_every_etcd_text_finds_its_class():
    """Texts are etcd's contract with clients; each must come back as the class that carries it."""
    assert len(BY_TEXT) > 60
    for text, cls in BY_TEXT.items():
        assert cls.text == text


def test_no_write_is_retried_after_it_was_sent_unless_it_was_refused():
    """The one thing that must never happen, over all known texts and codes: a second copy of a write whose fate is open."""
    for text in [*BY_TEXT, "anything else"]:
        for code in Code:
            verdict = judge(RpcError(code, text), mutates=True)
            if verdict.retry:
                assert isinstance(verdict.error, errors.RequestTooManyRequestsError)
            if isinstance(verdict.error, errors.UnavailableError):
                raise AssertionError(f"{code.name} {text!r} claims that a sent write had no effect")
