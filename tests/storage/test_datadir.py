"""The data directory: layout, lock, stamp."""

from __future__ import annotations

import errno
import random

import pytest

from raftkv.errors import ConfigError
from raftkv.storage.datadir import DataDir
from raftkv.storage.faulty_fs import Fault, FaultyFileSystem
from raftkv.storage.fs import OsFileSystem, write_durably
from raftkv.storage.memory_fs import MemoryFileSystem


def never(message):
    raise AssertionError(message)


def test_directory_is_made_private_stamped_and_opens_again(tmp_path):
    """Mode 0700, as etcd's."""
    fs, path = OsFileSystem(), f"{tmp_path}/deep/er/data"
    opened = DataDir.open(fs, path, on_wait=never)
    assert (opened.wal, opened.store) == (f"{path}/member/wal", f"{path}/member/snap")
    assert (tmp_path / "deep/er/data").stat().st_mode & 0o777 == 0o700
    assert fs.listdir(f"{path}/member") == ["format", "lock", "snap"]
    opened.close()
    DataDir.open(fs, path + "/", on_wait=never).close()


def test_wal_dir_elsewhere_is_made(tmp_path):
    opened = DataDir.open(OsFileSystem(), f"{tmp_path}/data", wal_dir=f"{tmp_path}/fast/wal/", on_wait=never)
    assert opened.wal == f"{tmp_path}/fast/wal" and (tmp_path / "fast/wal").is_dir()
    opened.close()


def test_directory_in_use_is_waited_for_with_a_message():
    """etcd waits too."""
    fs = MemoryFileSystem()
    first = DataDir.open(fs, "/data", on_wait=never)
    said = []

    def on_wait(message):
        said.append(message)
        if len(said) == 3:
            first.close()

    DataDir.open(fs, "/data", on_wait=on_wait)
    assert len(said) == 3 and "locked by another process" in said[0]


def test_directory_of_another_format_is_refused_and_unlocked():
    """Never opened by a version that does not understand it."""
    fs = MemoryFileSystem()
    DataDir.open(fs, "/data", on_wait=never).close()
    write_durably(fs, "/data/member/format", [b"raftkv data 2\n"])
    for _ in range(2):
        with pytest.raises(ConfigError, match="'raftkv data 2'.*start it with the version"):
            DataDir.open(fs, "/data", on_wait=never)
    write_durably(fs, "/data/member/format", [b"\xff\xfe"])
    with pytest.raises(ConfigError, match="unreadable"):
        DataDir.open(fs, "/data", on_wait=never)


def test_directory_of_etcd_is_refused_and_untouched():
    fs = MemoryFileSystem()
    for path in ("/data", "/data/member", "/data/member/wal", "/data/member/snap"):
        fs.mkdir(path)
    with pytest.raises(ConfigError, match="not made by raftkv"):
        DataDir.open(fs, "/data", on_wait=never)
    assert fs.listdir("/data/member") == ["snap", "wal"]


def test_first_start_cut_off_at_any_point_is_taken_up_again():
    """Power may go between any two steps."""
    probe = FaultyFileSystem(MemoryFileSystem())
    DataDir.open(probe, "/a/data", wal_dir="/w/wal", on_wait=never)
    for call in range(1, len(probe.log) + 1):
        for seed in range(4):
            inner = MemoryFileSystem()
            with pytest.raises(ConfigError):
                DataDir.open(FaultyFileSystem(inner, [Fault(call, errno.EIO)]), "/a/data", wal_dir="/w/wal", on_wait=never)
            inner.lose_power(random.Random(seed))
            opened = DataDir.open(inner, "/a/data", wal_dir="/w/wal", on_wait=never)
            assert inner.listdir(opened.store) == []


@pytest.mark.parametrize(("path", "told"), [("file", "file: not a directory"), ("file/data", "file/data: not a directory")])
def test_directory_with_a_file_in_the_way_is_refused_in_etcds_words(tmp_path, path, told):
    """A reason a person can act on, instead of an errno."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"^cannot access data directory: {tmp_path}/{told}$"):
        DataDir.open(OsFileSystem(), f"{tmp_path}/{path}", on_wait=never)


@pytest.mark.parametrize("wal_dir", ["", "/fast/wal"])
def test_directory_that_cannot_be_written_is_refused_at_each_step_and_unlocked(wal_dir):
    """No step of the opening lets an errno through, and none leaves the lock behind."""
    calls = FaultyFileSystem(MemoryFileSystem())
    DataDir.open(calls, "/deep/data", wal_dir=wal_dir, on_wait=never).close()
    for call in range(1, len(calls.log) + 1):
        inner = MemoryFileSystem()
        with pytest.raises(ConfigError, match="^cannot access data directory: .*(denied|error)"):
            DataDir.open(FaultyFileSystem(inner, [Fault(call, errno.EACCES)]), "/deep/data", wal_dir=wal_dir, on_wait=never)
        DataDir.open(inner, "/deep/data", wal_dir=wal_dir, on_wait=never).close()
