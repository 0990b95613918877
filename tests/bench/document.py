"""The text around the table: how it was measured, on what, and what it does not say."""

from __future__ import annotations

import os
import pathlib
import platform
from collections.abc import Mapping

from tests.bench.campaign import Plan
from tests.bench.scenarios import LIST_KEYS, SPREAD_KEYS
from tests.bench.systems import QUOTA_BYTES, ROOT

TARGET = ROOT / "docs" / "BENCHMARKS.md"


def about(systems: Mapping[str, str], generator: str, plan: Plan, data: pathlib.Path) -> dict[str, object]:
    """Where and of what the figures are."""
    return {
        "systems": dict(systems),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "generator": generator,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "fan": plan.fan._asdict(),
        "disk": _file_system(data),
    }


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(path: pathlib.Path) -> str:
    """Type of the file system that holds the path."""
    best, found = "", "?"
    try:
        mounts = pathlib.Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return found
    for line in mounts:
        _, at, kind, *_ = line.split()
        if str(path).startswith(at) and len(at) >= len(best):
            best, found = at, kind
    return found


def document(text: str, facts: Mapping[str, object]) -> str:
    """The whole page."""
    systems = facts["systems"]
    assert isinstance(systems, dict)
    fan = facts["fan"]
    assert isinstance(fan, dict)
    puts = f"{fan['puts_per_s']} puts a second for {fan['seconds']:g} s at an even pace"
    watchers = (
        f"{fan['connections'] * fan['streams']} watchers of one prefix on {fan['connections']} connections × {fan['streams']} streams"
    )
    named = " and ".join(f"{name} {version}" for name, version in systems.items())
    return f"""# Benchmarks

Written by `make bench ARGS=--write`; do not edit. {named}; CPython {facts["python"]}, Linux {facts["kernel"]},
{facts["cores"]} cores ({facts["processor"]}), data on {facts["disk"]}; load average before the run {facts["load_before"]}.

{text}

## How to read it

* **ratio**: how many times better raftkv is: the median of the ratios of rounds that followed each other; where less is better
  (s, MB, ms) it is etcd's value over raftkv's. **spread**: the least and the greatest of those ratios. **target**: what the
  project asks of itself, and whether this run met it.
* **CPU µs**: user and system time of all members' processes for one request, and of the generator. On a machine with as few
  cores as this one the generator and all members share them, so this is the figure that carries over to other machines; rates do not.
* Names: `one` or `three` members, asked at the `leader` or at a `follower`, the operation, connections × calls in flight on each.

## Method

* Both systems run with the same flags (etcd's names) and with defaults but for the log level (`error`) and a quota of
  {QUOTA_BYTES >> 30} GiB. Each member is a process of its own, with data under `.raftkv/` on the disk of the checkout, every write synced.
  Both clusters are up during a row; rounds alternate, {facts["rounds"]} of each system, each a closed loop sized by a short run
  before it to take {facts["seconds"]} s.
* Generator: {facts["generator"]}. `put-spread` uses our own (Python, one core) for both systems, because h2load
  sends one request over and over. What a generator costs is in the table.
* **A refused request never counts.** h2load sees HTTP statuses only, so a round is void unless the served member's
  `grpc_server_handled_total` rose by exactly the number of requests with code OK and by none with another, and the store's
  revision by one for each put and by none for reads. One answer of each range is decoded and compared before every round. Our own
  generator reads each call's grpc-status.
* Values are 256 bytes. `put` and `range` use one key, `put-spread` writes {SPREAD_KEYS} keys in turn, `range-500` and `range-10000`
  read that many of {LIST_KEYS} keys. Ranges are linearizable but for `range-serializable`. Clusters are filled, started again, asked
  for reads and then for puts: after a burst of puts etcd 3.4 reads far slower until its next start, which is not what is compared here.
* `one.watch`: {puts}, seen by {watchers}.
  Latency counts from the instant a put was due to the reading of its event, at a client on the same cores. A run in which one event
  is missing is void.
* `start.fresh`, `start.again`: from exec to the first answered linearizable range, asked every 2 ms; first with an empty
  folder, then with that of the first start. `memory.idle`: resident memory of the largest of three members, two seconds after all
  serve. `memory.loaded`: the same at the end of the loads.
"""
