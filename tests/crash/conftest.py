"""How hard the crash tests are: a few rounds by default, all that the project promises with `--crash-full`."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from jepsen_like.cluster.member import ROOT

REPORTS = ROOT / "build" / "crash"


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often each thing is done, and under which timing."""

    kills: int
    power_cuts: int
    flags: tuple[str, ...]


SHORT = Rounds(kills=5, power_cuts=2, flags=("--heartbeat-interval=50", "--election-timeout=500"))
FULL = Rounds(kills=50, power_cuts=20, flags=())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known only when this folder is named on the command line; `RAFTKV_CRASH_FULL=1` works from everywhere."""
    parser.addoption("--crash-full", action="store_true", help="50 kills and 20 power cuts in a row instead of a few")


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> Rounds:
    """See the module."""
    full = pytestconfig.getoption("crash_full", default=False) or os.environ.get("RAFTKV_CRASH_FULL") == "1"
    return FULL if full else SHORT


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], None]:
    """Writes a test's figures to build/crash, as JSON for programs and as Markdown for people."""

    def write(figures: dict[str, Any]) -> None:
        REPORTS.mkdir(parents=True, exist_ok=True)
        name = f"{request.cls.__name__}.{request.node.name}" if request.cls else request.node.name
        (REPORTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        rows = "".join(f"| {key.replace('_', ' ')} | {value} |\n" for key, value in figures.items() if not isinstance(value, list))
        pathlib.Path(REPORTS / f"{name}.md").write_text(f"# {name}\n\n| figure | value |\n|---|---|\n{rows}", encoding="utf-8")

    return write
