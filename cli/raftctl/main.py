"""The entrance: the tree of commands, and how a run ends.

Exit statuses and error texts are etcdctl's. Modules of commands are imported when called, so that `raftctl --help` imports click only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from raftctl import fault
from raftctl.command import Entry, Group
from raftctl.context import Invocation

_DATA, _CLUSTER, _OTHER = "Key-value commands", "Cluster and maintenance commands", "Other commands"

ROOT = Group(
    "raftctl",
    {
        "get": Entry("raftctl.commands.kv:GET", "Gets the key or a range of keys", _DATA),
        "put": Entry("raftctl.commands.kv:PUT", "Puts the given key into the store", _DATA),
        "del": Entry("raftctl.commands.kv:DEL", "Removes the specified key or range of keys [key, range_end)", _DATA),
        "txn": Entry("raftctl.commands.txn:TXN", "Txn processes all the requests in one transaction", _DATA),
        "watch": Entry("raftctl.commands.watch:WATCH", "Watches events stream on keys or prefixes", _DATA),
        "lease": Entry("raftctl.commands.lease:LEASE", "Lease related commands", _DATA),
        "compaction": Entry("raftctl.commands.kv:COMPACTION", "Compacts the event history in etcd", _DATA),
        "member": Entry("raftctl.commands.member:MEMBER", "Membership related commands", _CLUSTER),
        "endpoint": Entry("raftctl.commands.endpoint:ENDPOINT", "Endpoint related commands", _CLUSTER),
        "alarm": Entry("raftctl.commands.maintenance:ALARM", "Alarm related commands", _CLUSTER),
        "defrag": Entry("raftctl.commands.maintenance:DEFRAG", "Defragments the storage of the members with given endpoints", _CLUSTER),
        "move-leader": Entry("raftctl.commands.maintenance:MOVE_LEADER", "Transfers leadership to another cluster member", _CLUSTER),
        "debug": Entry("raftctl.commands.debug:DEBUG", "Reads the files of a stopped member", _OTHER),
        "version": Entry("raftctl.commands.version:VERSION", "Prints the version of raftctl", _OTHER),
        "options": Entry("raftctl.commands.version:OPTIONS", "Prints the flags that all commands take", _OTHER),
        "help": Entry("raftctl.commands.version:HELP", "Help about any command", _OTHER),
    },
    help="A command line client for raftkv and any other etcd v3 server.",
)


def main() -> NoReturn:
    """The console script."""
    # NB: etcdctl dies of SIGINT without a word, also in the middle of a watch; so do we, instead of with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    open_missing_streams()
    status = run(sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # Taking the interpreter apart would cost 30 of 160 ms and nobody would be the wiser: everything is closed and written.
    os._exit(status)


def open_missing_streams() -> None:
    """Gives /dev/null to each standard stream that was closed, as Go's runtime does: a socket must not get its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken, which is this one: those below it are open.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; returns its exit status."""
    invocation = Invocation()
    try:
        ROOT.main(list(arguments), prog_name="raftctl", standalone_mode=False, obj=invocation)
    except fault.Fault as exc:
        _say(exc.text, exc.hint)
        return exc.status
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:
        _die_of_broken_pipe()
    except Exception as exc:
        return _fail(exc, invocation)
    return fault.SUCCESS


def _fail(exc: Exception, invocation: Invocation) -> int:
    """A call's error: what each endpoint said, the error, and whether it happened."""
    from raftkv.errors import IndeterminateError, RaftKVError

    if not isinstance(exc, RaftKVError) or invocation.given.get("debug"):
        import traceback

        traceback.print_exc()
        return fault.ERROR
    hint = "The request may have been applied, or may yet be." if isinstance(exc, IndeterminateError) else ""
    for note in getattr(exc, "__notes__", ()):
        if not note.startswith(str(exc)):
            print(f"Warning: {note}", file=sys.stderr)
    _say(str(exc), hint)
    return fault.ERROR


def _say(text: str, hint: str) -> None:
    with contextlib.suppress(OSError):  # of a stderr that takes nothing, only the status can tell
        if text:
            print(f"Error: {text}", file=sys.stderr)
        if hint:
            print(hint, file=sys.stderr)


def _die_of_broken_pipe() -> NoReturn:
    """The reader of our output is gone: end as a program that never caught the signal would."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(fault.ERROR)
