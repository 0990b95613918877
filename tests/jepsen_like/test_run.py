"""Whole runs over real sockets: short, on processes of this checkout and, where it is installed, on Debian's etcd."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest
from click.testing import CliRunner

from jepsen_like.history import load_file
from jepsen_like.main import cli


def run(out: pathlib.Path, *arguments: str) -> tuple[int, dict]:
    shown = CliRunner().invoke(cli, ["run", "--json", "--out", str(out), *arguments], prog_name="jepsen-like")
    assert shown.exception is None or isinstance(shown.exception, SystemExit), shown.exception
    return shown.exit_code, json.loads(shown.stdout.splitlines()[-1])


@pytest.mark.slow
def test_run_on_paused_members_is_valid_and_leaves_its_history(tmp_path):
    """The line of `--json`, the files beside it, and a history that says the same when it is judged again."""
    status, line = run(tmp_path, "--workload", "register", "--nemesis", "pause", "--time", "6", "--rate", "150", "--seed", "7")
    assert line["verdict"] == "valid", line
    assert status == 0
    assert {"verdict", "ops", "ok", "unknown", "anomalies", "report"} <= set(line)
    assert line["faults"]["verified"] >= 1
    folder = pathlib.Path(line["report"]).parent
    history = load_file(folder / "history.jsonl")
    assert len(history.operations) == line["ops"]
    assert [mark.detail["name"] for mark in history.marks if mark.kind == "phase"] == ["warm-up", "faults", "heal", "final reads"]
    assert sum(one.f == "hashkv" and one.outcome == "ok" for one in history.operations) == 3
    assert json.loads((folder / "run.json").read_text())["verdict"] == "valid"
    assert CliRunner().invoke(cli, ["check", str(folder / "history.jsonl")]).exit_code == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("etcd") is None, reason="not available: there is no `etcd` in PATH (Debian: apt-get install etcd-server)")
def test_positive_control_of_stale_reads_on_etcd_is_flagged(tmp_path):
    """A harness that cannot see stale reads where there are some sees nothing."""
    status, line = run(tmp_path, "--system", "etcd", "--workload", "stale-register", "--nemesis", "pause", "--time", "10", "--rate", "300")
    assert (status, line["verdict"]) == (1, "invalid"), line
    assert "stale-revision" in line["kinds"]
