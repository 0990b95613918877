"""What a child process does: puts one mutant in and runs seeds of one simulation, or tests, until something notices it.

Writes one JSON object a line: `{"seed": 7, "what": ""}` for a seed that found nothing, with the finding in `what` otherwise;
`{"unloaded": true}` when the simulation does not use the mutant's module at all.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from collections.abc import Callable

from jepsen_like.sim.mutation import Mutant, directory, install, load

MEMORY_BYTES_MAX = 4 << 30
"""A mutant that eats memory ends here, not the machine."""

NONE = "none"
"""Name under which the unchanged product runs."""

TESTS = {
    "raftkv.raft": ["tests/raft"],
    "raftkv.storage": ["tests/storage", "tests/crash"],
    "raftkv.mvcc": ["tests/mvcc"],
    "raftkv.state": ["tests/state"],
    "raftkv.rpc": ["tests/rpc"],
    "raftkv.client": ["tests/client"],
}
"""Tests for mutants that name none, by package; tests/server for all others."""

PYTEST = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line"]

QUICK = ["-m", "not slow", "-k", "not under_faults and not failover"]
"""Of folders; files and tests that a mutant names are run however long they take."""


def main(name: str, level: str, first: int, last: int, like: str) -> int:
    """Runs a child. `like`: of the unchanged product the tests for this mutant are run. 0 unless the run itself failed."""
    if level != "unit":
        # Tests look at what is logged.
        logging.disable(logging.CRITICAL)
    # Of the data, not of the address space: a store reserves 256 GiB of that.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    mutant = None if name == NONE else load(directory(), name)
    if mutant is not None:
        install(mutant)
    if level == "unit":
        return _tests(mutant or load(directory(), like))
    run = {"core": _core, "server": _server}[level]()
    if mutant is not None and mutant.module not in sys.modules:
        print(json.dumps({"unloaded": True}), flush=True)
        return 0
    for seed in range(first, last + 1):
        what = run(seed)
        print(json.dumps({"seed": seed, "what": what}), flush=True)
        if what and mutant is not None:
            break
    return 0


def tests_for(mutant: Mutant) -> list[str]:
    """The tests that are to notice a mutant that no simulation does."""
    return list(mutant.tests) or TESTS.get(".".join(mutant.module.split(".")[:2]), ["tests/server"])


def _tests(mutant: Mutant) -> int:
    import pytest

    chosen = tests_for(mutant)
    named = all(".py" in one for one in chosen)
    status = pytest.main([*chosen, *PYTEST, *([] if named else QUICK)])
    # 2: the mutant kept the tests from being collected. Above: there were no such tests.
    assert status <= 2, f"pytest ended with {status}"
    print(json.dumps({"seed": 0, "what": f"test of {' '.join(chosen)}" if status else ""}), flush=True)
    return 0


def _core() -> Callable[[int], str]:
    from tests.mutants import core_seed

    return core_seed.run


def _server() -> Callable[[int], str]:
    from tests.mutants import server_seed

    return server_seed.run
