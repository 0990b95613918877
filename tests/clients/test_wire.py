"""The whole of tests/rpc's wire rules, held by a follower of three members too: it forwards, and nobody can tell."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jepsen_like.cluster.member import ROOT
from tests.clients.conftest import Cluster

LEADERS_ONLY = ("test_status_reports_the_member", "test_move_leader_and_defragment_are_answered_without_a_header")
"""These expect to talk to a leader."""


@pytest.mark.slow
def test_wire_rules_hold_at_a_follower(cluster: Cluster) -> None:
    """A process of its own, because the address is chosen when the tests are collected. (6 s.)"""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "rpc").glob("test_wire_*.py"))
    assert len(files) >= 4
    command = [sys.executable, "-m", "pytest", *files, "-k", " and ".join(f"not {name}" for name in LEADERS_ONLY), "--no-header", "-rs"]
    environment = {**os.environ, "RAFTKV_RPC_SERVERS": cluster.followers[1]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(".") > 50, done.stdout
