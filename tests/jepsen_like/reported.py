"""A history with everything that a report draws: faults of all sorts, leaders, states, clocks, watchers, an anomaly."""

from __future__ import annotations

from random import Random

from jepsen_like import ledger
from jepsen_like.checker.verdict import Anomaly, Verdict
from jepsen_like.history import FAIL, History, Mark
from jepsen_like.ledger import FaultRecord
from tests.jepsen_like.generated import history as generated
from tests.jepsen_like.watched import watched

MILLISECOND = 1_000_000


def sample(count: int = 2_000, seed: int = 1) -> tuple[History, Verdict]:
    """A run of `count` calls with an anomaly somebody might have found."""
    random = Random(seed)
    operations = [
        one._replace(invoke_ns=one.invoke_ns * 1_000, complete_ns=one.complete_ns * 1_000, member=f"n{one.process % 3 + 1}")
        for one in generated(random, count, keys=20, clients=10, unknown=0.02)
    ]
    for place in range(0, count, 97):
        operations[place] = operations[place]._replace(outcome=FAIL, result=None, error=f"etcdserver: leader changed at {place}")
    end = max(one.complete_ns for one in operations)
    watch = watched(seed, 50, 3)
    marks: list[Mark] = [
        ledger.phase("warm-up", 0, end // 5),
        ledger.phase("faults", end // 5, end),
        FaultRecord("partition-halves", end // 4, end // 3, ("n1",), "n1 | n2 n3", True, "1204 packets dropped").to_mark(),
        FaultRecord("kill", end // 2, end * 6 // 10, ("n2",), "SIGKILL", True, "exit status -9, back after 1.2 s").to_mark(),
        FaultRecord("pause", end * 3 // 5, end * 13 // 20, ("n3",), "2 s").to_mark(),
        FaultRecord("disk-full", 0, 0, ("n1",), skipped="no tmpfs without root").to_mark(),
        ledger.leader("n1", 2, 0, end // 4),
        ledger.leader("n2", 3, end // 4 + 1, end // 2),
        ledger.leader("n3", 4, end // 2 + 1, end),
        ledger.member_state("n2", "down", end // 2, end * 6 // 10),
        ledger.reached("a snapshot was sent twice", 3, end // 2),
        ledger.note("compaction at 500", end // 3),
    ]
    marks += [ledger.clock(f"n{place % 3 + 1}", random.uniform(-0.1, 0.1), end * place // 30) for place in range(30)]
    reads = [one for one in operations if one.f == "get"][100:103]
    anomaly = Anomaly(
        "stale-read", "get of 'k1' by process 3 at revision 40 saw 'v1' of revision 30, where it must have been 'v2'", (*reads,), ("k1",)
    )
    return History(operations, watch.watches, watch.responses, marks, {"seed": seed, "workload": "register"}), Verdict(
        (anomaly,), 1, (), count
    )
