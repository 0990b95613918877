"""debug wal, snapshot, store: the files of a stopped member as text. Never writes; of a damaged file it shows what it can."""

from __future__ import annotations

import fcntl
import pathlib
from collections.abc import Iterator

from raftctl import fault
from raftctl.command import Command, Entry, Group
from raftctl.context import Invocation
from raftctl.flags import BOOL, STRING, flag
from raftctl.output import write_line
from raftkv.errors import RaftKVError
from raftkv.storage import dump


def _path(words: list[str], inside: str) -> pathlib.Path:
    """What a command is about: the path given, or its place inside it when that is a data directory.

    Raises:
        Fault: no such path, or the member is running.
    """
    if len(words) != 1:
        raise fault.Fault(fault.BAD_ARGUMENTS, "one path is needed: a data directory, or what the command reads itself")
    given = pathlib.Path(words[0])
    path = given / inside if (given / "member").is_dir() else given
    if not path.exists():
        raise fault.Fault(fault.IO_ERROR, f"{path}: no such file or directory")
    for parent in (path, *path.parents):
        lock = parent / "lock"
        if parent.name == "member" and lock.exists():
            _check_stopped(lock)
            break
    return path


def _check_stopped(lock: pathlib.Path) -> None:
    with open(lock, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise fault.Fault(fault.IO_ERROR, f"{lock}: held by a running member; stop it first, or copy its data directory") from exc


def _show(lines: Iterator[str]) -> None:
    """Prints a dump; one that ends in damage fails, after all that could be read has been shown."""
    last = ""
    try:
        for last in lines:
            write_line(last)
    except (OSError, RaftKVError) as exc:
        raise fault.Fault(fault.IO_ERROR, str(exc)) from exc
    if last.startswith("damaged: "):
        raise fault.Fault(fault.ERROR)


def run_wal(invocation: Invocation, words: list[str], *, entries: bool) -> None:
    """`debug wal`."""
    _show(dump.dump_wal(dump.local_files(), str(_path(words, "member/wal")), entries=entries))


def run_snapshot(invocation: Invocation, words: list[str]) -> None:
    """`debug snapshot`."""
    _show(dump.dump_snapshot(dump.local_files(), str(_path(words, "member/snap"))))


def run_store(invocation: Invocation, words: list[str], *, table: str) -> None:
    """`debug store`."""
    wanted = dump.table_named(table) if table else None
    if table and wanted is None:
        raise fault.Fault(fault.BAD_ARGUMENTS, f"no such table: {table}")
    _show(dump.dump_store(str(_path(words, "member/snap/db")), table=wanted))


WAL = Command(
    "wal",
    run_wal,
    usage="<data directory or wal directory>",
    help="Prints every record of a stopped member's log, and what the log adds up to.",
    flags=(flag("entries", BOOL, True, "print a line for each entry, too", shown="true"),),
    examples="""
    raftctl debug wal .raftkv/m1
    raftctl debug wal .raftkv/m1/member/wal --entries=false
    """,
)
SNAPSHOT = Command(
    "snapshot",
    run_snapshot,
    usage="<snapshot file>",
    help="Prints a received snapshot that was not installed, and whether its digest is right.",
    examples="raftctl debug snapshot .raftkv/m1/member/snap/0000000000000002-0000000000002710.snap.tmp",
)
STORE = Command(
    "store",
    run_store,
    usage="<data directory or store file>",
    help="Prints the records of a stopped member's store.",
    flags=(flag("table", STRING, "", "only this table (key, meta, lease, member, ...)"),),
    examples="""
    raftctl debug store .raftkv/m1
    raftctl debug store .raftkv/m1 --table=key
    """,
)

DEBUG = Group(
    "debug",
    {
        "wal": Entry("raftctl.commands.debug:WAL", "Prints a log"),
        "snapshot": Entry("raftctl.commands.debug:SNAPSHOT", "Prints a snapshot"),
        "store": Entry("raftctl.commands.debug:STORE", "Prints a store"),
    },
    help="Reads the files of a stopped member; never writes.",
)
