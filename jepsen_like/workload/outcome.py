"""Whether a call that ended in an error happened: the table that every workload writes its history by.

A wrong row here is the commonest source of false alarms and of missed ones: `fail` claims that the call never had and never
will have an effect, and the checkers hold the server to it. Texts outrank classes, because etcd is known by its texts.
Reads have no effect, so a failed one is `fail` whatever happened. Source: spec/faults.md §4c, etcd's rpctypes, Jepsen's etcd suite.
"""

from __future__ import annotations

from collections.abc import Mapping

from jepsen_like.history import FAIL, UNKNOWN
from raftkv import errors

BY_TEXT: Mapping[str, str] = {
    # Refused before anything was proposed, or refused by every member alike when it was applied.
    "etcdserver: key is not provided": FAIL,
    "etcdserver: key not found": FAIL,
    "etcdserver: value is provided": FAIL,
    "etcdserver: lease is provided": FAIL,
    "etcdserver: too many operations in txn request": FAIL,
    "etcdserver: duplicate key given in txn request": FAIL,
    "etcdserver: invalid sort option": FAIL,
    "etcdserver: mvcc: required revision has been compacted": FAIL,
    "etcdserver: mvcc: required revision is a future revision": FAIL,
    "etcdserver: mvcc: database space exceeded": FAIL,
    "etcdserver: requested lease not found": FAIL,
    "etcdserver: lease already exists": FAIL,
    "etcdserver: too large lease TTL": FAIL,
    "etcdserver: request is too large": FAIL,
    "etcdserver: too many requests": FAIL,
    "etcdserver: permission denied": FAIL,
    "etcdserver: user name is empty": FAIL,
    "etcdserver: invalid auth token": FAIL,
    "etcdserver: not capable": FAIL,
    # The proposal may be on its way, or in the log of a member that comes back.
    "etcdserver: request timed out": UNKNOWN,
    "etcdserver: request timed out, possibly due to previous leader failure": UNKNOWN,
    "etcdserver: request timed out, possibly due to connection lost": UNKNOWN,
    "etcdserver: request timed out, waiting for the applied index took too long": UNKNOWN,
    "etcdserver: leader changed": UNKNOWN,
    # NB: etcd gives these three also to writes it has already proposed.
    "etcdserver: server stopped": UNKNOWN,
    "etcdserver: no leader": UNKNOWN,
    "etcdserver: unhealthy cluster": UNKNOWN,
    "etcdserver: corrupt cluster": UNKNOWN,
    "context deadline exceeded": UNKNOWN,
    "context canceled": UNKNOWN,
}
"""etcd's texts as answered to a call that may change state."""


def outcome_of(error: BaseException, *, mutates: bool) -> str:
    """`fail` or `unknown` for a call that ended in `error`.

    The client has already asked "can the server have done anything?" (`raftkv.client.outcome.judge`) and answers by the
    class; an `UnavailableError` is a fact of this attempt (nothing was sent, or the server said that it proposed
    nothing), so it stands above its text. Everything that is not known here is unknown: cancellation, bugs of ours.
    """
    if not mutates and isinstance(error, errors.RaftKVError):
        return FAIL
    if isinstance(error, errors.UnavailableError):
        return FAIL
    known = BY_TEXT.get(str(error))
    if known is not None:
        return known
    return FAIL if isinstance(error, errors.RequestError) else UNKNOWN
