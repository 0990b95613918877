"""Runs, checks and pages say the same of one history, and what a run refused to call valid stays refused."""

from __future__ import annotations

import gzip
import json
import pathlib

import pytest
from click.testing import CliRunner, Result

from jepsen_like import campaign, judgement, ledger, run
from jepsen_like.history import FAIL, OK, UNKNOWN, History, HistoryWriter, KeyValue, Operation, load_file
from jepsen_like.ledger import FaultRecord
from jepsen_like.main import cli
from jepsen_like.workload import catalog, keyspace

MILLISECOND = 1_000_000


def puts(count: int) -> list[Operation]:
    """So many acknowledged writes of one key, one a millisecond."""
    return [
        Operation(0, "put", "k", str(at), (), at * MILLISECOND, at * MILLISECOND + 10, OK, 2 + at, "n1") for at in range(count)
    ]  # fmt: skip


def unknowns(count: int, start: int) -> list[Operation]:
    return [
        Operation(100 + at, "get", "k", 0, None, (start + at) * MILLISECOND, (start + at) * MILLISECOND + 10, UNKNOWN)
        for at in range(count)
    ]


def hashes(*values: int) -> list[Operation]:
    """One answer a member, at one revision."""
    return [Operation(1 + at, "hashkv", "", 50, (value, -1), 10**12, 10**12 + 10, OK, 50, f"n{at + 1}") for at, value in enumerate(values)]


STAMP = {"workload": "register", "nemesis": [], "seed": 7, "time_s": 1.0}
READ = Operation(9, "get", "k", 0, KeyValue("k", "99", 2, 101, 100), 10**11, 10**11 + 10, OK, 101, "n1")
GOOD = [*puts(100), READ, *hashes(5, 5, 5)]
REFUSED = [Operation(at, "get", "k", 0, None, at, at + 1, FAIL, error="connection refused") for at in range(293)]


def written(path: pathlib.Path, operations: list[Operation], about: dict[str, object]) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        writer = HistoryWriter(stream, about)
        for one in operations:
            writer.write(one)
        writer.close()
    return path


def invoke(*arguments: str | pathlib.Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), prog_name="jepsen-like")


CASES = {
    "good": (GOOD, "valid", 0, ""),
    "another hash": ([*puts(100), *hashes(5, 6, 5)], "invalid", 1, "n1 has hash 5 and n2 has hash 6"),
    "one hash alone": ([*puts(100), *hashes(5)], "unknown", 3, "no hash of n1 could be compared"),
    "nobody knows": ([*puts(100), *unknowns(14, 200), *hashes(5, 5, 5)], "rejected", 3, "too much is not known: 14 of 117"),
    "nobody there": (REFUSED, "rejected", 3, "too little was tried: 0 calls"),
    "nothing": ([], "rejected", 3, "too little was tried"),
}


@pytest.mark.parametrize("case", CASES)
def test_run_check_and_report_say_the_same_of_a_history(case, tmp_path):
    """What a run is refused for cannot be washed away by judging its history again."""
    operations, outcome, status, said = CASES[case]
    path = written(tmp_path / "run" / run.HISTORY_FILE, operations, STAMP)
    plan = run.Plan("register", 7, path.parent, 1.0)
    told = run.judge(plan, load_file(path))
    assert (told.verdict, said in " ".join(told.reasons)) == (outcome, True)
    checked = invoke("check", path, "--json")
    again = json.loads(checked.stdout)
    assert checked.exit_code == status
    assert {**again, "report": ""} == json.loads(run.Result(**{**json.loads(told.line()), "report": ""}).line())
    before = (path.parent / "report.html").read_text()
    assert invoke("report", path).exit_code == 0
    assert outcome.upper() in before
    assert (path.parent / "report.html").read_text() == before
    assert said in invoke("check", path).stdout


def test_another_hash_is_called_by_its_name(tmp_path):
    path = written(tmp_path / "history.jsonl", CASES["another hash"][0], STAMP)
    assert json.loads(invoke("check", path, "--json").stdout)["kinds"] == ["hash-divergence"]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"workload": "register", "nemesis": []}, "whether enough was tried"),
        ({"workload": "register", "time_s": 1.0}, "whether the faults worked"),
    ],
)
def test_rules_that_an_old_stamp_cannot_feed_are_named(about, said, tmp_path):
    """An old history may still be valid, and its reader learns what was not looked at."""
    path = written(tmp_path / "history.jsonl", GOOD, about)
    assert said in json.loads(invoke("check", path, "--json").stdout)["reasons"][0]
    assert invoke("check", path).exit_code == 0
    invoke("report", path)
    assert said in (tmp_path / "report.html").read_text()
    assert said in (tmp_path / "summary.md").read_text()


def test_history_without_one_answer_proves_nothing_whatever_its_stamp(tmp_path):
    path = written(tmp_path / "history.jsonl", REFUSED, {"workload": "register"})
    assert json.loads(invoke("check", path, "--json").stdout)["verdict"] == "rejected"


def test_fault_asked_for_and_never_done_rejects_a_check_as_well(tmp_path):
    path = written(tmp_path / "history.jsonl", GOOD, {**STAMP, "nemesis": ["pause"]})
    assert "none of the faults pause was injected" in invoke("check", path).stdout


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(judgement.UNAVAILABLE, "rejected"), (judgement.NOT_RECOVERED, "invalid")],
)
def test_what_a_run_found_by_itself_is_judged_from_its_history(kind, outcome):
    history = History(GOOD, marks=[judgement.note_of(kind, "no answer within 30 s", 5)], about=STAMP)
    judged = judgement.judge(history)
    assert judged.outcome == outcome
    assert "no answer within 30 s" in judged.reasons


def test_page_is_not_replaced_by_one_that_says_something_else(tmp_path):
    """Neither by another verdict on the same history, nor by the page of another history beside it."""
    path = written(tmp_path / "history.jsonl", CASES["nobody knows"][0], STAMP)
    run.judge(run.Plan("register", 7, tmp_path, 1.0), load_file(path))
    before = (tmp_path / "report.html").read_text()
    small = written(tmp_path / "history.small.jsonl", CASES["nobody knows"][0], STAMP)
    written(path, GOOD, STAMP)
    for file, said in ((path, "says rejected"), (small, "is of history.jsonl")):
        shown = invoke("report", file)
        assert (shown.exit_code, said in shown.stderr) == (2, True), shown.stderr
        assert (tmp_path / "report.html").read_text() == before
        assert invoke("report", file, "--out", tmp_path / "else").exit_code == 0


def test_stamp_of_a_plan_holds_all_that_judging_again_needs():
    stamp = run.Plan("register", 7, pathlib.Path(), 12.5, nemesis=("kill", "pause"), about={"raftkv": "1"}).stamp
    judged = judgement.judge(History(marks=[ledger.note({keyspace.BASE: 1}, 1)], about=json.loads(json.dumps(stamp))))
    assert (judged.workload, judged.nemesis, judged.seed, judged.time_s, judged.left_out) == ("register", ("kill", "pause"), 7, 12.5, ())


def cut(path: pathlib.Path) -> pathlib.Path:
    """The file as a killed run leaves it: no end, and half a line."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]) + '["op",0,"pu')
    return path


SECOND = 1_000_000_000
LONG = [
    Operation(0, "put", "k", str(at), (), at * SECOND, at * SECOND + 10, OK, 2 + at, "n1") for at in range(60)
]  # fmt: skip


def stale(at_s: int) -> Operation:
    """A read of the first value."""
    return Operation(1, "get", "k", 0, KeyValue("k", "0", 2, 2, 1), at_s * SECOND + 100, at_s * SECOND + 200, OK, 2 + at_s, "n2")


def test_history_without_its_end_is_never_valid_and_says_so(tmp_path):
    path = cut(written(tmp_path / "history.jsonl", LONG, STAMP))
    shown = invoke("check", path)
    assert shown.exit_code == 3
    assert shown.stdout.startswith("rejected") and "has no end: its run was cut short" in shown.stdout
    assert invoke("report", path).exit_code == 0
    assert "REJECTED" in (tmp_path / "report.html").read_text()


def test_anomaly_of_a_history_without_its_end_is_found_and_shrunk(tmp_path):
    path = cut(written(tmp_path / "history.jsonl", [*LONG[:31], stale(30), *LONG[31:]], STAMP))
    shown = invoke("check", path)
    assert (shown.exit_code, shown.stdout.split(":")[0]) == (1, "invalid"), shown.stdout
    assert "1 anomal" in shown.stdout or "stale" in shown.stdout
    assert invoke("shrink", path).exit_code == 0
    assert invoke("check", tmp_path / "history.small.jsonl").exit_code == 1


def test_what_a_missing_call_can_explain_is_no_anomaly(tmp_path):
    """A value nobody is known to have written: its writer was under way when the run was cut."""
    read = Operation(1, "get", "k", 0, KeyValue("k", "of a lost call", 2, 62, 61), 59 * SECOND + 100, 59 * SECOND + 200, OK, 62, "n2")
    path = cut(written(tmp_path / "history.jsonl", [*LONG, read], STAMP))
    assert invoke("check", path).exit_code == 3


def test_writes_at_the_end_of_a_cut_history_may_have_happened_or_not():
    """The last record is of 59 s: what is missing began at 54 s or later, or at 47 s where calls last six seconds."""
    for took_s, begun_s in ((2, 54), (6, 47)):
        slow = Operation(5, "put", "k", "slow", (), (begun_s - 1) * SECOND, (begun_s - 1 + took_s) * SECOND, OK, 70, "n1")
        read = Operation(6, "get", "k", 0, None, (begun_s - 1) * SECOND, (begun_s + 1) * SECOND, OK, 70, "n1")
        kept = judgement.certain(History([*LONG, slow, read], whole=False)).operations
        known = [one for one in kept if one.outcome == OK]
        assert known == LONG[:begun_s]
        assert [(one.argument, one.revision) for one in kept if one.outcome == UNKNOWN] == [(str(begun_s), 0), ("slow", 0)]


def test_whole_history_is_certain_to_its_end():
    assert judgement.certain(History(LONG)).operations == LONG


def test_cluster_that_was_not_there_is_one_sentence():
    history = History(REFUSED, marks=[judgement.note_of(judgement.UNAVAILABLE, "the cluster was not available", 5)], about=STAMP)
    assert judgement.judge(history).reasons == ("the cluster was not available",)


def test_interrupted_run_with_an_anomaly_accuses_the_store(tmp_path, capsys):
    """What was seen is wrong however the run would have gone on."""
    cut(written(tmp_path / run.HISTORY_FILE, [*LONG[:31], stale(30), *LONG[31:]], STAMP))
    assert campaign._print_interrupted(run.Plan("register", 7, tmp_path, 1.0), as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "invalid"
    assert json.loads((tmp_path / "run.json").read_text())["verdict"] == "invalid"
    assert campaign._print_interrupted(run.Plan("register", 7, tmp_path / "none", 1.0), as_json=True) == 0


@pytest.mark.parametrize("command", ["check", "report", "shrink"])
def test_call_that_the_checks_do_not_know_is_refused_by_name_and_line(command, tmp_path):
    """Passed over, it would be proved right by nobody having looked."""
    path = written(tmp_path / "history.jsonl", [*puts(2), Operation(9, "frobnicate", "k", 0, None, 10**9, 10**9 + 1, OK, 9)], STAMP)
    shown = invoke(command, path)
    assert shown.exit_code == 2, shown.output
    assert "line 4: the checks of register do not know the call 'frobnicate'" in shown.stderr


@pytest.mark.parametrize("command", ["check", "report", "shrink"])
def test_call_that_only_some_of_its_name_make_unknown_is_refused_by_its_own_line(command, tmp_path):
    """The search on single keys knows deletes, and would find values missing that a delete of a range took."""
    ranged = Operation(9, "delete", "k", "l", 1, 10**9, 10**9 + 1, OK, 9)
    single = Operation(8, "delete", "k", "", 1, 10**8, 10**8 + 1, OK, 8)
    path = written(tmp_path / "history.jsonl", [*puts(2), single, ranged], {**STAMP, "workload": "txn"})
    shown = invoke(command, path, "--workload", "register")
    assert shown.exit_code == 2, shown.output
    assert "line 5: the checks of register do not know the call 'delete of a range'" in shown.stderr


@pytest.mark.parametrize(("own", "other"), [("lock", "unfenced-lock"), ("election", "unfenced-lock"), ("unfenced-lock", "lock")])
def test_history_of_calls_that_promise_something_else_is_refused(own, other, tmp_path):
    """Writes that a token guards and writes that nothing guards have one name, and no call tells them apart."""
    calls = [Operation(0, "acquire", "l", 0, 5, 1, 2, OK, 5), Operation(0, "guarded", "l", 5, None, 3, 4, OK, 6)]
    path = written(tmp_path / "history.jsonl", calls, {**STAMP, "workload": own})
    shown = invoke("check", path, "--workload", other)
    assert (shown.exit_code, f"the history is one of {own}" in shown.stderr) == (2, True), shown.output
    assert invoke("check", path).exit_code != 2


def test_history_of_another_workload_is_refused(tmp_path):
    shown = invoke("check", written(tmp_path / "history.jsonl", GOOD, STAMP), "--workload", "lock")
    assert (shown.exit_code, "the checks of lock do not know the call 'put'" in shown.stderr) == (2, True)


def test_history_in_which_nothing_of_the_workload_was_judged_is_rejected(tmp_path):
    """That all members have one hash says nothing of locks; nor do writes of watchers that were shown nothing."""
    gets = [one._replace(f="get", argument=0, result=None) for one in puts(100)]
    for name, operations in (("lock", [*gets, *hashes(5, 5, 5)]), ("watch", GOOD), ("membership", GOOD), ("lease", GOOD)):
        path = written(tmp_path / name / "history.jsonl", operations, {**STAMP, "workload": name})
        shown = invoke("check", path)
        assert (shown.exit_code, f"nothing of {name} was judged" in shown.stdout) == (3, True), shown.output


def test_every_call_that_a_workload_makes_is_known_to_its_checks():
    """Of the names that histories define, each is some workload's."""
    from jepsen_like import shapes

    for f in shapes.CALLS:
        assert any(entry.knows(f) for entry in catalog.WORKLOADS), f


def damaged(path: pathlib.Path) -> tuple[int, str]:
    shown = invoke("check", path)
    return shown.exit_code, shown.stderr


def test_packed_history_that_cannot_be_unpacked_is_damaged(tmp_path):
    """Cut, or never packed: neither is a fault of the machine or of the harness."""
    packed = gzip.compress(written(tmp_path / "history.jsonl", GOOD, STAMP).read_bytes())
    path = tmp_path / "history.jsonl.gz"
    for data in (packed[:-20], b'{"history": 1, "about": {}}', packed[:20] + b"junk" * 9):
        path.write_bytes(data)
        status, said = damaged(path)
        assert (status, "cannot be unpacked" in said) == (2, True), said


def test_fault_that_was_never_begun_is_named_wherever_a_run_is_told(tmp_path):
    """The run counts for the one that met it, and says plainly which did not."""
    marks = [
        FaultRecord("pause", 20 * MILLISECOND, 40 * MILLISECOND, ("n1",), "", True, "state T").to_mark(),
        FaultRecord("kill", 90 * MILLISECOND, 90 * MILLISECOND, skipped="not drawn in 12 s").to_mark(),
    ]
    plan = run.Plan("register", 7, tmp_path, 1.0, nemesis=("pause", "kill"))
    result = run.judge(plan, History(GOOD, marks=marks, about=plan.stamp))
    assert (result.verdict, json.loads(result.line())["not_injected"]) == ("valid", ["kill: not drawn in 12 s"])
    page, junit, summary = ((tmp_path / name).read_text() for name in ("report.html", "junit.xml", "summary.md"))
    assert "not injected: kill: not drawn in 12 s" in page.partition("</header>")[0]
    assert '<skipped message="not drawn in 12 s"/>' in junit and "not injected: kill: not drawn in 12 s" in summary


@pytest.mark.parametrize(("members", "told"), [(("n1",), True), (("n1", "n2"), False)])
def test_positive_control_at_one_endpoint_says_that_it_could_find_nothing(members, told):
    """A member always answers with the newest it has: alone, no read of it is stale, and `valid` would mislead."""
    operations = [one._replace(member=members[at % len(members)]) for at, one in enumerate(puts(100))]
    judged = judgement.judge(History(operations, about={**STAMP, "workload": "stale-register"}))
    assert any("a single endpoint cannot show stale reads" in reason for reason in judged.reasons) is told
    assert not any("stale" in reason for reason in judgement.judge(History(operations, about=STAMP)).reasons)
