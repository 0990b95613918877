"""SEAM: run this on the named thread, report on the loop.

The write-ahead log and the store each have one worker, so that a slow store commit never delays a log sync. Jobs of one
worker run in the order submitted, one at a time, each to its end: nobody can cancel one (design §4 rule 4).
Implementations: `ThreadWorker` and `InlineWorker` here, the simulator's in its own package; one conformance suite.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Report = Callable[[Any, BaseException | None], None]
"""Called once per job on the loop: (result, None) or (None, the exception the job raised)."""

Post = Callable[[Callable[[], None]], object]
"""Has the loop run the callback soon and not at once: `call_soon_threadsafe` for a ThreadWorker."""


class Worker(Protocol):
    """One named thread of work."""

    def submit(self, job: Callable[[], T], report: Callable[[T | None, BaseException | None], None]) -> None:
        """Queues the job. Called on the loop; never runs the report before returning."""

    def close(self, report: Callable[[], None]) -> None:
        """Lets queued jobs finish, then reports once on the loop; submit must not be called after."""


class ThreadWorker:
    """One thread. Invariants: 1. jobs run in order, each once and to its end; 2. a report runs only by way of `post`;
    3. when the loop refuses a report because it is closed, the remaining jobs still run.
    """

    def __init__(self, name: str, post: Post) -> None:
        self._post = post
        self._queue: SimpleQueue[tuple[Callable[[], Any], Report] | None] = SimpleQueue()
        self._closed_report: Callable[[], None] | None = None
        # A daemon, so that a loop that died without closing its workers does not keep the process; close() loses nothing.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], T], report: Callable[[T | None, BaseException | None], None]) -> None:
        """See Worker.submit."""
        assert self._closed_report is None, "submit after close"
        self._queue.put((job, report))

    def close(self, report: Callable[[], None]) -> None:
        """See Worker.close."""
        assert self._closed_report is None, "closed twice"
        self._closed_report = report
        self._queue.put(None)

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits for the thread to end after close(); False when it has not in time. Blocks: not for the loop's busy time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            self._send(_completion(*item))
            # Waiting for the next job must not keep this one's data alive.
            del item
        assert self._closed_report is not None
        self._send(self._closed_report)

    def _send(self, callback: Callable[[], None]) -> None:
        try:
            self._post(callback)
        except RuntimeError:
            # The loop is closed: nobody is left to be told. The jobs still run to their end (invariant 3).
            pass


class InlineWorker:
    """Runs each job inside submit and reports through `post`: for tests and for tools without a loop."""

    def __init__(self, name: str, post: Post) -> None:
        self.name = name
        self._post = post
        self._closed = False

    def submit(self, job: Callable[[], T], report: Callable[[T | None, BaseException | None], None]) -> None:
        """See Worker.submit."""
        assert not self._closed, "submit after close"
        self._post(_completion(job, report))

    def close(self, report: Callable[[], None]) -> None:
        """See Worker.close."""
        assert not self._closed, "closed twice"
        self._closed = True
        self._post(report)


def _completion(job: Callable[[], Any], report: Report) -> Callable[[], None]:
    """Runs the job now; the returned call delivers its outcome."""
    try:
        result = job()
    except BaseException as exc:  # a job's failure of any kind belongs to the one who waits for it
        failure = exc
        return lambda: report(None, failure)
    return lambda: report(result, None)
