"""Whole runs over real sockets: short, on processes of this checkout and, where it is installed, on Debian's etcd."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from jepsen_like import judgement
from jepsen_like import run as runs
from jepsen_like.history import History, load, load_file
from jepsen_like.main import cli
from jepsen_like.recorder import Recorder
from jepsen_like.run import HISTORY_FILE, Plan, Tape, execute
from jepsen_like.sim.cluster import SimulatedCluster, simulate
from jepsen_like.sim.world import SimulatedWorld


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


@pytest.mark.slow
def test_run_that_is_interrupted_judges_what_there_is(tmp_path):
    """Ctrl-C goes to a whole group of processes; the members are not in it, so that their end is not taken for the store's fault."""
    command = [sys.executable, "-m", "jepsen_like.main", "run", "--workload", "register", "--nemesis", "pause", "--time", "60", "--json"]
    with subprocess.Popen([*command, "--rate", "400", "--out", str(tmp_path)], stdout=subprocess.PIPE, process_group=0) as process:
        while not any(path.stat().st_size for path in tmp_path.glob(f"*/{HISTORY_FILE}")):
            assert process.poll() is None
            os.sched_yield()
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout is not None
        line = json.loads(process.stdout.read())
    assert process.returncode == 130
    assert line["verdict"] in ("rejected", "unknown") and "the run was cut short: it was interrupted" in line["reasons"]
    folder = pathlib.Path(line["report"]).parent
    assert json.loads((folder / "run.json").read_text())["verdict"] == line["verdict"]
    assert "REJECTED" in (folder / "report.html").read_text() or line["verdict"] == "unknown"
    assert CliRunner().invoke(cli, ["check", str(folder / HISTORY_FILE)]).exit_code == 3


@pytest.mark.slow
def test_flag_that_members_do_not_know_is_the_callers_mistake_in_their_words(tmp_path):
    shown = CliRunner().invoke(cli, ["run", "--flag=--nosuch", "--members", "1", "--time", "1", "--out", str(tmp_path)])
    assert shown.exit_code == 2, shown.output
    assert "n1 does not start with --nosuch: flag provided but not defined: -nosuch" in shown.stderr


def test_history_of_an_interrupted_run_is_whole_and_says_so(tmp_path):
    """Calls that were open are of unknown outcome, so nothing is missing; a valid verdict is out of reach."""
    written = io.StringIO()
    plan = Plan("register", 1, tmp_path, time_s=30.0)

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        tape = Tape(written, plan.stamp)
        world = SimulatedWorld(cluster, tape.history)
        world.recorder = Recorder(tape, world.now_ns)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(execute(plan, world, tape, None))
            await asyncio.sleep(3)
            running.cancel()
        assert running.cancelled()

    simulate(1, scenario)
    history = load(written.getvalue().splitlines(keepends=True))
    assert len(history.operations) > 100
    judged = judgement.judge(history)
    assert judged.outcome != "valid" and not judged.verdict.anomaly_count
    assert "the run was cut short: it was interrupted" in judged.rejected


def test_cluster_that_was_never_there_is_told_in_one_sentence(tmp_path, monkeypatch):
    """What was counted while nobody answered says nothing, and a run that gave up by itself was not interrupted."""
    monkeypatch.setattr("jepsen_like.readiness.troubles.__defaults__", (0.0,))
    shown = CliRunner().invoke(cli, ["run", "--endpoints", "127.0.0.1:1", "--time", "1", "--out", str(tmp_path)])
    assert shown.exit_code == 3, shown.output
    first, page = shown.stdout.splitlines()
    assert first.startswith("register: rejected: the cluster was not well before the run began: 127.0.0.1:1 (n1) gave no answer within 0 s")
    assert "connection to 127.0.0.1:1 failed" in first
    assert pathlib.Path(page.strip()).exists()


def test_member_that_was_away_before_the_run_began_rejects_it_by_its_address(tmp_path):
    """Nobody broke it, so it did not fail to recover; and nothing else is worth counting."""
    written = io.StringIO()
    plan = Plan("register", 1, tmp_path, time_s=5.0)

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        cluster.members[1].crash()
        tape = Tape(written, plan.stamp)
        world = SimulatedWorld(cluster, tape.history)
        world.recorder = Recorder(tape, world.now_ns)
        result = await execute(plan, world, tape, None)
        assert (result.verdict, result.ops) == ("rejected", 0)
        (reason,) = result.reasons
        host = cluster.members[1].host
        assert reason.startswith(f"the cluster was not well before the run began: http://{host}:") and f"({host}) gave no answer" in reason

    simulate(1, scenario)


class Endless:
    """A load that never comes to its end, or whose last reads do not."""

    name = "endless"

    def __init__(self, *, of_load: bool) -> None:
        self._of_load = of_load

    async def run(self, world: SimulatedWorld, *, until_s: float, rate: float) -> None:
        await world.sleep(1e9 if self._of_load else until_s - world.now_s())

    async def finish(self, world: SimulatedWorld) -> None:
        await world.sleep(1e9)


@pytest.mark.parametrize(("of_load", "phase"), [(True, "healed"), (False, "last reads")])
def test_run_that_does_not_come_to_its_end_is_ended_and_says_where(of_load, phase, tmp_path):
    """A load that waits for what never comes holds nobody for ever, and accuses nobody."""
    plan = Plan("register", 1, tmp_path, time_s=3.0)

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        world = SimulatedWorld(cluster, History())
        began_s = world.now_s()
        found = await runs._phases(plan, world, Endless(of_load=of_load), None, lambda _phase: None, None)
        assert found == [(judgement.CUT_SHORT, f"the run was cut short: 120 s after its load it was not over, at {phase!r}")]
        assert 126.0 <= world.now_s() - began_s < 127.0

    simulate(1, scenario, 1)
