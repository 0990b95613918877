"""What starting raftctl costs: modules, counted, since times depend on the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SHOW_MODULES = "import sys, raftctl.main\nraftctl.main.run(sys.argv[1:])\nprint('\\n'.join(sorted(sys.modules)), file=sys.stderr)"


def modules(*arguments):
    """The modules a command line has imported."""
    done = subprocess.run([sys.executable, "-c", SHOW_MODULES, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()), done.stdout


def test_help_imports_no_client():
    """`raftctl --help` in under 150 ms: click and nothing that talks."""
    loaded, text = modules("--help")
    assert "move-leader" in text
    assert not loaded & {"asyncio", "google.protobuf", "raftkv.client", "rich", "json", "ssl"}


def test_get_imports_nothing_that_only_others_need():
    """`raftctl get` in under 250 ms."""
    loaded, _ = modules("get", "k", "--endpoints=127.0.0.1:1", "--command-timeout=50ms")
    assert "raftkv.client" in loaded
    assert not loaded & {"rich", "aiohttp", "uvloop", "msgspec", "lmdb", "raftkv.server", "raftkv.storage", "raftctl.json_output"}


@pytest.mark.parametrize(
    "command", ["", "get", "put", "del", "txn", "watch", "lease grant", "member add", "endpoint status", "move-leader"]
)
def test_every_command_explains_itself(command):
    """Usage, flags, examples; on standard output, status 0."""
    done = subprocess.run([sys.executable, "-m", "raftctl", *command.split(), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: raftctl {command}".rstrip())
    assert "raftctl options" in done.stdout
    assert not done.stderr
