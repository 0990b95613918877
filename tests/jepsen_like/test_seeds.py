"""Mutants on the command line: what is said of one that no seed saw, each in a process of its own as a mutant has to be."""

from __future__ import annotations

import subprocess
import sys

COMMAND = """
import pathlib, sys
from jepsen_like.main import main
from jepsen_like.sim import mutation
mutation.directory = lambda: pathlib.Path(folder)
main()
"""

FILE = """
from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(module={module!r}, old={old!r}, new={new!r}, rule="none", level=Level.{level}, tests=("tests/x.py",))
"""


def simulated(folder, *arguments: str, **mutant: str) -> subprocess.CompletedProcess[str]:
    (folder / "02_limit.py").write_text(FILE.format(**mutant))
    code = COMMAND.replace("folder)", f"{str(folder)!r})")
    command = [sys.executable, "-c", code, "sim", "--seeds", "1", "--virtual", "15", "--mutant", "02", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_mutant_that_the_simulation_never_loads_proves_nothing(tmp_path):
    """A simulation that does not use the module says nothing about it, however valid its seeds are."""
    done = simulated(tmp_path, "--core", module="raftkv.rpc.guard", old="import asyncio\n", new="import asyncio \n", level="SERVER")
    assert done.returncode == 3, done.stderr
    assert "proves nothing here: the core simulation never loaded raftkv.rpc.guard" in done.stderr
    assert "it is the server simulation that notices it; try it with: python -m tests.mutants 02" in done.stderr


def test_mutant_for_tests_says_who_notices_it(tmp_path):
    """Not every mutant is for simulations to see; whoever waits for a seed that does is told."""
    limit = "NO_LIMIT = (1 << 64) - 1"
    done = simulated(tmp_path, "--core", module="raftkv.raft.quorum", old=limit, new=f"{limit} ", level="UNIT")
    assert done.returncode == 0, done.stderr
    assert "mutant 02_limit was not seen by 1 seeds" in done.stderr
    assert "it is noticed by the tests: tests/x.py (its level: unit test), and no seed of a simulation need see it" in done.stderr


def test_mutant_of_a_module_that_is_gone_is_stale(tmp_path):
    """That is no missing file of the caller's."""
    done = simulated(tmp_path, module="raftkv.raft.gone", old="x", new="y", level="CORE")
    assert done.returncode == 5 and "there is no module raftkv.raft.gone" in done.stderr


def test_stale_mutant_is_not_told_as_noticed(tmp_path):
    """Nothing was run, so nothing was seen: the status is neither 0 nor 1."""
    done = simulated(tmp_path, "--core", module="raftkv.raft.quorum", old="NO SUCH TEXT", new="x", level="CORE")
    assert done.returncode == 5
    assert done.stderr.startswith("jepsen-like: the mutant is stale, nothing was run: 02_limit: its text stands 0 times")
    assert "Traceback" not in done.stderr
