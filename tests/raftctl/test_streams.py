"""What raftctl does when a standard stream cannot be used: a line and a status, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full"),
]


def shell(line):
    """A line of shell, with RAFTCTL for the program."""
    line = line.replace("RAFTCTL", f"{sys.executable} -m raftctl")
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("command", ["version", "options", "--help", "help get", "put --help"])
def test_full_output_is_an_input_output_error(command):
    """A script must not take half an answer for a whole one."""
    done = shell(f"RAFTCTL {command} > /dev/full")
    assert done.returncode == 6
    assert done.stderr.splitlines()[0] == "Error: write /dev/stdout: no space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_stream_is_replaced_by_nothing(closed):
    """As with every program of Go's: the status alone tells, and no socket takes the stream's number."""
    assert shell(f"RAFTCTL version {closed}").returncode == 0
    done = shell(f"RAFTCTL get k --endpoints=127.0.0.1:1 --command-timeout=50ms {closed}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_full_error_stream_leaves_the_status():
    """Nothing can be said, but the status is right."""
    assert shell("RAFTCTL get k --endpoints=127.0.0.1:1 --command-timeout=50ms 2>/dev/full").returncode == 1
