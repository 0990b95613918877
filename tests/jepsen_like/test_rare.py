"""Rare states are counted by what members log, and the texts are those that they do log."""

from __future__ import annotations

import pathlib

import raftkv
from jepsen_like import rare


def test_states_are_counted_by_their_lines_and_nothing_else_is():
    """Half a line of a killed process, and what is no JSON, are passed over."""
    lines = [
        '{"level":"info","msg":"applied database snapshot","snapshot-index":7}',
        '{"level":"info","msg":"applied database snapshot","snapshot-index":9}',
        '{"level":"info","msg":"failpoint","name":"raftBeforeSave","action":"panic"}',
        '{"level":"info","msg":"applied a membership change"}',
        '{"level":"info","msg":"lost lea',
        "panic: failpoint raftBeforeSave",
        "7",
    ]
    assert rare.met(lines) == {"failpoint raftBeforeSave": 1, "snapshot_applied": 2}


def test_texts_that_are_looked_for_are_logged_somewhere():
    """A message that is reworded would make its state one that is never met."""
    sources = "".join(path.read_text() for path in sorted(pathlib.Path(raftkv.__file__).parent.rglob("*.py")))
    missing = [text for text in (*rare.RARE.values(), rare.FAILPOINT) if f'("{text}"' not in sources]
    assert not missing
