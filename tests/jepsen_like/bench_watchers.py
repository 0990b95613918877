"""How fast the checkers of watchers, leases and locks are: `python -m tests.jepsen_like.bench_watchers`."""

from __future__ import annotations

import time
from collections.abc import Callable

from jepsen_like.checker import lease, lock, watch
from jepsen_like.checker.verdict import Verdict
from tests.jepsen_like.leased import leased
from tests.jepsen_like.locked import locked
from tests.jepsen_like.watched import watched


def measured(name: str, count: int, unit: str, judge: Callable[[], Verdict]) -> None:
    """Print one line: items a second of CPU time, the machine being shared."""
    start = time.process_time()
    verdict = judge()
    seconds = time.process_time() - start
    assert verdict.valid, verdict.anomalies[:1]
    print(f"{name}: {count} {unit} in {seconds:.2f} s, {count / seconds:,.0f} {unit}/s")


def main() -> None:
    """All of them."""
    history = watched(7, 50_000, 20, span=50_000)
    events = sum(len(response.events) for response in history.responses)
    measured("watch", events, "events", lambda: watch.check(history))
    leases = leased(1, 2_000, 20)
    measured("lease", len(leases.operations), "calls", lambda: lease.check(leases))
    locks = locked(1, 20_000)
    measured("lock", len(locks.operations), "calls", lambda: lock.check(locks))


if __name__ == "__main__":
    main()
