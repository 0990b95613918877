"""raftctl debug reads what a real member has left behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.client.servers import running

pytestmark = pytest.mark.slow


def raftctl(*words):
    """A run of raftctl: standard output, standard error, exit status."""
    done = subprocess.run([sys.executable, "-m", "raftctl", *words], capture_output=True, text=True, check=False)
    return done.stdout, done.stderr, done.returncode


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The data directory of a member that was killed after a write; while it ran, debug was refused."""
    folder = tmp_path_factory.mktemp("debug")
    with running("raftkv", folder) as server:
        assert raftctl("put", "greeting", "hello", f"--endpoints={server.endpoint}")[2] == 0
        _, error, status = raftctl("debug", "store", str(folder / "data"))
        assert (status, "running member" in error) == (6, True)
    return folder / "data"


def test_debug_wal_shows_records_and_what_they_add_up_to(data):
    """With entries or without."""
    text, error, status = raftctl("debug", "wal", str(data))
    assert (error, status) == ("", 0)
    assert "greeting" in text
    assert text.splitlines()[-1].startswith("cluster ")
    brief, _, _ = raftctl("debug", "wal", str(data / "member" / "wal"), "--entries=false")
    assert "greeting" not in brief and brief.splitlines()[-1] == text.splitlines()[-1]


def test_debug_wal_of_a_damaged_log_shows_what_it_can_and_fails(data, tmp_path):
    """A flipped bit before the tail."""
    copy = tmp_path / "wal"
    copy.mkdir()
    for segment in (data / "member" / "wal").iterdir():
        content = bytearray(segment.read_bytes())
        if b"greeting" in content:
            content[content.index(b"greeting")] ^= 1
        (copy / segment.name).write_bytes(content)
    text, _, status = raftctl("debug", "wal", str(copy))
    assert text
    if "damaged" in text:
        assert status == 1
    else:
        assert "greeting" not in text  # the last record: a torn tail, which is no damage


def test_debug_store_shows_tables(data):
    """All, or one; an unknown one is refused."""
    text, error, status = raftctl("debug", "store", str(data))
    assert (error, status) == ("", 0)
    one, _, _ = raftctl("debug", "store", str(data), "--table=meta")
    assert one and set(one.splitlines()) <= set(text.splitlines())
    assert raftctl("debug", "store", str(data), "--table=nonsense")[2] == 128


def test_debug_without_a_path_or_with_a_wrong_one_says_so(tmp_path):
    """Status 128 for the words, 6 for the file."""
    assert raftctl("debug", "wal")[2] == 128
    assert raftctl("debug", "wal", str(tmp_path / "absent"))[1:] == (
        f"Error: {tmp_path / 'absent'}: no such file or directory\n",
        6,
    )
