"""`python -m tests.bench`: measures raftkv beside etcd and prints one table. See docs/BENCHMARKS.md for the method."""

from __future__ import annotations

import argparse
import asyncio
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from tests.bench import document, scenarios
from tests.bench.campaign import QUICK, Campaign, Plan
from tests.bench.load import find_h2load
from tests.bench.results import as_json
from tests.bench.systems import ROOT, BenchError, Ports, System, etcd, raftkv
from tests.bench.table import table

MICRO = ("tests/bench", "-m", "bench", "-s", "-q")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measures raftkv beside etcd, round by round, and prints one table of ratios.",
        epilog="Micro-benchmarks of single modules stand beside this one in tests/bench/test_*.py; --micro runs them.",
    )
    parser.add_argument("--quick", action="store_true", help="one short round of each: to see that it works, not for figures")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="rows with PART in their name; may be repeated; --list")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    parser.add_argument("--rounds", type=int, help="rounds of each system (3)")
    parser.add_argument("--seconds", type=float, help="what a round of a load takes (2)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--write", action="store_true", help="write the table and the method to docs/BENCHMARKS.md")
    parser.add_argument("--alone", action="store_true", help="do not start etcd")
    parser.add_argument("--against", type=pathlib.Path, metavar="CHECKOUT", help="compare with another checkout of raftkv instead of etcd")
    parser.add_argument("--own", action="store_true", help="use our own generator even where h2load is installed")
    parser.add_argument("--base-port", type=int, default=0, help="first port to take; otherwise the kernel chooses")
    parser.add_argument("--micro", action="store_true", help="run the micro-benchmarks instead")
    return parser.parse_args(words)


def _names() -> list[str]:
    every = scenarios.load_scenarios(lambda name: True)
    return [*scenarios.OTHERS, *(row.name for rows in every.values() for row in rows)]


def _second(said: argparse.Namespace) -> System | str:
    """What raftkv is compared with, or why with nothing."""
    if said.against is not None:
        return raftkv(said.against.resolve(), name="other")
    return "not measured: --alone was given" if said.alone else etcd()


def _plan(said: argparse.Namespace) -> Plan:
    plan = QUICK if said.quick else Plan()
    return Plan(said.rounds or plan.rounds, said.seconds or plan.seconds, plan.starts, plan.fan)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _run(campaign: Campaign) -> None:
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(campaign.run())


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0: everything wanted was measured; 1: something was void or could not be."""
    said = _arguments(words)
    if said.micro:
        return subprocess.run([sys.executable, "-m", "pytest", *MICRO], cwd=ROOT).returncode
    wanted = scenarios.chooser(said.only)
    names = [name for name in _names() if wanted(name)]
    if said.list or not names:
        print("\n".join(names or _names()))
        return 0 if names else 2
    first, second = raftkv(), _second(said)
    systems = [first, second] if isinstance(second, System) else [first]
    h2load = find_h2load()
    generator = "h2load (nghttp2), one thread" if not isinstance(h2load, str) and not said.own else "our own (tests/bench/load.py)"
    if isinstance(h2load, str):
        generator += f"; h2load is {h2load}"
    plan, home = _plan(said), ROOT / ".raftkv"
    home.mkdir(exist_ok=True)
    facts = document.about({system.name: system.version for system in systems}, generator, plan, home)
    _say(f"{len(names)} rows, {' and '.join(system.name for system in systems)}; load average {facts['load_before']}")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as folder:
        campaign = Campaign(
            systems,
            plan,
            folder=pathlib.Path(folder),
            ports=Ports(said.base_port),
            h2load=None if isinstance(h2load, str) or said.own else h2load,
            wanted=wanted,
            say=_say,
        )
        try:
            _run(campaign)
        except BenchError as exc:
            _say(f"ended early: {exc}")
            return 1
    names_of = (first.name, second.name if isinstance(second, System) else "etcd")
    text = table(campaign.rows, *names_of, "" if isinstance(second, System) else second)
    print(text)
    if said.json is not None:
        said.json.write_text(json.dumps(as_json(campaign.rows, facts), indent=1) + "\n")
    if said.write:
        document.TARGET.write_text(document.document(text, facts), encoding="utf-8")
        _say(f"wrote {document.TARGET}")
    return 1 if any(row.faults for row in campaign.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
