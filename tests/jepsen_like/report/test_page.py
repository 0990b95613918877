"""The page holds what the run held, loads nothing, trusts no text, and shows the verdict whatever breaks."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from typing import Any

import pytest

from jepsen_like import ledger, report
from jepsen_like.checker.verdict import Anomaly, Verdict
from jepsen_like.history import FAIL, OK, UNKNOWN, History, KeyValue, Mark, Operation, Watch, WatchResponse
from jepsen_like.ledger import FaultRecord
from jepsen_like.report.figure import figure
from jepsen_like.report.numbers import numbers
from jepsen_like.report.packing import OPERATIONS_MAX, lanes_of, timeline
from jepsen_like.report.page import page, rule
from jepsen_like.report.printable import printable
from tests.jepsen_like.reported import sample

EVIL = "</script><img src=x onerror=alert(1)>\"'&<b>\u2028"


class _Page(HTMLParser):
    """Elements, attributes and texts outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self._inside == "script" else self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    @property
    def data(self) -> dict[str, Any]:
        found = json.loads(self.scripts[0])
        assert isinstance(found, dict)
        return found


def _unpacked(text: str) -> list[int]:
    values, value, shift = [], 0, 0
    for byte in base64.b64decode(text):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            value = shift = 0
    return values


def test_page_of_a_run_shows_all_its_parts() -> None:
    """Verdict, sentence, proof, faults asked for and seen, errors, seed and the way to run it again."""
    history, verdict = sample(500)
    shown = _Page(page(history, verdict, {"workload": "register", "seed": 7, "replay": "jepsen-like sim --seed 7"}))
    for words in ("INVALID", verdict.anomalies[0].explanation, "1204 packets dropped", "no tmpfs without root", "unverified", "skipped"):
        assert words in shown.text
    for words in ("etcdserver: leader changed at #", "jepsen-like sim --seed 7", "a snapshot was sent twice", "stale-read", "p99 ms"):
        assert words in shown.text
    assert sum(tag == "svg" for tag, _attributes in shown.tags) == 6
    assert sum(tag == "canvas" for tag, _attributes in shown.tags) == 2
    assert "Could not draw" not in shown.text


def test_page_loads_nothing_from_anywhere() -> None:
    """It opens from a disk, years later, and tells nobody that it was read."""
    history, verdict = sample(200)
    text = page(history, verdict, {})
    shown = _Page(text)
    for tag, attributes in shown.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag
        assert not {"src", "srcset", "action", "background", "poster"} & set(attributes), (tag, attributes)
    assert not re.findall(r"https?:|@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_page_with_texts_that_are_markup_shows_them_as_text() -> None:
    """Keys, values, errors, faults and seeds come from anywhere."""
    get = Operation(1, "get", EVIL, 0, KeyValue(EVIL, EVIL, 2, 2, 1), 5, 9, OK, 2, EVIL)
    put = Operation(2, "put", EVIL, EVIL, None, 6, 8, UNKNOWN, 0, EVIL, EVIL)
    marks = [
        FaultRecord(EVIL, 1, 2, (EVIL,), EVIL, True, EVIL, "", EVIL).to_mark(),
        FaultRecord(EVIL, 1, 2, skipped=EVIL).to_mark(),
        ledger.leader(EVIL, 1, 1),
        ledger.member_state(EVIL, EVIL, 1, 2),
        ledger.phase(EVIL, 1, 2),
        ledger.clock(EVIL, 1.0, 2),
        ledger.reached(EVIL, 1, 2),
        Mark(EVIL, 1, 2, EVIL),
    ]
    watches = [Watch(1, 9, EVIL, EVIL, 2, 3, EVIL)]
    history = History([get, put], watches, [WatchResponse(1, 4, 2, reason=EVIL)], marks, {EVIL: EVIL})
    verdict = Verdict((Anomaly(EVIL, EVIL, (get, put, watches[0]), (EVIL,)),), 1, (EVIL,), 2)
    about = {"workload": EVIL, "nemesis": [EVIL], "replay": [EVIL], "rejected": [EVIL], EVIL: {EVIL: EVIL}}
    text = page(history, verdict, about)
    shown = _Page(text)
    assert text.count("<script") == 2
    assert not {"img", "b"} & {tag for tag, _attributes in shown.tags}
    assert not [attributes for _tag, attributes in shown.tags if any(name.startswith("on") for name in attributes)]
    assert shown.data["keys"][1] == printable(EVIL[:60])
    assert "Could not draw" not in shown.text


BROKEN = {
    "times that go backwards": History([Operation(1, "get", "a", 0, None, 9, 5, OK)]),
    "values of no known shape": History([Operation(1, "get", "a", object(), {"x": {1, 2}}, 1, 2, OK, "r")]),  # type: ignore[arg-type]
    "times that are no numbers": History([Operation(1, "get", "a", 0, None, None, 2, OK)]),  # type: ignore[arg-type]
    "outcomes nobody knows": History([Operation(1, "get", "a", 0, None, 1, 2, "perhaps")]),
    "marks without a shape": History(
        [], [], [], [Mark("fault", 5, 1, 7), Mark("leader", 1, 2, ["n1"]), Mark("clock", 1, 2, {"offset_s": "x"})]
    ),
    "nothing": History(),
    "records that are no records": History([None]),  # type: ignore[list-item]
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_report_of_a_broken_history_still_shows_the_verdict(name: str, tmp_path: pathlib.Path) -> None:
    """Rendering never fails the run and never hides what was found."""
    verdict = Verdict((Anomaly("stale-read", "it saw what had been overwritten", (None, 7)),), 1, (), 3)  # type: ignore[arg-type]
    target = report.write_report(BROKEN[name], verdict, tmp_path, {"seed": object()})
    shown = _Page(target.read_text(encoding="utf-8"))
    assert "INVALID" in shown.text
    assert "it saw what had been overwritten" in shown.text
    suite = ElementTree.fromstring((tmp_path / "junit.xml").read_text(encoding="utf-8"))
    assert len(list(suite.iter("failure"))) == 1
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["verdict"] == "invalid"


def test_report_that_cannot_be_written_is_the_callers_to_tell(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotADirectoryError, match="file/below/report.html"):
        report.write_report(History(), Verdict(), tmp_path / "file" / "below", {})
    assert report.write_index(tmp_path / "file") and "index.html could not be written: File exists" in capsys.readouterr().err


def test_page_of_a_rejected_run_does_not_look_valid() -> None:
    """Nothing found in a run that tried nothing is no proof."""
    shown = _Page(page(History(), Verdict(), {"rejected": ["only 3 calls"]}))
    assert "REJECTED" in shown.text
    assert "only 3 calls" in shown.text
    assert "VALID" in _Page(page(History(), Verdict(checked=5), {})).text
    assert "UNKNOWN" in _Page(page(History(), Verdict(reasons=("ran out of steps",)), {})).text


def test_timeline_unpacks_to_the_operations() -> None:
    """What the script reads is what was recorded."""
    history, verdict = sample(300)
    counted = numbers(history)
    data = timeline(history, verdict, counted)
    columns = {name: _unpacked(text) for name, text in data["columns"].items()}
    operations = sorted(history.operations, key=lambda one: one.invoke_ns)
    assert data["count"] == len(operations) == len(columns["at"])
    at = revision = 0
    for place, one in enumerate(operations):
        at += columns["at"][place]
        assert at == (one.invoke_ns - counted.start_ns) // 1000
        assert columns["took"][place] == (one.complete_ns - one.invoke_ns) // 1000
        assert (data["calls"][columns["call"][place] // 3], (OK, UNKNOWN, FAIL)[columns["call"][place] % 3]) == (one.f, one.outcome)
        assert data["keys"][columns["key"][place]] == one.key
        assert data["members"][columns["member"][place]] == one.member
        if one.revision:
            step = columns["revision"][place]
            revision += step // 2 if step % 2 == 0 else -(step + 1) // 2
            assert revision == one.revision


def test_lanes_hold_one_call_at_a_time_and_are_few() -> None:
    """A client that goes on under a new number keeps a lane; the screen does not fill with dead ones."""
    operations = sorted(sample(3_000)[0].operations, key=lambda one: one.invoke_ns)
    lanes, count = lanes_of(operations)
    assert count < 20 < len({one.process for one in operations})
    ended: dict[int, int] = {}
    for one, lane in zip(operations, lanes, strict=True):
        assert ended.get(lane, 0) <= one.invoke_ns
        ended[lane] = one.complete_ns


def test_outage_is_named_with_its_faults() -> None:
    """Two seconds of failures under a kill."""
    second = 1_000_000_000
    calls = [
        Operation(1, "get", "a", 0, None, at * second // 10, at * second // 10 + 5, OK if at < 20 or at > 40 else FAIL) for at in range(60)
    ]
    marks = [FaultRecord("kill", 2 * second, 4 * second, ("n1",), verified=True).to_mark()]
    counted = numbers(History(calls, marks=marks))
    assert [(one.start_ns // second, one.end_ns // second, one.cause) for one in counted.outages] == [(1, 4, "kill (n1)")]
    assert counted.outages[0].attempts == 22
    assert counted.overlapping == pytest.approx(21 / 60)
    assert counted.outcomes == {OK: 39, FAIL: 21}
    assert counted.latency[""].top == 5


def test_junit_of_every_outcome_passes_only_valid_runs(tmp_path: pathlib.Path) -> None:
    """An unknown or a rejected run is no pass; a skipped fault is seen."""
    anomaly = Anomaly("G1a", f"it read\x00 {EVIL}")
    cases: list[tuple[Verdict, dict[str, Any], tuple[int, int]]] = [
        (Verdict(), {}, (0, 0)),
        (Verdict((anomaly,), 1), {}, (1, 0)),
        (Verdict(reasons=(EVIL,)), {}, (0, 1)),
        (Verdict(), {"rejected": ["too few"]}, (0, 1)),
    ]
    history = History(marks=[FaultRecord("netem", 0, 0, skipped="no kernel module").to_mark()])
    for place, (verdict, about, (failures, errors)) in enumerate(cases):
        report.write_report(history, verdict, tmp_path / str(place), about)
        suite = ElementTree.fromstring((tmp_path / str(place) / "junit.xml").read_text(encoding="utf-8"))
        assert (len(list(suite.iter("failure"))), len(list(suite.iter("error")))) == (failures, errors)
        assert len(list(suite.iter("skipped"))) == 1
        assert (tmp_path / str(place) / "summary.md").read_text(encoding="utf-8").startswith("### run: **")


def test_index_links_the_runs_below_it(tmp_path: pathlib.Path) -> None:
    history, verdict = sample(50)
    report.write_report(history, verdict, tmp_path / "one", {"workload": "register", "nemesis": EVIL, "seed": 1})
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "run.json").write_text(json.dumps({"verdict": "valid", "workload": "set", "nemesis": ["kill"], "ops": 5}))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    shown = _Page(report.write_index(tmp_path).read_text(encoding="utf-8"))
    links = [attributes["href"] for tag, attributes in shown.tags if tag == "a"]
    assert links == ["one/report.html"]
    assert "2 runs" in shown.text
    assert EVIL.strip() in shown.text


def test_rule_broken_by_an_anomaly_is_the_closest_named() -> None:
    assert [rule(kind) for kind in ("watch-atomic", "watch-header", "lock-overlap", "stale-read", "lockstep")] == [
        "W4",
        "W3",
        "L5",
        "K4",
        "K4",
    ]


@pytest.mark.slow
def test_page_of_a_hundred_thousand_calls_stays_under_two_megabytes() -> None:
    """More are thinned, those without success last; the anomalies' own always stay."""
    history, verdict = sample(130_000)
    text = page(history, verdict, {})
    assert len(text.encode()) < 2_000_000
    data = _Page(text).data
    assert OPERATIONS_MAX * 0.4 < data["count"] <= OPERATIONS_MAX
    assert data["total"] == 130_000
    outcomes = [value % 3 for value in _unpacked(data["columns"]["call"])]
    assert outcomes.count(1) == sum(one.outcome == UNKNOWN for one in history.operations)


def test_what_is_no_printable_text_is_shown_by_its_escape() -> None:
    """A page is a text file, whatever bytes a key holds."""
    call = Operation(1, "get", "a\x00b\x1b[2J\u202e\ud800", 0, None, 1_000, 2_000, "ok", 3)
    html = page(History([call]), Verdict((Anomaly("stale-read", "key \x00 is stale", (call,), (call.key,)),), 1), {"seed": "\x7f"})
    assert not [one for one in html if ord(one) < 32 and one not in "\n\t"] and not {"\x7f", "\u202e", "\ud800"} & set(html)
    assert "a\\x00b\\x1b[2J\\u202e\\ud800" in html and "key \\x00 is stale" in html
    html.encode()


def test_page_names_every_key_of_the_proof_and_how_many_anomalies_are_not_drawn() -> None:
    write = Operation(1, "txn", "", ((), (("put", "r/07", "x"), ("get", "r/06")), ()), None, 1, 2, "unknown")
    read = Operation(2, "get", "r/08", 0, None, 3, 4, "ok", 3)
    anomaly = Anomaly("revision-reused", "again", (write, read), ("r/08",))
    html = page(History([write, read]), Verdict((anomaly,) * 9, 9), {})
    assert "Keys: <code>r/08, r/07, r/06</code>." in html
    assert "Only the first 6 are drawn; 3 shown after them have no drawing." in html and html.count('<svg class="figure"') == 6
    assert "have no drawing" not in page(History([write, read]), Verdict((anomaly,) * 6, 6), {})


def test_words_of_a_drawing_stand_where_no_arrow_passes() -> None:
    """Beside the bars' own names, which end within them, all of it is below the lanes."""
    write = Operation(1, "put", "r/07", "x" * 60, (), 1_000_000, 2_000_000, "ok", 7)
    read = Operation(2, "get", "r/07", 0, None, 3_000_000, 4_000_000, "ok", 6)
    drawn = figure(Anomaly("stale-read", "old", (write, read)), 0)
    lowest = max(int(y) for y in re.findall(r'd="M\d+ (\d+)Q', drawn) + re.findall(r' (\d+)"/>', drawn.partition('class="arrow"')[2]))
    below = [int(y) for y in re.findall(r'class="answer" x="4" y="(\d+)"', drawn)]
    assert len(below) == 3 and min(below) > lowest + 10 and "1 was before 2" in drawn
    assert all(len(name) <= 20 for name in re.findall(r'class="call"[^>]*>([^<]*)<', drawn))
