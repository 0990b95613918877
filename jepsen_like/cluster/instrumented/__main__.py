"""A member process as `raftkv server` runs it, but for what stands below it.

    python -m jepsen_like.cluster.instrumented [--levers=FILE] [--clock] [--trace=FOLDER] [--no-sync] SERVER_FLAGS...

With `--levers` its log's files obey the harness; with `--clock` its clocks do too, and its loop is asyncio's own, because uvloop
reads the machine's. With `--trace` its files remember what a power cut would take, and its store is the one on a journal file,
because LMDB writes its file itself; `--no-sync` makes them claim syncs that they do not do, for the test of the test.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import pathlib
import sys
from contextlib import AbstractAsyncContextManager

import uvloop

from jepsen_like.cluster.instrumented.bent_clock import BentClock, BentLoop, report
from jepsen_like.cluster.instrumented.levered_files import LeveredFileSystem
from jepsen_like.cluster.instrumented.levers import Levers
from jepsen_like.cluster.instrumented.traced_files import Trace, TracedFileSystem
from raftkv import logs
from raftkv.__main__ import MemberProcess, switch_failpoints_on
from raftkv.clock import SystemClock
from raftkv.config import Launch, read_failpoints, read_launch
from raftkv.embedded import Environment, RunningMember, running_member
from raftkv.server.bootstrap import Platform
from raftkv.server.settings import MemberSettings
from raftkv.storage.fs import FileSystem, OsFileSystem
from raftkv.storage.lmdb_backend import LmdbOpener
from raftkv.storage.memory_backend import MemoryOpener
from raftkv.storage.worker import ThreadWorker

WAL_SEGMENT_BYTES = 256 << 10
"""Of traced files: small, so that power goes at the change of segments too."""


class InstrumentedProcess(MemberProcess):
    """One member on other files and clocks; signals and exit statuses are the real process's."""

    def __init__(self, launch: Launch, asked: argparse.Namespace) -> None:
        super().__init__(launch)
        self._asked = asked
        self._levers = Levers(asked.levers) if asked.levers else None

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """The loop the member runs on."""
        return BentLoop(self._levers) if self._levers is not None and self._asked.clock else uvloop.new_event_loop()

    def _serving(self) -> AbstractAsyncContextManager[RunningMember]:
        return running_member(self._settings, environment=self._environment())

    def _environment(self) -> Environment:
        loop = asyncio.get_running_loop()
        clock: SystemClock | BentClock = SystemClock()
        if self._levers is not None and self._asked.clock:
            clock = BentClock(self._levers)
            report(self._levers, clock, loop)
        return Environment(self._platform(), clock, lambda name: ThreadWorker(name, loop.call_soon_threadsafe))

    def _platform(self) -> Platform:
        fs: FileSystem = OsFileSystem()
        if self._asked.trace is not None:
            fs = TracedFileSystem(Trace(self._asked.trace), honest=not self._asked.no_sync)
        if self._levers is not None:
            return Platform(LeveredFileSystem(self._levers, fs), MemoryOpener(fs) if self._asked.trace else LmdbOpener())
        return Platform(fs, MemoryOpener(fs) if self._asked.trace else LmdbOpener())


def _settings(settings: MemberSettings, asked: argparse.Namespace) -> MemberSettings:
    # A member that never syncs would notice by a new segment without a head, and refuse to start, before any client notices.
    if asked.trace is not None and not asked.no_sync:
        return dataclasses.replace(settings, wal_segment_bytes=WAL_SEGMENT_BYTES)
    return settings


def main(arguments: list[str]) -> int:
    """See the module; returns the exit status, or dies by the signal that ended it."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--levers", type=pathlib.Path)
    parser.add_argument("--clock", action="store_true")
    parser.add_argument("--trace", type=pathlib.Path)
    parser.add_argument("--no-sync", action="store_true")
    asked, flags = parser.parse_known_args(arguments)
    launch = read_launch(flags, os.environ)
    logs.configure(launch.logs)
    failpoints = read_failpoints(os.environ)
    if failpoints.asked and not switch_failpoints_on(failpoints):
        return 1
    process = InstrumentedProcess(dataclasses.replace(launch, member=_settings(launch.member, asked)), asked)
    with asyncio.Runner(loop_factory=process.new_loop) as runner:
        return process.exit_status(runner.run(process.run()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
