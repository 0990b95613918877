"""The command line: help with examples, errors that teach, histories judged again."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from click.testing import CliRunner

from jepsen_like.history import FAIL, OK, History, HistoryWriter, KeyValue, Operation
from jepsen_like.main import cli


def invoke(*arguments: str):
    return CliRunner().invoke(cli, list(arguments), prog_name="jepsen-like")


def written(folder: pathlib.Path, operations: list[Operation], **about) -> pathlib.Path:
    path = folder / "history.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        writer = HistoryWriter(stream, about)
        for one in operations:
            writer.write(one)
        writer.close()
    return path


def kv(value: str, revision: int, version: int) -> KeyValue:
    return KeyValue("k", value, 2, revision, version)


GOOD = [
    Operation(0, "put", "k", "a", (), 10, 20, OK, 2),
    Operation(0, "put", "k", "b", (), 30, 40, OK, 3),
    Operation(1, "get", "k", 0, kv("b", 3, 2), 50, 60, OK, 3),
    Operation(1, "get", "k", 0, None, 70, 80, FAIL, error="context deadline exceeded"),
]
STALE = [*GOOD, Operation(2, "get", "k", 0, kv("a", 2, 1), 90, 99, OK, 2)]


@pytest.mark.parametrize("command", ["run", "sim", "check", "shrink", "report"])
def test_help_of_every_command_ends_with_examples(command):
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    assert f"jepsen-like {command}" in shown.output.partition("Examples:")[2]


def test_list_names_workloads_faults_and_mutants():
    shown = invoke("list", "--json")
    everything = json.loads(shown.output)
    named = {one["name"] for one in everything["workloads"]}
    assert named >= {"register", "txn", "append", "set", "watch", "kubernetes", "lease", "lock", "membership"}
    assert {"kill", "pause"} <= {one["name"] for one in everything["faults"]}
    assert len(everything["mutants"]) >= 60
    assert "membership" in invoke("list").output


def test_check_of_valid_history_exits_with_zero(tmp_path):
    shown = invoke("check", str(written(tmp_path, GOOD, workload="register")), "--json")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.output)["verdict"] == "valid"


def test_check_of_stale_read_exits_with_one_and_says_why(tmp_path):
    shown = invoke("check", str(written(tmp_path, STALE, workload="register")))
    assert shown.exit_code == 1
    assert "stale" in shown.output


def test_check_without_a_workload_teaches_how_to_name_it(tmp_path):
    shown = invoke("check", str(written(tmp_path, GOOD)))
    assert shown.exit_code == 2
    assert "say --workload, one of register" in shown.output


def test_shrink_keeps_only_what_proves_the_anomaly(tmp_path):
    path = written(tmp_path, STALE, workload="register")
    shown = invoke("shrink", str(path))
    assert shown.exit_code == 0, shown.output
    small = invoke("check", str(tmp_path / "history.small.jsonl"), "--json")
    assert json.loads(small.output)["verdict"] == "invalid"
    assert json.loads(small.output)["ops"] < len(STALE)


def test_file_that_cannot_be_written_is_the_command_line_s(tmp_path):
    """It was named there; status 4 is for what the machine has not."""
    path = written(tmp_path, STALE, workload="register")
    (tmp_path / "history.small.jsonl").mkdir()
    shown = invoke("shrink", str(path))
    assert (shown.exit_code, "history.small.jsonl cannot be written: Is a directory" in shown.output) == (2, True), shown.output
    line = tmp_path / "line.jsonl"
    line.write_text(invoke("check", str(path), "--json").output)
    shown = invoke("summary", str(line), "--out", str(tmp_path))
    assert (shown.exit_code, "cannot be written: Is a directory" in shown.output) == (2, True), shown.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--workload", "regsiter"), "there are register"),
        (("run", "--workload", "register", "--nemesis", "kill", "--endpoints", "127.0.0.1:1"), "leave out --endpoints"),
        (("run", "--workload", "register", "--nemesis", "pause", "--endpoints", "127.0.0.1:1"), "no process of this user listens"),
        (("run", "--workload", "register", "--nemesis", "pause", "--endpoints", "192.0.2.1:1"), "only members on this machine"),
        (("run", "--endpoints", ""), "--endpoints names no server"),
        (("run", "--endpoints", " , "), "--endpoints names no server"),
        (("run", "--endpoints", "foo:bar", "--time", "1"), "--endpoints: endpoint 'foo:bar'"),
        (("run", "--endpoints", "ftp://127.0.0.1:1"), "unknown scheme 'ftp'"),
        (("run", "--endpoints", "127.0.0.1:1", "--backend", "NS"), "--backend: of a cluster that the run starts"),
        (("run", "--endpoints", "127.0.0.1:1", "--system", "etcd", "--flag=--x"), "--system, --flag: of a cluster that the run starts"),
        (("run", "--endpoints", "127.0.0.1:1", "--members", "3"), "--members: of a cluster that the run starts"),
        (("run", "--workload", "all,nosuch"), "no workload 'nosuch'"),
        (("run", "--time", "inf"), "not a finite number"),
        (("run", "--time", "nan"), "not a finite number"),
        (("run", "--rate", "inf"), "not a finite number"),
        (("run", "--time", "0.5"), "not in the range"),
        (("sim", "--virtual", "nan"), "not a finite number"),
        (("sim", "--core", "--virtual", "inf"), "not a finite number"),
        (("shrink", "--seed", "1", "--virtual", "nan"), "not a finite number"),
        (("sim", "--seeds", "ten"), "FIRST-LAST"),
        (("sim", "--seeds", "²"), "FIRST-LAST"),
        (("sim", "--seeds", "1-"), "FIRST-LAST"),
        (("sim", "--seeds", "5-4"), "FIRST-LAST"),
        (("sim", "--mutant", "no-such"), "0 mutants named"),
        (("shrink",), "either a history file or --seed"),
        (("shrink", "--seed", "1", "--workload", "txn"), "--workload: of a history file"),
        (("shrink", __file__, "--core", "--virtual", "5"), "--core, --virtual: of a seed's simulation"),
        (("sim", "--scenario", __file__, "--seeds", "1-3", "--virtual", "5"), "--seeds, --virtual: of seeds"),
    ],
)
def test_command_line_that_cannot_be_run_is_told_what_to_say_instead(arguments, said, tmp_path):
    extra = ("--out", str(tmp_path)) if arguments[0] == "run" else ()
    shown = invoke(*arguments, *extra)
    assert shown.exit_code == 2, shown.output
    assert said in shown.output


def test_history_of_a_run_is_what_its_checker_reads(tmp_path):
    """`History` made here and read back is the same, so `check` judges what the run judged."""
    from jepsen_like.history import load_file

    assert load_file(written(tmp_path, GOOD, workload="register")).operations == History(GOOD).operations


def test_sim_prints_one_line_a_seed_with_the_promised_fields():
    shown = invoke("sim", "--core", "--seeds", "1-2", "--virtual", "60", "--json")
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [line["seed"] for line in lines] == [1, 2]
    wanted = {"seed", "verdict", "trace_hash", "virtual_s", "wall_s", "ops", "faults", "reached", "reasons"}
    assert all(wanted <= set(line) and isinstance(line["faults"], dict) for line in lines)
    assert shown.exit_code == (0 if all(line["verdict"] == "valid" for line in lines) else 1)


@pytest.mark.parametrize("level", ["--core", "--server"])
def test_sim_of_seed_that_did_too_little_says_why_it_is_rejected(level):
    """`rejected` without a reason leaves nothing to do."""
    arguments = ("sim", level, "--seeds", "6", "--virtual", "1")
    line = json.loads(invoke(*arguments, "--json").stdout)
    (reason,) = line["reasons"]
    assert line["verdict"] == "rejected" and "operation" in reason
    shown = invoke(*arguments)
    assert shown.exit_code == 3 and f"seed 6: rejected: {reason}\n" in shown.stdout


def test_error_that_nobody_expected_is_not_told_as_a_wrong_store(monkeypatch):
    """Status 1 accuses the store; what the harness breaks itself has one of its own, with the way to it."""

    def broken(_plan):
        return 1 / 0

    from jepsen_like import seeds

    monkeypatch.setattr(seeds, "simulate", broken)
    shown = invoke("sim", "--core", "--seeds", "1")
    assert shown.exit_code == 5
    assert "ZeroDivisionError" in shown.stderr and "the harness itself failed: division by zero" in shown.stderr


@pytest.mark.parametrize("level", ["--core", "--server"])
@pytest.mark.parametrize("text", ["[]", "{}", "7", '{"faults": 5}', "not JSON"])
def test_file_that_is_no_scenario_is_the_callers_mistake(level, text, tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text(text)
    shown = invoke("sim", level, "--scenario", str(path))
    assert (shown.exit_code, "Traceback" in shown.stderr) == (2, False), shown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("--help",), ("run", "--help")])
def test_output_that_nobody_takes_accuses_neither_store_nor_machine(arguments):
    """A full disk is told as the harness's failure; a reader that went away is not told of anything."""
    command = [sys.executable, "-m", "jepsen_like.main", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (5, "jepsen-like: standard output cannot be written: No space left on device\n")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as unread:
        done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_of_each_command_says_what_its_own_statuses_mean():
    """`shrink` and `report` of an invalid history do their work: 0."""
    shown = {name: " ".join(invoke(name, "--help").output.split()).partition("Exit status: ")[2] for name in cli.commands}
    assert all(text.startswith("0 ") and "5 the harness itself failed" in text for text in shown.values())
    assert "1 something is wrong with the store" in shown["check"]
    assert all("1 something" not in shown[name] for name in ("shrink", "report", "list"))


def test_help_tells_every_exit_status():
    shown = " ".join(invoke("--help").output.split())
    assert all(f"{number} " in shown.partition("Exit status:")[2] for number in range(6))


@pytest.mark.slow
def test_sim_of_members_runs_a_printed_scenario_again(tmp_path):
    """What `shrink` prints is enough to see the failure again."""
    from jepsen_like.sim import runs, swarm

    scenario = swarm.scenario(3, virtual_s=1.0)
    path = tmp_path / "scenario.json"
    path.write_text(scenario.to_json())
    shown = invoke("sim", "--scenario", str(path), "--json")
    assert json.loads(shown.stdout)["trace_hash"] == runs.run(3, virtual_s=1.0).trace_hash


@pytest.mark.parametrize("command", ["run", "report"])
def test_folder_that_cannot_be_made_is_told_in_one_sentence(command, tmp_path):
    """Before anything else is tried there; a file in its place is no folder."""
    history = written(tmp_path, GOOD, workload="register")
    shown = invoke(command, *([str(history)] if command == "report" else ["--members", "1", "--time", "1"]), "--out", str(history / "x"))
    assert (shown.exit_code, shown.stdout) == (2, ""), shown.output
    assert shown.stderr == f"jepsen-like: --out {history / 'x'} cannot be made: Not a directory\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="not available: there is no /dev/full, which is a full disk")
def test_report_on_a_full_disk_is_not_told_as_written(tmp_path):
    """Neither store nor caller is at fault, and there is no page to name."""
    history = written(tmp_path, GOOD, workload="register")
    (tmp_path / "out").mkdir()
    for name in ("report.html", "summary.md"):
        (tmp_path / "out" / name).symlink_to("/dev/full")
    shown = invoke("report", str(history), "--out", str(tmp_path / "out"))
    assert (shown.exit_code, shown.stdout) == (5, ""), shown.output
    assert shown.stderr == f"jepsen-like: [Errno 28] No space left on device: '{tmp_path / 'out' / 'report.html'}'\n"
    assert (tmp_path / "out" / "junit.xml").exists()


def test_page_whose_place_is_taken_is_told_with_its_path(tmp_path):
    history = written(tmp_path, GOOD, workload="register")
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    shown = invoke("report", str(history), "--out", str(tmp_path / "out"))
    assert (shown.exit_code, shown.stdout) == (2, ""), shown.output
    assert shown.stderr == f"jepsen-like: {tmp_path / 'out' / 'report.html'} cannot be written: Is a directory\n"


def test_command_that_does_a_run_again_is_a_shell_s_and_of_that_run_alone(tmp_path):
    """Of `--workload all` each page names its own workload; words with spaces stay one."""
    from jepsen_like import campaign, places
    from jepsen_like.run import Plan

    plan = Plan("txn", 7, tmp_path, 12.5, 150.0, ("kill", "pause"))
    again = campaign._again(plan, places.Own("etcd", "NS", 5, ("--a=b c",)), None, pathlib.Path("out dir"))
    assert again == (
        "jepsen-like run --workload txn --nemesis kill,pause --time 12.5 --rate 150 --members 5 --system etcd --backend NS "
        "'--flag=--a=b c' --seed 7 --out 'out dir'"
    )
    assert "--endpoints a:1,b:1 --seed 7" in campaign._again(plan, places.Own(), "a:1,b:1", tmp_path)


SHRUNK = """
import logging
from jepsen_like import campaign
from jepsen_like.sim import shrinking

def shrink(seed, *, virtual_s):
    logging.getLogger("raftkv").warning("a member says something")
    return "{}"

shrinking.shrink = shrink
raise SystemExit(campaign.shrink_seed(1, core=False, virtual_s=None))
"""


@pytest.mark.slow
def test_members_of_a_seed_that_is_shrunk_log_nowhere():
    done = subprocess.run([sys.executable, "-c", SHRUNK], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "")


def test_all_workloads_and_one_more_are_each_run_once():
    from jepsen_like import campaign

    names = campaign._named(["register", "all", "stale-register"])
    assert names[0] == "register" and names[-1] == "stale-register" and len(names) == len(set(names)) > 8
