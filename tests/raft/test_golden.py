"""Golden scripts: what a member says and does, line by line. `RAFTKV_GOLDEN=rewrite` writes down what it does now."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.raft.script import run_script

SCRIPTS = sorted((Path(__file__).parent / "testdata").glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_run_again_prints_what_stands_in_it(path: Path) -> None:
    """Behaviour a person has read and agreed to does not change unseen."""
    text = path.read_text()
    now = run_script(text)
    if os.environ.get("RAFTKV_GOLDEN") == "rewrite":
        path.write_text(now)
        return
    assert now == text
