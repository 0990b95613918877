"""Stamps the calls of clients and hands each to the history as soon as it is over.

Owns which calls are open; knows no client library. One recorder serves all clients of a run on one loop or thread, so that
all stamps come from one clock. A call is stamped when `begin` returns and again when it is ended; whatever is still open
when the run ends has an unknown outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from jepsen_like.history import FAIL, OK, UNKNOWN, Operation, Record


class Sink(Protocol):
    """Where records go: a `HistoryWriter`, or a list's append behind a small class."""

    def write(self, record: Record) -> None:
        """Take one record."""


class Recorder:
    """Opens calls, gives out process numbers, and never lets a process go on after an unknown outcome."""

    def __init__(self, sink: Sink, now_ns: Callable[[], int]) -> None:
        self._sink = sink
        self._now_ns = now_ns
        self._open: dict[int, Call] = {}
        self._processes = 0
        self.count = {OK: 0, FAIL: 0, UNKNOWN: 0}
        """Calls ended so far, by outcome."""

    def now_ns(self) -> int:
        """The clock of every stamp, for records that are no calls."""
        return self._now_ns()

    def process(self) -> int:
        """A number no client of this run has had: for a new client, and for one whose last outcome is unknown."""
        self._processes += 1
        return self._processes - 1

    def begin(self, process: int, f: str, key: str = "", argument: Any = None, *, member: str = "", lease: int = 0) -> Call:
        """Open a call; to be made just before the request's first byte.

        Raises:
            ValueError: the process has a call open, or had one that ended unknown.
        """
        if process in self._open:
            raise ValueError(f"process {process} has a call open or gone missing")
        call = Call(self, process, f, key, argument, self._now_ns(), member, lease)
        self._open[process] = call
        return call

    def write(self, record: Record) -> None:
        """Pass on a record that is no call: a watch, its responses, a mark."""
        self._sink.write(record)

    def close(self) -> None:
        """End every open call as unknown, in the order they were made."""
        for call in sorted(self._open.values(), key=lambda one: one.invoke_ns):
            if not call.ended:
                call.unknown("the run ended")

    def end(self, call: Call, outcome: str, result: Any, revision: int, error: str) -> None:
        """Write the call down; `Call` is who calls this."""
        self.count[outcome] += 1
        if outcome != UNKNOWN:
            del self._open[call.process]
        self._sink.write(
            Operation(
                call.process,
                call.f,
                call.key,
                call.argument,
                result,
                call.invoke_ns,
                self._now_ns(),
                outcome,
                revision,
                call.member,
                error,
                call.lease,
            )
        )


class Call:
    """One open call. Exactly one of `ok`, `fail` and `unknown` ends it; leaving a `with` block ends it as unknown."""

    __slots__ = ("_recorder", "argument", "ended", "f", "invoke_ns", "key", "lease", "member", "process")

    def __init__(self, recorder: Recorder, process: int, f: str, key: str, argument: Any, invoke_ns: int, member: str, lease: int) -> None:
        self._recorder = recorder
        self.process = process
        self.f = f
        self.key = key
        self.argument = argument
        self.invoke_ns = invoke_ns
        self.member = member
        self.lease = lease
        self.ended = False

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if not self.ended:
            self.unknown(f"{kind.__name__}: {error}" if kind is not None else "left without an answer")

    def ok(self, result: Any = None, *, revision: int = 0) -> None:
        """The answer came and says it happened."""
        self._end(OK, result, revision, "")

    def fail(self, error: str) -> None:
        """It certainly had no effect and never will have one."""
        self._end(FAIL, None, 0, error)

    def unknown(self, error: str) -> None:
        """It may have had an effect, or have one later. The process number is spent."""
        self._end(UNKNOWN, None, 0, error)

    def _end(self, outcome: str, result: Any, revision: int, error: str) -> None:
        if self.ended:
            raise ValueError(f"a call ended twice: {self.f} {self.key!r} of process {self.process}")
        self.ended = True
        self._recorder.end(self, outcome, result, revision, error)
