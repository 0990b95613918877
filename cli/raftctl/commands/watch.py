"""watch: events as they happen, printed or handed to a command; interactively, several watches at once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import subprocess
import sys
import threading
from typing import Any, NamedTuple

from raftctl import fault
from raftctl.command import Command
from raftctl.context import Invocation
from raftctl.flags import BOOL, INT64, flag, parse
from raftctl.go_text import GoTextError, quote, split_words
from raftctl.output import Printer, write_line
from raftkv.client import AsyncClient, KeyRange, Prefix, Selection, Watch, WatchBatch, cancellation
from raftkv.errors import RaftKVError

BAD_NUMBER = "bad number of arguments"
BAD_NUMBER_ENVIRONMENT = "bad number of arguments (found conflicting environment key)"
BAD_NUMBER_SEPARATOR = "bad number of arguments (found separator --, but no commands)"


class Request(NamedTuple):
    """One watch asked for, and the command to run per event."""

    selection: Selection
    revision: int
    previous: bool
    progress: bool
    command: list[str]


def _bad(text: str) -> fault.Fault:
    return fault.Fault(fault.BAD_ARGUMENTS, text)


def make_request(words: list[str], dash_at: int | None, environment_key: tuple[str, str], **flags: Any) -> Request:
    """What a watch's command line asks for.

    Args:
        words: without flags; those from `dash_at` on are the command.
        dash_at: where `--` stood.
        environment_key: `ETCDCTL_WATCH_KEY` and `ETCDCTL_WATCH_RANGE_END`; if set, the command line names no key.
        flags: the command's flags.

    Raises:
        Fault: it asks for nothing that can be done.
    """
    keys, command = (words, []) if dash_at is None else (words[:dash_at], words[dash_at:])
    if dash_at is not None and not command:
        raise _bad(BAD_NUMBER_SEPARATOR)
    if environment_key[0]:
        if keys:
            raise _bad(BAD_NUMBER_ENVIRONMENT)
        keys = [part for part in environment_key if part]
    if not keys:
        raise _bad(BAD_NUMBER)
    key = os.fsencode(keys[0])
    selection: Selection = key
    if len(keys) == 2:
        if flags["prefix"]:
            raise _bad("`range_end` and `--prefix` are mutually exclusive")
        selection = KeyRange(key, os.fsencode(keys[1]))
    elif flags["prefix"]:
        selection = Prefix(key)
    return Request(selection, flags["rev"], flags["prev_kv"], flags["progress_notify"], command)


def _open(client: AsyncClient, request: Request) -> Watch:
    return client.watch(
        request.selection,
        since=request.revision,
        previous=request.previous,
        progress=request.progress,
        require_leader=True,
        end_without_leader=True,
    )


async def follow(watch: Watch, printer: Printer, command: list[str]) -> None:
    """Prints a watch until the server ends it."""
    try:
        async for batch in watch.batches():
            if batch.canceled:
                print(f"watch was canceled ({cancellation(batch)})", file=sys.stderr)
            if batch.is_progress:
                write_line(f"progress notify: {batch.header.revision}")
            printer.watch(batch)
            if command:
                _execute(command, batch)
    except RaftKVError as exc:
        print(f"watch was canceled ({exc})", file=sys.stderr)


def _execute(command: list[str], batch: WatchBatch) -> None:
    """Runs the command once per event, one after the other, as etcdctl does: events wait while it runs."""
    for event in batch.events:
        environment = dict(os.environ)
        environment["ETCD_WATCH_REVISION"] = str(batch.header.revision)
        environment["ETCD_WATCH_EVENT_TYPE"] = quote(event.type.encode())
        environment["ETCD_WATCH_KEY"] = quote(event.kv.key)
        environment["ETCD_WATCH_VALUE"] = quote(event.kv.value)
        shown = " ".join(quote(os.fsencode(word)) for word in command)
        try:
            status = subprocess.run(command, env=environment, check=False).returncode
        except OSError as exc:
            _say_failed(shown, _reason(command[0], exc))
            raise fault.Fault(fault.ERROR) from exc
        if status:
            _say_failed(shown, f"exit status {status}")
            raise fault.Fault(fault.ERROR)


def _say_failed(command: str, reason: str) -> None:
    print(f"command [{command}] error ({reason})", file=sys.stderr)


def _reason(program: str, exc: OSError) -> str:
    """Why a program could not be started, in Go's words."""
    if "/" in program:
        return f"fork/exec {program}: {(exc.strerror or str(exc)).lower()}"
    return f"exec: {quote(os.fsencode(program))}: executable file not found in $PATH"


def run_watch(invocation: Invocation, words: list[str], *, interactive: bool, **flags: Any) -> None:
    """`watch`."""
    environment = invocation.environment
    key, range_end = environment.get("ETCDCTL_WATCH_KEY", ""), environment.get("ETCDCTL_WATCH_RANGE_END", "")
    if range_end and not key:
        raise _bad(f"ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END={quote(os.fsencode(range_end))}")
    if interactive:
        printer = invocation.printer
        try:
            invocation.run(_interactive(invocation, printer, (key, range_end)))
        except ExceptionGroup as group:
            # The line that ended it, or the command that failed; the other watches were cancelled for it.
            raise group.exceptions[0] from None
        return
    request = make_request(words, invocation.dash_at, (key, range_end), **flags)
    printer = invocation.printer

    async def body() -> None:
        async with invocation.client() as client:
            await follow(_open(client, request), printer, request.command)

    invocation.run(body())
    raise fault.Fault(fault.INTERRUPTED, "watch is canceled by the server")


def _standard_input() -> asyncio.Queue[bytes]:
    """The lines of standard input, one read ahead, then one that does not end as a line does.

    Read by a thread that nobody waits for: when a watch ends the command, it may sit in its read for ever.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
    source = sys.stdin.buffer

    def read() -> None:
        line = b"\n"
        while line.endswith(b"\n"):
            try:
                line = source.readline()
            except ValueError:
                return  # The command has ended, and standard input is closed.
            put = lines.put(line)
            try:
                asyncio.run_coroutine_threadsafe(put, loop).result()
            except (RuntimeError, concurrent.futures.CancelledError):
                put.close()
                return  # The command has ended, and its loop with it.

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return lines


async def _interactive(invocation: Invocation, printer: Printer, environment_key: tuple[str, str]) -> None:
    """Watches by lines of standard input: `watch [flags] key [range_end] [-- command]`, `progress`."""
    watches: list[Watch] = []
    lines = _standard_input()
    async with invocation.client() as client, asyncio.TaskGroup() as tasks:
        while True:
            raw = await lines.get()
            if not raw.endswith(b"\n"):
                raise fault.Fault(fault.INVALID_INPUT, "error reading watch request line: EOF")
            line = raw[:-1].decode("utf-8", "surrogateescape")
            try:
                words = split_words(line)
            except GoTextError as exc:
                raise fault.Fault(fault.INVALID_INPUT, str(exc)) from exc
            if not words:
                print(f"Invalid command: {line} (watch and progress supported)", file=sys.stderr)
            elif words[0] == "progress":
                for watch in watches:
                    watch.request_progress()
            elif words[0] != "watch":
                print(f"Invalid command {line} (only support watch)", file=sys.stderr)
            elif len(words) < 2 and not environment_key[0]:
                print(f"Invalid command {line} (command type or key is not provided)", file=sys.stderr)
            else:
                request = _parse_line(words[1:], environment_key)
                watches.append(_open(client, request))
                tasks.create_task(follow(watches[-1], printer, request.command), name=f"watch {len(watches)}")


def _parse_line(words: list[str], environment_key: tuple[str, str]) -> Request:
    options = [option for option in WATCH_FLAGS if option.name != "interactive"]
    parsed = parse(options, words)
    flags = {str(option.name): option.default for option in options} | parsed.values
    return make_request(parsed.words, parsed.dash_at, environment_key, **flags)


WATCH_FLAGS = (
    flag("interactive", BOOL, False, "Interactive mode", short="i"),
    flag("prefix", BOOL, False, "Watch on a prefix if prefix is set"),
    flag("rev", INT64, 0, "Revision to start watching"),
    flag("prev-kv", BOOL, False, "get the previous key-value pair before the event happens"),
    flag("progress-notify", BOOL, False, "get periodic watch progress notification from server"),
)

WATCH = Command(
    "watch",
    run_watch,
    usage="[key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
    help="Watches events stream on keys or prefixes.",
    flags=WATCH_FLAGS,
    examples="""
    raftctl watch greeting
    raftctl watch --prefix service/ --prev-kv -w json
    raftctl watch greeting --rev=5
    raftctl watch greeting -- sh -c 'echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_VALUE'
    raftctl watch -i
    """,
)
