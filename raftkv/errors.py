"""Every error raftkv raises, sorted by the caller's first question: did it happen?

Owns the class of each etcd error and etcd's exact text for it (clients compare texts). The gRPC status code of each
class stands in `rpc/status.py`; nothing here knows of gRPC. Source: etcd's api/v3rpc/rpctypes.
"""

from __future__ import annotations


class RaftKVError(Exception):
    """Root of all our errors. `text` is what goes on the wire when the error does."""

    text: str = ""

    def __init__(self, text: str | None = None) -> None:
        super().__init__(self.text if text is None else text)


class RequestError(RaftKVError):
    """The request had no effect, and will not have one if repeated unchanged."""


class UnavailableError(RaftKVError):
    """The request had no effect; try again later or at another member."""


class IndeterminateError(RaftKVError):
    """The request may have taken effect, now or later; repeat it only if it is idempotent."""


class ProtocolError(RaftKVError):
    """A connection or stream broke the rules of its protocol and ends."""


class LocalProtocolError(ProtocolError):
    """We broke the protocol: a bug on our side."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol."""


class CorruptionError(RaftKVError):
    """Stored data failed its own check; the member stops writing."""


class ConfigError(RaftKVError):
    """The configuration or the data directory does not allow the start; the text says what to change."""


class EmptyKeyError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: key is not provided"


class KeyNotFoundError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: key not found"


class ValueProvidedError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: value is provided"


class LeaseProvidedError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: lease is provided"


class TooManyOpsError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: too many operations in txn request"


class DuplicateKeyError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: duplicate key given in txn request"


class InvalidClientAPIVersionError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: invalid client api version"


class InvalidSortOptionError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: invalid sort option"


class CompactedError(RequestError):
    """etcd answers this as OUT_OF_RANGE."""

    text = "etcdserver: mvcc: required revision has been compacted"


class FutureRevError(RequestError):
    """etcd answers this as OUT_OF_RANGE."""

    text = "etcdserver: mvcc: required revision is a future revision"


class NoSpaceError(RequestError):
    """etcd answers this as RESOURCE_EXHAUSTED."""

    text = "etcdserver: mvcc: database space exceeded"


class LeaseNotFoundError(RequestError):
    """etcd answers this as NOT_FOUND."""

    text = "etcdserver: requested lease not found"


class LeaseExistError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: lease already exists"


class LeaseTTLTooLargeError(RequestError):
    """etcd answers this as OUT_OF_RANGE."""

    text = "etcdserver: too large lease TTL"


class WatchCanceledError(RequestError):
    """etcd answers this as CANCELLED."""

    text = "etcdserver: watch canceled"


class MemberExistError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: member ID already exist"


class PeerURLExistError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: Peer URLs already exists"


class MemberNotEnoughStartedError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: re-configuration failed due to not enough started members"


class MemberBadURLsError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: given member URLs are invalid"


class MemberNotFoundError(RequestError):
    """etcd answers this as NOT_FOUND."""

    text = "etcdserver: member not found"


class MemberNotLearnerError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: can only promote a learner member"


class LearnerNotReadyError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: can only promote a learner member which is in sync with leader"


class TooManyLearnersError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: too many learner members in cluster"


class ClusterIDMismatchError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: cluster ID mismatch"


class RequestTooLargeError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: request is too large"


class RequestTooManyRequestsError(RequestError):
    """etcd answers this as RESOURCE_EXHAUSTED."""

    text = "etcdserver: too many requests"


class RootUserNotExistError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: root user does not exist"


class RootRoleNotExistError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: root user does not have root role"


class UserAlreadyExistError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: user name already exists"


class UserEmptyError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: user name is empty"


class UserNotFoundError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: user name not found"


class RoleAlreadyExistError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: role name already exists"


class RoleNotFoundError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: role name not found"


class RoleEmptyError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: role name is empty"


class AuthFailedError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: authentication failed, invalid user ID or password"


class PermissionNotGivenError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: permission not given"


class PermissionDeniedError(RequestError):
    """etcd answers this as PERMISSION_DENIED."""

    text = "etcdserver: permission denied"


class RoleNotGrantedError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: role is not granted to the user"


class PermissionNotGrantedError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: permission is not granted to the role"


class AuthNotEnabledError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: authentication is not enabled"


class InvalidAuthTokenError(RequestError):
    """etcd answers this as UNAUTHENTICATED."""

    text = "etcdserver: invalid auth token"


class InvalidAuthMgmtError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: invalid auth management"


class AuthOldRevisionError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: revision of auth store is old"


class NoLeaderError(UnavailableError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: no leader"


class NotLeaderError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: not leader"


class LeaderChangedError(IndeterminateError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: leader changed"


class NotCapableError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: not capable"


class StoppedError(UnavailableError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: server stopped"


class TimeoutError(IndeterminateError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: request timed out"


class TimeoutDueToLeaderFailError(IndeterminateError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: request timed out, possibly due to previous leader failure"


class TimeoutDueToConnectionLostError(IndeterminateError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: request timed out, possibly due to connection lost"


class TimeoutWaitAppliedIndexError(UnavailableError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: request timed out, waiting for the applied index took too long"


class UnhealthyError(UnavailableError):
    """etcd answers this as UNAVAILABLE."""

    text = "etcdserver: unhealthy cluster"


class CorruptError(CorruptionError):
    """etcd answers this as DATA_LOSS."""

    text = "etcdserver: corrupt cluster"


class NotSupportedForLearnerError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: rpc not supported for learner"


class BadLeaderTransfereeError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: bad leader transferee"


class WrongDowngradeVersionFormatError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: wrong downgrade target version format"


class InvalidDowngradeTargetVersionError(RequestError):
    """etcd answers this as INVALID_ARGUMENT."""

    text = "etcdserver: invalid downgrade target version"


class ClusterVersionUnavailableError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: cluster version not found during downgrade"


class DowngradeInProcessError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: cluster has a downgrade job in progress"


class NoInflightDowngradeError(RequestError):
    """etcd answers this as FAILED_PRECONDITION."""

    text = "etcdserver: no inflight downgrade job"


class CanceledError(IndeterminateError):
    """etcd answers this as CANCELLED."""

    text = "etcdserver: request canceled"


class DeadlineExceededError(IndeterminateError):
    """etcd answers this as DEADLINE_EXCEEDED."""

    text = "etcdserver: context deadline exceeded"
