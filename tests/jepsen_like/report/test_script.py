"""The page's script draws what is in view and no more. Needs node; the page itself does not."""

from __future__ import annotations

import importlib.resources
import json
import pathlib
import shutil
import subprocess

import pytest

from jepsen_like.report.numbers import numbers
from jepsen_like.report.packing import timeline
from tests.jepsen_like.reported import sample

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")]


def test_script_draws_the_viewport_and_no_more(tmp_path: pathlib.Path) -> None:
    """A frame costs what the screen holds: all lanes' pixels at most from afar, the calls in view when near."""
    history, verdict = sample(40_000)
    counted = numbers(history)
    data = timeline(history, verdict, counted)
    (tmp_path / "data.json").write_text(json.dumps(data), encoding="utf-8")
    script = importlib.resources.files("jepsen_like.report").joinpath("page.js")
    screen = pathlib.Path(__file__).with_name("screen.js")
    with importlib.resources.as_file(script) as path:
        command = ["node", str(screen), str(tmp_path / "data.json"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    whole, near, _nearest = told["seen"]
    lanes = data["lanes"]
    assert whole[2] < 2 * lanes * 1000 < 40_000
    assert told["after"] == whole[2]
    start, end = (int(counted.start_ns + place * 1_000) for place in near[:2])
    in_view = sum(one.invoke_ns <= end and one.complete_ns >= start for one in history.operations)
    assert in_view - lanes <= near[2] <= in_view + lanes
