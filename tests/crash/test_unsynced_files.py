"""The traced files themselves: what was synced stays, what was not may go in every way that is allowed, and in no other."""

from __future__ import annotations

import pathlib
import random

from jepsen_like.cluster.instrumented.traced_files import SECTOR_BYTES, Loss, Trace, TracedFileSystem, cut_power

ALL = (Loss.ALL,)


class Disk:
    """Traced files under one folder."""

    def __init__(self, tmp_path: pathlib.Path) -> None:
        self.data = tmp_path / "data"
        self.data.mkdir()
        self._trace_folder = tmp_path / "trace"
        self.start()

    def start(self) -> None:
        """As after a process starts: the trace of the one before goes on."""
        self.fs = TracedFileSystem(Trace(self._trace_folder))

    def path(self, name: str) -> str:
        return f"{self.data}/{name}"

    def write(self, name: str, data: bytes, *, offset: int = 0, sync: bool = True, create: bool = True) -> None:
        file = self.fs.open(self.path(name), write=True, create=create)
        file.pwrite(data, offset)
        if sync:
            file.datasync()
        file.close()

    def sync_names(self) -> None:
        self.fs.sync_dir(str(self.data))

    def cut(self, *losses: Loss, seed: int = 0) -> dict[str, bytes]:
        """What is there after the power went."""
        cut_power(self._trace_folder, self.data, random.Random(seed), losses or ALL)
        self.start()
        return {file.name: file.read_bytes() for file in self.data.iterdir()}


def test_synced_bytes_and_names_stay(tmp_path):
    """A power cut takes nothing that a sync covered, in whatever mode."""
    disk = Disk(tmp_path)
    disk.write("a", b"one")
    disk.sync_names()
    for seed in range(20):
        assert disk.cut(*Loss, seed=seed) == {"a": b"one"}


def test_unsynced_write_goes_and_the_bytes_before_come_back(tmp_path):
    """Inside the file and behind its end."""
    disk = Disk(tmp_path)
    disk.write("a", b"abcdef")
    disk.sync_names()
    disk.write("a", b"XXXXXX", offset=3, sync=False, create=False)
    disk.write("a", b"YY", offset=4, sync=False, create=False)
    assert disk.cut() == {"a": b"abcdef"}


def test_write_of_a_process_killed_before_stays_unsynced(tmp_path):
    """The next process reads it, and does not make it durable by that."""
    disk = Disk(tmp_path)
    disk.write("a", b"abc")
    disk.sync_names()
    disk.write("a", b"def", offset=3, sync=False, create=False)
    disk.start()
    disk.write("b", b"synced")
    disk.sync_names()
    assert disk.cut() == {"a": b"abc", "b": b"synced"}


def test_torn_write_leaves_a_prefix(tmp_path):
    """Cut at a random byte behind what was synced; every length occurs."""
    lengths = set()
    for seed in range(60):
        folder = tmp_path / str(seed)
        folder.mkdir()
        disk = Disk(folder)
        disk.write("a", b"abc")
        disk.sync_names()
        disk.write("a", b"defg", offset=3, sync=False, create=False)
        left = disk.cut(Loss.TORN, seed=seed)["a"]
        assert b"abcdefg".startswith(left) and len(left) >= 3
        lengths.add(len(left))
    assert lengths == {3, 4, 5, 6, 7}


def test_sectors_are_lost_one_by_one(tmp_path):
    """Each sector is the old or the new one, and all combinations are possible."""
    old, new = b"o" * SECTOR_BYTES, b"n" * SECTOR_BYTES
    seen = set()
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        disk = Disk(folder)
        disk.write("a", old * 2)
        disk.sync_names()
        disk.write("a", new * 2, sync=False, create=False)
        seen.add(disk.cut(Loss.SECTORS, seed=seed)["a"])
    assert seen == {old + old, old + new, new + old, new + new}


def test_name_goes_with_an_unsynced_directory_although_the_file_was_synced(tmp_path):
    """Rule 9: a create, rename or remove is durable after the directory's sync."""
    disk = Disk(tmp_path)
    disk.write("kept", b"1")
    disk.write("target", b"old")
    disk.sync_names()
    disk.write("new", b"2")
    disk.fs.remove(disk.path("kept"))
    disk.fs.rename(disk.path("new"), disk.path("target"))
    assert disk.cut() == {"kept": b"1", "target": b"old"}


def test_renamed_file_keeps_its_syncs(tmp_path):
    """Bytes are traced by inode, not by name."""
    disk = Disk(tmp_path)
    disk.write("temporary", b"whole")
    disk.fs.rename(disk.path("temporary"), disk.path("final"))
    disk.sync_names()
    assert disk.cut() == {"final": b"whole"}


def test_emptied_file_comes_back_when_nothing_was_synced(tmp_path):
    """Opening with `create` empties an existing file, which is a write like any other."""
    disk = Disk(tmp_path)
    disk.write("a", b"before")
    disk.sync_names()
    disk.write("a", b"after", sync=False)
    assert disk.cut() == {"a": b"before"}


def test_record_cut_short_by_a_kill_is_ignored(tmp_path):
    """Its change was never made; what the next process writes must not hide behind its half."""
    disk = Disk(tmp_path)
    disk.write("a", b"one")
    disk.sync_names()
    with (tmp_path / "trace" / "trace").open("ab") as trace:
        trace.write(b"\xff\x00\x00\x00half")
    disk.start()
    disk.write("a", b"two", sync=False, create=False)
    assert disk.cut() == {"a": b"one"}
