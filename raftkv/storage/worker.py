"""SEAM: run this on the named thread, report on the loop.

The write-ahead log and the store each have one worker, so that a slow store commit never delays a log sync. Jobs of one
worker run in the order submitted, one at a time, each to its end: nobody can cancel one (design §4 rule 4).
Implementations: `ThreadWorker` and `InlineWorker` here, the simulator's in its own package; one conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Report = Callable[[Any, BaseException | None], None]
"""Called once per job on the loop: (result, None) or (None, the exception the job raised)."""


class Worker(Protocol):
    """One named thread of work."""

    def submit(self, job: Callable[[], T], report: Callable[[T | None, BaseException | None], None]) -> None:
        """Queues the job. Called on the loop; never runs the report before returning."""

    def close(self, report: Callable[[], None]) -> None:
        """Lets queued jobs finish, then reports once on the loop; submit must not be called after."""
