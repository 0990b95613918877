"""How fast the checkers and the core simulation are: `python -m tests.jepsen_like.speed [scale | core]`, process CPU time, one core.

The figures are the goals of spec/faults.md §8; a scale below 1 shortens the histories, `core` measures the simulation alone.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

from jepsen_like.checker import list_append, order, search, set_full
from jepsen_like.checker.verdict import Verdict
from jepsen_like.history import OK, KeyValue, Operation
from jepsen_like.sim.core.runs import run
from jepsen_like.sim.core.scenario import EVERYBODY, LEADER, Fault, Scenario
from tests.jepsen_like import appended, generated, grown

FAULTS = (
    Fault(3_000, "crash", (LEADER,), 500),
    Fault(8_000, "isolate", (LEADER,), 1_500),
    Fault(13_000, "power_cut", EVERYBODY, 700),
    Fault(18_000, "pause", (LEADER,), 1_500),
    Fault(23_000, "one_way", (2,), 1_000),
    Fault(28_000, "slow_disk", (LEADER,), 2_000, 100.0),
    Fault(33_000, "skew", (3,), 5_000, 2.0),
    Fault(38_000, "transfer", (4,)),
    Fault(42_000, "flapping", (5,), 3_000),
)
CORE = Scenario(seed=5, voters=5, ops_per_s=50, burst=1, loss=0.01, duplicate=0.01, reorder=True, tail=0.01, faults=FAULTS)
"""Five members, 50 calls a second one at a time, a minute with nine faults and some weather."""


def core(repeats: int = 7) -> None:
    """Virtual over real time of the core simulation: the best and the middle of some runs of one seed."""
    for burst in (1, 4):
        results = [run(CORE.seed, replace(CORE, burst=burst)) for _ in range(repeats)]
        cpu = sorted(result.virtual_s / result.cpu_s for result in results)
        wall = sorted(result.virtual_s / result.wall_s for result in results)
        name = f"core simulation: 5 members, 50 calls/s, {burst} at a time"
        print(
            f"{name:<66} {results[0].ops:>9,} ops, times real time by CPU {cpu[-1]:.0f} ({cpu[repeats // 2]:.0f}), "
            f"by wall {wall[-1]:.0f} ({wall[repeats // 2]:.0f})  {results[0].verdict}",
            flush=True,
        )


def _measured(name: str, operations: list[Operation], check: Callable[[list[Operation]], Verdict]) -> None:
    gc.collect()
    began = time.process_time()
    verdict = check(operations)
    spent = time.process_time() - began
    rate = len(operations) / spent
    print(f"{name:<66} {len(operations):>9,} ops {rate:>9,.0f} ops/s  {verdict.outcome}, {len(verdict.reasons)} undecided", flush=True)


def with_stale_read(random: Random, operations: list[Operation]) -> list[Operation]:
    """One read answers what an acknowledged put had overwritten before it began. One key; unique values."""
    puts = [one for one in operations if one.f == "put" and one.outcome == OK]
    found = []
    for place, one in enumerate(operations):
        if one.f != "get" or one.outcome != OK:
            continue
        before = [put for put in puts if put.complete_ns < one.invoke_ns]
        old = [put for put in before if any(put.complete_ns < other.invoke_ns for other in before)]
        found += [(place, put) for put in old[-1:]]
    place, put = random.choice(found)
    changed = list(operations)
    changed[place] = changed[place]._replace(result=KeyValue(put.key, put.argument, 1, put.revision, 1))
    return changed


def _refuted() -> None:
    """Ten clients on one key, two hundred operations, one stale read."""
    decided = []
    explained = []
    found = 0
    for seed in range(50):
        random = Random(seed)
        operations = with_stale_read(random, generated.history(random, 200, keys=1, clients=10))
        began = time.process_time()
        found += search.linearizable(operations) is False
        decided.append(time.process_time() - began)
        began = time.process_time()
        search.check(operations)
        explained.append(time.process_time() - began)
    print(
        f"{'search: stale read among 10 clients on one key, 200 operations':<66} refuted {found} of {len(decided)}, decided within "
        f"{max(decided):.3f} s, shrunk and explained within {max(explained):.2f} s"
    )


def main(scale: float) -> None:
    """Print one line a checker."""
    large, usual = int(1_000_000 * scale), int(100_000 * scale)
    for unknown in (0, 0.02):
        operations = generated.history(Random(1), large, keys=50, clients=20, unknown=unknown)
        _measured(f"order: get, put, delete, cas; {unknown:.0%} unknown", operations, order.check)
    operations = generated.history(Random(1), usual, keys=50, clients=20, unknown=0.02, mix=generated.EVERYTHING)
    _measured("order: and txn, range, old reads, range deletes; 2% unknown", operations, order.check)
    operations = generated.history(Random(1), usual, keys=50, clients=20, unknown=0.02)
    _measured("search: 50 keys, 20 clients, 2% unknown", operations, search.check)
    operations = generated.history(Random(1), usual, keys=50, clients=20, unknown=0.1)
    _measured("search: 50 keys, 20 clients, 10% unknown", operations, search.check)
    operations = generated.history(Random(1), usual, keys=5, clients=10, unknown=0.02)
    _measured("search: 5 keys, 10 clients, 2% unknown", operations, search.check)
    _refuted()
    _measured("list_append: 5 keys, 20 clients, up to 4 steps", appended.history(Random(1), usual, clients=20), list_append.check)
    _measured("set_full: 20 clients, a key per 100 elements", grown.history(Random(1), usual, clients=20), set_full.check)


if __name__ == "__main__":
    if sys.argv[1:] != ["core"]:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    core()
