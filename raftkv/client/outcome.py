"""What a failed call did: nothing, perhaps something, or nothing that repeating could change.

Turns a status that came over the wire (or the lack of one) into one of `raftkv.errors` and says whether the call may be
sent again. Retrying goes by what the server can have done, never by the gRPC code alone: a read may always be repeated; a
write only when it certainly was not proposed. Knows nothing of connections and time.
Source: product.md §5.1 rule 5, etcd-behaviour.md §1.1.
"""

from __future__ import annotations

from typing import NamedTuple

from raftkv import errors
from raftkv.transport.client import RpcError
from raftkv.transport.grpc_wire import Code

DEADLINE_TEXT = "context deadline exceeded"
"""What etcd's own client and etcdctl say when time is up."""


class Verdict(NamedTuple):
    """What to raise if the call is given up, and what else may be done first."""

    error: errors.RaftKVError
    retry: bool = False
    reauthenticate: bool = False


def _by_text() -> dict[str, type[errors.RaftKVError]]:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.RaftKVError)]
    return {cls.text: cls for cls in classes if cls.text}


BY_TEXT = _by_text()
"""etcd's message text → our class. Clients are meant to go by the text: some errors arrive under the wrong code."""

NOT_APPLIED = ("raftkv-outcome", "not-applied")
"""The trailer by which a raftkv server says that a failed write was not proposed, and will not be."""

_TRANSIENT = frozenset(
    cls.text
    for cls in (
        errors.NoLeaderError,
        errors.NotCapableError,
        errors.RequestTooManyRequestsError,
        errors.StoppedError,
        errors.UnhealthyError,
        errors.TimeoutWaitAppliedIndexError,
        errors.LeaderChangedError,
        errors.TimeoutError,
        errors.TimeoutDueToLeaderFailError,
        errors.TimeoutDueToConnectionLostError,
    )
)
"""Worth another try, elsewhere or later. Everything else that a server says about a request stays true."""

_REAUTHENTICATE = frozenset((errors.InvalidAuthTokenError.text, errors.AuthOldRevisionError.text))
"""Refused before anything was proposed, and another token will do."""

_BEFORE_HANDLING = frozenset(
    (
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.RESOURCE_EXHAUSTED,
        Code.FAILED_PRECONDITION,
        Code.OUT_OF_RANGE,
        Code.UNIMPLEMENTED,
        Code.UNAUTHENTICATED,
    )
)
"""Codes a server gives to a request it refuses; under an unknown text the request still had no effect."""


def judge(error: RpcError, *, mutates: bool) -> Verdict:
    """Classifies a failed call.

    Args:
        error: what the transport reported; `sent` is false only when no byte of the request can have reached a server.
        mutates: whether the call may change state.
    """
    if not error.sent:
        return Verdict(errors.UnavailableError(error.message), retry=True)
    if NOT_APPLIED in error.trailers:
        mutates = False  # The server's word: for this attempt it was no more than a read.
    known = BY_TEXT.get(error.message)
    if known is None:
        return _judge_code(error, mutates=mutates)
    if error.message in _REAUTHENTICATE:
        return Verdict(known(), reauthenticate=True)
    if error.message not in _TRANSIENT:
        return Verdict(known())
    if not mutates:
        # An unhealthy cluster is one that changes no members now: seconds will pass, and whoever asks should know, as with etcdctl.
        return Verdict(known(), retry=known is not errors.UnhealthyError)
    if known is errors.RequestTooManyRequestsError:
        return Verdict(known(), retry=True)
    # NB: etcd also answers "server stopped" and "no leader" to writes that it has already proposed, so without a word
    # from the server that it has not, these are as uncertain as a lost connection.
    return Verdict(known() if issubclass(known, errors.IndeterminateError) else errors.IndeterminateError(error.message))


def _judge_code(error: RpcError, *, mutates: bool) -> Verdict:
    if error.code == Code.DATA_LOSS:
        return Verdict(errors.CorruptionError(error.message))
    if error.code in _BEFORE_HANDLING or error.message.startswith(("auth: ", "etcdserver: ")):
        return Verdict(errors.RequestError(error.message))
    if error.code == Code.DEADLINE_EXCEEDED:
        return Verdict(errors.DeadlineExceededError(DEADLINE_TEXT), retry=not mutates)
    if mutates:
        return Verdict(errors.IndeterminateError(error.message))
    return Verdict(errors.UnavailableError(error.message), retry=error.code in (Code.UNAVAILABLE, Code.CANCELLED, Code.UNKNOWN))
