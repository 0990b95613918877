"""A simulated machine's clock, its threads and its disk's moods: the seams a member stands on (`raftkv.embedded.Environment`).

Owns what is drawn for them: one stream a machine and purpose. A power cut may fall between the steps of a thread's job.
"""

from __future__ import annotations

import errno
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from jepsen_like.sim.reached import reached
from raftkv.storage.faulty_fs import Fault, FaultyFileSystem, injected
from raftkv.storage.fs import File
from raftkv.storage.layered_fs import LayeredFile
from raftkv.storage.memory_fs import MemoryFileSystem

if TYPE_CHECKING:
    from jepsen_like.sim.loop import VirtualLoop

T = TypeVar("T")

WALL_START_S = 1_800_000_000.0

SYNC_SHARE = 0.8
"""Of power cuts that meet a job: they fall into a sync of it."""

JOB_SYNCS_MAX = 6
JOB_CALLS_MAX = 8
"""Syncs, or changes to the disk, that the job under way may still come to when the power goes."""

SYNCS = ("datasync", "sync_dir")

LOG_FILE = ".wal"
LOG_POINTS = {"truncate": "torn_tail_cut_off", "remove": "old_segment_removed"}
"""What a change to a segment of the log means."""

STORE_FILE = "/db"

Rot = Callable[[str, int, bytes, int], bytes]
"""(path, offset, the bytes that stand there, the file's size) -> the bytes that are read."""


class SimulatedClock:
    """The process's view of virtual time; the wall clock is ahead of true time by what the machine's faults say."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, wall_offset_s: Callable[[], float] = float) -> None:
        self._loop = loop
        self._random = rng
        self._wall_offset_s = wall_offset_s

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return self._loop.time()

    def wall_s(self) -> float:
        """See `Clock`."""
        return WALL_START_S + self._loop.now_s + self._wall_offset_s()

    def random(self) -> random.Random:
        """See `Clock`."""
        return self._random


class PowerCutError(BaseException):
    """The machine stops here, in the middle of a job; nobody catches it but the worker."""


class SimulatedWorker:
    """Runs each job after a latency; jobs of one worker in order, one at a time."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, latency_s: Callable[[], tuple[float, float]]) -> None:
        self._loop = loop
        self._random = rng
        self._latency_s = latency_s
        self._free_s = 0.0
        self._closed = False
        self._jobs: deque[Callable[[], object]] = deque()

    @property
    def jobs_count(self) -> int:
        """Jobs under way and behind it."""
        return len(self._jobs)

    def submit(self, job: Callable[[], T], report: Callable[[T | None, BaseException | None], None]) -> None:
        """See `Worker`."""
        assert not self._closed, "submit after close"
        self._jobs.append(job)

        def run() -> None:
            self._jobs.popleft()
            result: Any = None
            failure: BaseException | None = None
            try:
                result = job()
            except Exception as error:
                failure = error
            self._loop.call_soon(report, result, failure)

        self._at(run)

    def close(self, report: Callable[[], None]) -> None:
        """See `Worker`."""
        assert not self._closed, "closed twice"
        self._closed = True
        # Behind the last job's report, as a thread's is.
        self._at(lambda: self._loop.call_soon(report))

    def lose_power(self, disk: SimulatedDisk, rng: random.Random) -> None:
        """The job under way gets as far as one of its coming syncs, or changes to the disk, and no report is made of it."""
        if not self._jobs:
            return
        # A write goes to the kernel's memory: it is the syncs that a job spends its time in.
        if rng.random() < SYNC_SHARE:
            disk.cut_after, disk.cut_at_sync = None, 1 if rng.random() < 0.5 else rng.randint(1, JOB_SYNCS_MAX)
        else:
            disk.cut_after, disk.cut_at_sync = len(disk.log) + rng.randint(0, JOB_CALLS_MAX), None
        try:
            self._jobs[0]()
        except (PowerCutError, Exception):
            pass  # Nobody is left to be told.

    def _at(self, callback: Callable[[], object]) -> None:
        low, high = self._latency_s()
        when = max(self._loop.time(), self._free_s) + low + (high - low) * self._random.random()
        self._free_s = when
        self._loop.call_at(when, callback)


class SimulatedDisk(FaultyFileSystem):
    """One process's view of its machine's files: errors at a call or when full, rot in what is read, and the moment power goes."""

    def __init__(self, inner: MemoryFileSystem) -> None:
        super().__init__(inner)
        self.cut_after: int | None = None
        """Counted calls after which power goes, in the middle of the next; None: it stays on."""
        self.cut_at_sync: int | None = None
        """The sync, counted from 1, in which power goes; what it was for may be lost."""
        self.full_after_bytes: int | None = None
        """Bytes that can still be written to new places; None: plenty."""
        self.rot: Rot | None = None
        """What comes back in place of the bytes read."""
        self.failed: list[str] = []
        """Calls that failed by a fault, with their files."""
        self.written_after_failure: list[str] = []
        """Files of log and store that were written again though a write or a sync of theirs had failed: what they hold nobody knows."""
        self._broken: set[str] = set()

    @property
    def fired(self) -> int:
        """Faults that took effect."""
        return len(self.failed)

    def count(self, operation: str, path: str) -> Fault | None:
        """See the base class."""
        fault = super().count(operation, path)
        if self.cut_after is not None and len(self.log) > self.cut_after:
            raise PowerCutError
        if self.cut_at_sync is not None and operation in SYNCS:
            self.cut_at_sync -= 1
            if not self.cut_at_sync:
                raise PowerCutError
        if path.endswith(LOG_FILE) and operation in LOG_POINTS:
            reached(LOG_POINTS[operation])
        if operation == "pwrite" and path in self._broken:
            self.written_after_failure.append(path)
        if fault is not None:
            self.note_failure(operation, path)
        return fault

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See the base class."""
        return _MoodyFile(self, super().open(path, write=write, create=create), path)

    def take_space(self, size_bytes: int) -> int:
        """How many of the bytes there is room for."""
        if self.full_after_bytes is None or size_bytes <= 0:
            return size_bytes
        room = min(size_bytes, self.full_after_bytes)
        self.full_after_bytes -= room
        return room

    def note_failure(self, operation: str, path: str) -> None:
        """A call failed by a fault."""
        self.failed.append(f"{operation} {path}")
        if path.endswith((LOG_FILE, STORE_FILE)):
            self._broken.add(path)


class _MoodyFile(LayeredFile):
    """A file whose writes need room and whose reads may be rotten."""

    __slots__ = ("_disk", "_path")

    def __init__(self, disk: SimulatedDisk, file: File, path: str) -> None:
        super().__init__(file)
        self._disk, self._path = disk, path

    def pread(self, size_bytes: int, offset: int) -> bytes:
        data = self._file.pread(size_bytes, offset)
        rot = self._disk.rot
        return data if rot is None else rot(self._path, offset, data, self._file.size())

    def pwrite(self, data: bytes, offset: int) -> None:
        grown = offset + len(data) - self._file.size()
        if grown > 0 and self._disk.full_after_bytes is not None:
            missing = grown - self._disk.take_space(grown)
            if missing:
                self._file.pwrite(data[: len(data) - missing], offset)
                self._disk.note_failure("pwrite", self._path)
                raise injected(Fault(0, errno.ENOSPC), self._path)
        self._file.pwrite(data, offset)
