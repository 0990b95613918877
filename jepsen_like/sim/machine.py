"""A simulated machine's clock, its threads and its disk's moods: the seams a member stands on (`raftkv.embedded.Environment`).

Owns what is drawn for them: one stream a machine and purpose. A power cut may fall between the steps of a thread's job.
"""

from __future__ import annotations

import errno
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from raftkv.storage.faulty_fs import Fault, FaultyFileSystem, injected
from raftkv.storage.fs import File
from raftkv.storage.layered_fs import LayeredFile
from raftkv.storage.memory_fs import MemoryFileSystem

if TYPE_CHECKING:
    from jepsen_like.sim.loop import VirtualLoop

T = TypeVar("T")

WALL_START_S = 1_800_000_000.0

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

    def lose_power(self, disk: SimulatedDisk, calls: int) -> None:
        """The job under way gets so many changes to the disk further, and no report is made of it."""
        if not self._jobs:
            return
        disk.cut_after = len(disk.log) + calls
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
        self.full_after_bytes: int | None = None
        """Bytes that can still be written to new places; None: plenty."""
        self.rot: Rot | None = None
        """What comes back in place of the bytes read."""
        self.failed: list[str] = []
        """Calls that failed by a fault, with their files."""

    @property
    def fired(self) -> int:
        """Faults that took effect."""
        return len(self.failed)

    def count(self, operation: str, path: str) -> Fault | None:
        """See the base class."""
        fault = super().count(operation, path)
        if self.cut_after is not None and len(self.log) > self.cut_after:
            raise PowerCutError
        if fault is not None:
            self.failed.append(f"{operation} {path}")
        return fault

    def open(self, path: str, *, write: bool = False, create: bool = False) -> File:
        """See the base class."""
        return _MoodyFile(self, super().open(path, write=write, create=create), path)

    def take_space(self, path: str, size_bytes: int) -> int:
        """How many of the bytes there is room for."""
        if self.full_after_bytes is None or size_bytes <= 0:
            return size_bytes
        room = min(size_bytes, self.full_after_bytes)
        self.full_after_bytes -= room
        if room < size_bytes:
            self.failed.append(f"pwrite {path}")
        return room


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
            missing = grown - self._disk.take_space(self._path, grown)
            if missing:
                self._file.pwrite(data[: len(data) - missing], offset)
                raise injected(Fault(0, errno.ENOSPC), self._path)
        self._file.pwrite(data, offset)
