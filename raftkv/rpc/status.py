"""What each error is on the wire: THE table of gRPC codes and the few texts that differ from the error's own.

Owns codes; refuses to know who raised the error or whether it is retried. Called by the services, on the loop. Source:
etcd's api/v3rpc/rpctypes and util.go; the rows that arrive as UNKNOWN do so because etcd's map of server errors lacks
them, and clients have come to depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from raftkv import errors
from raftkv.transport.grpc_wire import Code

__all__ = ["CODES", "WIRE_TEXTS", "Code", "Failing", "StatusError", "fail", "status_of"]


class Failing(Protocol):
    """The one thing `fail` needs of a call."""

    def fail(self, code: int, message: str, trailers: Sequence[tuple[str, str]] = ()) -> None:
        """Ends the call with a status."""


class StatusError(errors.RaftKVError):
    """An error that is its own status: what gRPC, and not etcd, has a code and words for."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


CODES: dict[type[BaseException], Code] = {
    # The roots: what a raiser gives a text of its own.
    errors.RaftKVError: Code.UNKNOWN,
    errors.RequestError: Code.UNKNOWN,
    errors.UnavailableError: Code.UNAVAILABLE,
    errors.IndeterminateError: Code.UNKNOWN,
    errors.ProtocolError: Code.INTERNAL,
    errors.LocalProtocolError: Code.INTERNAL,
    errors.RemoteProtocolError: Code.INTERNAL,
    errors.CorruptionError: Code.DATA_LOSS,
    errors.ConfigError: Code.UNKNOWN,
    AssertionError: Code.INTERNAL,
    # Keys, transactions, revisions.
    errors.EmptyKeyError: Code.INVALID_ARGUMENT,
    errors.KeyNotFoundError: Code.INVALID_ARGUMENT,
    errors.ValueProvidedError: Code.INVALID_ARGUMENT,
    errors.LeaseProvidedError: Code.INVALID_ARGUMENT,
    errors.TooManyOpsError: Code.INVALID_ARGUMENT,
    errors.DuplicateKeyError: Code.INVALID_ARGUMENT,
    errors.InvalidClientAPIVersionError: Code.INVALID_ARGUMENT,
    errors.InvalidSortOptionError: Code.INVALID_ARGUMENT,
    errors.CompactedError: Code.OUT_OF_RANGE,
    errors.FutureRevError: Code.OUT_OF_RANGE,
    errors.NoSpaceError: Code.RESOURCE_EXHAUSTED,
    errors.RequestTooLargeError: Code.INVALID_ARGUMENT,
    # etcd's server map holds the client-side type here, which carries no gRPC status.
    errors.RequestTooManyRequestsError: Code.UNKNOWN,
    # Leases and watches.
    errors.LeaseNotFoundError: Code.NOT_FOUND,
    errors.LeaseExistError: Code.FAILED_PRECONDITION,
    errors.LeaseTTLTooLargeError: Code.OUT_OF_RANGE,
    errors.WatchCanceledError: Code.CANCELLED,
    # Members.
    errors.MemberExistError: Code.FAILED_PRECONDITION,
    errors.PeerURLExistError: Code.FAILED_PRECONDITION,
    # As RequestTooManyRequestsError.
    errors.MemberNotEnoughStartedError: Code.UNKNOWN,
    errors.MemberBadURLsError: Code.INVALID_ARGUMENT,
    errors.MemberNotFoundError: Code.NOT_FOUND,
    errors.MemberNotLearnerError: Code.FAILED_PRECONDITION,
    errors.LearnerNotReadyError: Code.FAILED_PRECONDITION,
    errors.TooManyLearnersError: Code.FAILED_PRECONDITION,
    errors.ClusterIDMismatchError: Code.FAILED_PRECONDITION,
    errors.NotSupportedForLearnerError: Code.FAILED_PRECONDITION,
    errors.BadLeaderTransfereeError: Code.FAILED_PRECONDITION,
    # Authentication.
    errors.RootUserNotExistError: Code.FAILED_PRECONDITION,
    errors.RootRoleNotExistError: Code.FAILED_PRECONDITION,
    errors.UserAlreadyExistError: Code.FAILED_PRECONDITION,
    errors.UserEmptyError: Code.INVALID_ARGUMENT,
    errors.UserNotFoundError: Code.FAILED_PRECONDITION,
    errors.RoleAlreadyExistError: Code.FAILED_PRECONDITION,
    errors.RoleNotFoundError: Code.FAILED_PRECONDITION,
    errors.RoleEmptyError: Code.INVALID_ARGUMENT,
    errors.AuthFailedError: Code.INVALID_ARGUMENT,
    errors.PermissionNotGivenError: Code.INVALID_ARGUMENT,
    errors.PermissionDeniedError: Code.PERMISSION_DENIED,
    errors.RoleNotGrantedError: Code.FAILED_PRECONDITION,
    errors.PermissionNotGrantedError: Code.FAILED_PRECONDITION,
    errors.AuthNotEnabledError: Code.FAILED_PRECONDITION,
    errors.InvalidAuthTokenError: Code.UNAUTHENTICATED,
    errors.InvalidAuthMgmtError: Code.INVALID_ARGUMENT,
    errors.AuthOldRevisionError: Code.INVALID_ARGUMENT,
    # Consensus and time.
    errors.NoLeaderError: Code.UNAVAILABLE,
    errors.NotLeaderError: Code.FAILED_PRECONDITION,
    errors.LeaderChangedError: Code.UNAVAILABLE,
    errors.NotCapableError: Code.FAILED_PRECONDITION,
    errors.StoppedError: Code.UNAVAILABLE,
    errors.TimeoutError: Code.UNAVAILABLE,
    errors.TimeoutDueToLeaderFailError: Code.UNAVAILABLE,
    errors.TimeoutDueToConnectionLostError: Code.UNAVAILABLE,
    errors.TimeoutWaitAppliedIndexError: Code.UNAVAILABLE,
    errors.UnhealthyError: Code.UNAVAILABLE,
    errors.CorruptError: Code.DATA_LOSS,
    errors.CanceledError: Code.CANCELLED,
    errors.DeadlineExceededError: Code.DEADLINE_EXCEEDED,
    # Downgrade.
    errors.WrongDowngradeVersionFormatError: Code.INVALID_ARGUMENT,
    errors.InvalidDowngradeTargetVersionError: Code.INVALID_ARGUMENT,
    errors.ClusterVersionUnavailableError: Code.FAILED_PRECONDITION,
    errors.DowngradeInProcessError: Code.FAILED_PRECONDITION,
    errors.NoInflightDowngradeError: Code.FAILED_PRECONDITION,
}

WIRE_TEXTS: dict[type[BaseException], str] = {
    errors.CanceledError: "context canceled",
    errors.DeadlineExceededError: "context deadline exceeded",
}
"""Go's own texts: etcd lets gRPC turn these two into a status, so rpctypes' texts for them never travel."""


def status_of(error: BaseException) -> tuple[Code, str]:
    """The code and text an error travels as. A class without a row counts as the nearest of its bases that has one."""
    text = str(error)
    if isinstance(error, StatusError):
        return error.code, text
    for cls in type(error).__mro__:
        code = CODES.get(cls)
        if code is not None:
            wire_text = WIRE_TEXTS.get(cls)
            if wire_text is not None and text == getattr(cls, "text", None):
                text = wire_text
            return code, text
    return Code.UNKNOWN, text or type(error).__name__


def fail(call: Failing, error: BaseException) -> Code:
    """Ends the call with the error's status and returns the code it was given."""
    code, text = status_of(error)
    call.fail(int(code), text, outcome_of(error))
    return code


_NOT_APPLIED = (("raftkv-outcome", "not-applied"),)
_UNKNOWN = (("raftkv-outcome", "unknown"),)


def outcome_of(error: BaseException) -> Sequence[tuple[str, str]]:
    """A trailer beside etcd's status that answers the caller's first question: may the request have taken effect?

    etcd's codes do not tell (UNAVAILABLE covers both), and no other client reads it.
    """
    if isinstance(error, (errors.RequestError, errors.UnavailableError)):
        return _NOT_APPLIED
    return _UNKNOWN if isinstance(error, errors.IndeterminateError) else ()
