"""How many requests run at once: reads and writes apart, watches and other long ones not counted. Loop only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from resource_api.errors import StatusError, too_many_requests
from resource_api.registry.requests import MASTERS, User

READS_MAX = 400
WRITES_MAX = 200
"""kube-apiserver's `--max-requests-inflight` and `--max-mutating-requests-inflight`."""
RETRY_AFTER_S = 1

READ_VERBS = frozenset({"get", "list", "watch"})
LONG_SUBRESOURCES = frozenset({"attach", "exec", "portforward", "log", "proxy"})


def is_long(verb: str, subresource: str) -> bool:
    """Whether a request may last as long as it likes."""
    return verb in ("watch", "proxy") or subresource in LONG_SUBRESOURCES


class InFlight:
    """Counts of running requests; at the bound the next one is refused at once, never queued."""

    def __init__(self, *, reads_max: int = READS_MAX, writes_max: int = WRITES_MAX) -> None:
        self.reads = 0
        self.writes = 0
        self._reads_max = reads_max
        self._writes_max = writes_max
        self.refused = 0

    @contextmanager
    def enter(self, user: User, verb: str, subresource: str = "") -> Iterator[None]:
        """Holds a place while the request runs. Raises StatusError 429; the administrator is never refused, but counted."""
        if is_long(verb, subresource):
            yield
            return
        is_read = verb in READ_VERBS
        full = self.reads >= self._reads_max if is_read else self.writes >= self._writes_max
        if full and MASTERS not in user.groups:
            self.refused += 1
            raise overloaded()
        self._count(is_read, 1)
        try:
            yield
        finally:
            self._count(is_read, -1)

    def _count(self, is_read: bool, change: int) -> None:
        if is_read:
            self.reads += change
        else:
            self.writes += change

    def describe(self) -> str:
        """For people."""
        return f"{self.reads} of {self._reads_max} reads, {self.writes} of {self._writes_max} writes, {self.refused} refused"


def overloaded() -> StatusError:
    """429 as kube-apiserver says it; the HTTP face adds `Retry-After`."""
    return too_many_requests("too many requests, please try again later", RETRY_AFTER_S)
