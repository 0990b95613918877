"""What a simulated machine does to its files: power that goes in the middle of a job, and writes after one that failed."""

from __future__ import annotations

import random

import pytest

from jepsen_like.sim.loop import VirtualLoop
from jepsen_like.sim.machine import SimulatedDisk, SimulatedWorker
from jepsen_like.sim.reached import Points
from raftkv.storage.fs import read_all
from raftkv.storage.memory_fs import MemoryFileSystem

RECORD = b"r" * 300


def after_a_cut(seed: int) -> bytes:
    """What is left of a log whose machine lost power while a record was appended."""
    fs = MemoryFileSystem()
    disk = SimulatedDisk(fs)
    file = disk.open("/log.wal", create=True)
    file.pwrite(b"kept" + bytes(4_096), 0)
    file.datasync()
    disk.sync_dir("/")
    worker = SimulatedWorker(VirtualLoop(1), random.Random(1), lambda: (0.001, 0.002))

    def job() -> None:
        file.pwrite(RECORD, 4)
        file.datasync()

    worker.submit(job, lambda result, error: pytest.fail("nobody is left to be told"))
    rng = random.Random(seed)
    worker.lose_power(disk, rng)
    fs.lose_power(rng)
    return read_all(fs, "/log.wal")


def test_power_that_goes_while_the_log_is_written_leaves_the_record_whole_torn_or_not_at_all():
    """All three are what recovery must tell apart, and a torn one must not be rare."""
    found = [after_a_cut(seed)[: 4 + len(RECORD)] for seed in range(100)]
    assert all(one.startswith(b"kept") for one in found)
    bodies = [one[4:] for one in found]
    whole, gone = bodies.count(RECORD), bodies.count(bytes(len(RECORD)))
    assert whole >= 20 and gone >= 5 and len(found) - whole - gone >= 10


def test_write_to_a_log_after_one_that_failed_is_noted():
    """Nobody knows what the file holds by then; another file's failure means nothing to it."""
    disk = SimulatedDisk(MemoryFileSystem())
    broken, sound = disk.open("/a.wal", create=True), disk.open("/b.wal", create=True)
    disk.full_after_bytes = 3
    with pytest.raises(OSError):
        broken.pwrite(b"more than fits", 0)
    disk.full_after_bytes = None
    sound.pwrite(b"x", 0)
    assert not disk.written_after_failure
    broken.pwrite(b"x", 0)
    assert disk.written_after_failure == ["/a.wal"]


def test_points_of_the_log_are_reached_by_its_segments_only():
    """A torn tail is cut off with a truncation, an old segment goes with its name."""
    disk = SimulatedDisk(MemoryFileSystem())
    with Points(["torn_tail_cut_off", "old_segment_removed"]) as points:
        for path in ("/a.wal", "/a.snap"):
            disk.open(path, create=True).truncate(0)
            disk.remove(path)
    assert points.met == {"torn_tail_cut_off": 1, "old_segment_removed": 1}
