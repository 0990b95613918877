"""What every change has to pass: many seeds, some known ways to be wrong, one run in namespaces. `make jepsen` runs far more."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.jepsen_like.sim.test_core import FULL_SEEDS, check_seeds

COMMAND = [sys.executable, "-c", "from jepsen_like.main import main; main()"]
NOT_AVAILABLE = 4

MUTANTS = [
    "02b_term_leaves_before_it_is_durable",
    "03b_append_acknowledged_at_once",
    "04_leader_counts_itself_before_its_disk",
    "06_vote_for_a_shorter_log",
    "07_old_append_truncates",
    "09b_heartbeat_commits_beyond_match",
    "10_next_falls_to_match",
    "11_read_before_a_commit_of_the_term",
    "31_snapshot_takes_back_what_is_committed",
    "35_applied_before_the_own_disk",
]
"""Each seen within a few seeds of the core simulation."""

MUTANT_SEEDS = "1-20"


@pytest.mark.slow
def test_five_hundred_seeds_of_the_core_keep_every_invariant() -> None:
    """Sixty virtual seconds each: eight hours of a cluster under faults."""
    check_seeds(FULL_SEEDS, processes=min(2, os.cpu_count() or 1))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_known_way_to_be_wrong_is_noticed(mutant: str) -> None:
    """A simulator that does not see these proves nothing by seeing nothing."""
    done = subprocess.run(
        [*COMMAND, "sim", "--core", "--mutant", mutant, "--seeds", MUTANT_SEEDS, "--json"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-500:] + done.stderr[-500:]
    verdicts = [json.loads(line).get("verdict") for line in done.stdout.splitlines() if line.startswith("{")]
    assert "invalid" in verdicts


@pytest.mark.slow
def test_cluster_in_namespaces_keeps_its_promises_under_kills_and_partitions(tmp_path: pathlib.Path) -> None:
    """Forty seconds of real processes, each in a network namespace of its own."""
    done = subprocess.run(
        [*COMMAND, "run", "--backend", "NS", "--workload", "register", "--nemesis", "kill,partition-halves"]
        + ["--time", "40", "--rate", "250", "--json", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if done.returncode == NOT_AVAILABLE:
        pytest.skip(done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:])
    line = json.loads(done.stdout.strip().splitlines()[-1])
    if line["verdict"] == "rejected":
        pytest.skip(f"the machine was too slow to prove anything: {line}")
    assert line["verdict"] == "valid", line
    assert line["faults"]["verified"] >= 3, line
