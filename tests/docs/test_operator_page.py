"""`docs/TEST_YOUR_OPERATOR.md`: its shell blocks are one session, its Python blocks a conftest and a test module."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.tidy.source import ROOT

PAGE = ROOT / "docs" / "TEST_YOUR_OPERATOR.md"
TIMEOUT_S = 120
PROGRAMS = str(pathlib.Path(sys.executable).parent)

pytestmark = pytest.mark.slow


def blocks(language: str) -> list[str]:
    """The page's blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def environment(tmp_path: pathlib.Path) -> dict[str, str]:
    """The interpreter's own programs come first; what the page makes for itself is below the test's folder."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}


def test_commands_of_the_page_work(tmp_path):
    """As they stand, one after the other, in one shell; the first that fails ends it."""
    for program in ("kubectl", "kopf"):
        if shutil.which(program, path=PROGRAMS) is None:
            pytest.skip(f"not available: {program}")
    script = "\n".join(["set -eu", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT", *blocks("sh"), "echo all of it"])
    done = subprocess.run(["bash", "-c", script], env=environment(tmp_path), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    logs = "".join(path.read_text() for path in tmp_path.glob("*/*.log"))
    assert done.stdout.endswith("all of it\n"), (done.stdout, done.stderr, logs)
    assert "Traceback" not in logs


def test_fixtures_of_the_page_work(tmp_path):
    """The first block is a conftest.py; the test of the page runs with it."""
    pytest.importorskip("kubernetes")
    fixtures, test = blocks("python")
    (tmp_path / "conftest.py").write_text(fixtures)
    (tmp_path / "test_page.py").write_text(f"import kubernetes\n\n\n{test}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert "1 passed" in done.stdout, (done.stdout, done.stderr)
