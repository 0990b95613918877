"""A member process on traced files: what `raftkv server` is, but for its files and its store.

    python -m tests.support.traced_member TRACE_FOLDER honest|lying SERVER_FLAGS...

The store is the one in memory over a journal file, because LMDB writes its file itself. Ends by kill only.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import sys

from raftkv import logs
from raftkv.clock import SystemClock
from raftkv.config import read_launch
from raftkv.embedded import Environment, running_member
from raftkv.server.bootstrap import Platform
from raftkv.server.settings import MemberSettings
from raftkv.storage.memory_backend import MemoryOpener
from raftkv.storage.worker import ThreadWorker
from tests.support.unsynced_files import Trace, TracedFileSystem

WAL_SEGMENT_BYTES = 256 << 10
"""Small, so that power goes at the change of segments too."""


async def run(settings: MemberSettings, fs: TracedFileSystem) -> None:
    """Serves until it is killed or fails."""
    call_soon = asyncio.get_running_loop().call_soon_threadsafe
    environment = Environment(Platform(fs, MemoryOpener(fs)), SystemClock(), lambda name: ThreadWorker(name, call_soon))
    async with running_member(settings, environment=environment):
        await asyncio.Event().wait()


def main() -> None:
    """See the module."""
    folder, honesty, *flags = sys.argv[1:]
    launch = read_launch(flags, os.environ)
    logs.configure(launch.logs)
    # A member that never syncs would notice by a new segment without a head, and refuse to start, before any client notices.
    settings = dataclasses.replace(launch.member, wal_segment_bytes=WAL_SEGMENT_BYTES) if honesty == "honest" else launch.member
    asyncio.run(run(settings, TracedFileSystem(Trace(pathlib.Path(folder)), honest=honesty == "honest")))


if __name__ == "__main__":
    main()
