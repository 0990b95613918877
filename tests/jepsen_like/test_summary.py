"""The page of a full set: everything counted once, what is not valid named with its reason, bad lines refused by place."""

from __future__ import annotations

import json
import pathlib

import pytest
from click.testing import CliRunner

from jepsen_like import summary
from jepsen_like.main import cli

CORE = {
    "seed": 1,
    "verdict": "valid",
    "virtual_s": 60.0,
    "wall_s": 0.5,
    "ops": 2500,
    "faults": {"isolate": 3},
    "reached": {"log_cut": 2},
    "rule": "",
}
SERVER = {"seed": 1, "verdict": "valid", "virtual_s": 60.0, "wall_s": 6.0, "ops": 9000, "faults": {"kill": 12}, "reached": {"log_cut": 1}}
RUN = {
    "verdict": "valid",
    "ops": 9000,
    "ok": 8000,
    "unknown": 7,
    "workload": "register",
    "nemesis": ["kill", "pause"],
    "seed": 5,
    "faults": {"verified": 11, "skipped": 1},
    "reasons": [],
}


def test_page_of_valid_lines_counts_each_once():
    """Virtual hours, speed and calls are sums over all seeds; a run's row says where it took place and what was seen."""
    text = summary.page({"core": [CORE, CORE | {"seed": 2}], "server": [SERVER], "namespaces": [RUN]}, "On two cores.")
    assert "**Nothing wrong was found: 4 of 4 are valid.**\n\nOn two cores." in text
    assert "| core | 1–2 (2) | 2 valid | 0.0 | 120.0 | 5 000 |" in text
    assert "| server | 1–1 (1) | 1 valid | 0.0 | 10.0 | 9 000 |" in text
    assert "| namespaces | register | kill, pause | valid | 9 000 | 8 000 | 7 | 11 | 0 | 1 |" in text
    assert "| log cut | 2 | 4 |" in text
    assert "| isolate | 2 | 6 |" in text
    assert "| kill | 1 | 12 |" in text
    assert "Not valid" not in text


def test_page_of_doubtful_lines_names_each_with_its_reason():
    """An invalid seed decides the sentence; rejected ones are listed, too, and never counted as valid."""
    wrong = CORE | {"seed": 3, "verdict": "invalid", "rule": "two leaders in term 4"}
    empty = RUN | {"verdict": "rejected", "reasons": ["no call overlaps a fault"]}
    idle = SERVER | {"seed": 6, "verdict": "rejected", "reasons": ["only 77 operations completed"]}
    text = summary.page({"core": [CORE, wrong], "proxies": [empty], "server": [idle]}, "")
    assert "**1 of 4 found something wrong.**" in text
    assert "- server simulation, seed 6: rejected: only 77 operations completed" in text
    assert "- core simulation, seed 3: invalid: two leaders in term 4" in text
    assert "- run of register, seed 5: rejected: no call overlaps a fault" in text
    assert "1 of 2 are valid; 1 proved nothing" in summary.page({"core": [CORE], "proxies": [empty]}, "")


@pytest.mark.parametrize("verdicts, status", [(["valid", "rejected"], 0), (["valid", "invalid"], 1), (["rejected"], 3), ([], 3)])
def test_command_of_lines_ends_as_they_say(tmp_path: pathlib.Path, verdicts: list[str], status: int):
    """One wrong seed fails the whole; only where nothing is valid nothing was proved."""
    path = tmp_path / "core.jsonl"
    path.write_text("".join(json.dumps(CORE | {"verdict": verdict}) + "\n" for verdict in verdicts), encoding="utf-8")
    result = CliRunner().invoke(cli, ["summary", str(path), "--out", str(tmp_path / "page.md")])
    assert result.exit_code == status
    assert (tmp_path / "page.md").read_text(encoding="utf-8").startswith("# The full set")


@pytest.mark.parametrize("text, words", [("{", "core.jsonl:1: not JSON"), ('{"seed": 1}', "core.jsonl:1: not a line of `sim --json`")])
def test_command_of_a_bad_line_names_its_place(tmp_path: pathlib.Path, text: str, words: str):
    """A cut or foreign file is never summed up as if it were whole."""
    path = tmp_path / "core.jsonl"
    path.write_text(text + "\n", encoding="utf-8")
    result = CliRunner().invoke(cli, ["summary", str(path)])
    assert result.exit_code == 2
    assert words in result.output
