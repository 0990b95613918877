"""version, options, help: what raftctl says of itself."""

from __future__ import annotations

import click

from raftctl import fault
from raftctl.command import Command
from raftctl.context import GLOBAL_FLAGS, Invocation, write
from raftkv import ETCD_VERSION, __version__


def run_version(invocation: Invocation, words: list[str]) -> None:
    """`version`."""
    write(f"raftctl version: {__version__}\nAPI version: {ETCD_VERSION.rpartition('.')[0]}\n".encode())


def run_options(invocation: Invocation, words: list[str]) -> None:
    """`options`."""
    context = click.get_current_context()
    formatter = context.make_formatter()
    formatter.write("The following flags can be given to any command, before or after it:\n\n")
    formatter.write_dl([record for option in GLOBAL_FLAGS if (record := option.get_help_record(context)) is not None])
    formatter.write("\nEach may also be given as RAFTCTL_NAME or ETCDCTL_NAME in the environment, in capitals and with _ for -.\n")
    write(formatter.getvalue().encode())


def run_help(invocation: Invocation, words: list[str]) -> None:
    """`help [command]`."""
    root = click.get_current_context().find_root()
    command, context = root.command, root
    for word in words:
        found = command.get_command(context, word) if isinstance(command, click.Group) else None
        if found is None:
            raise fault.Fault(fault.ERROR, f'unknown command "{word}" for "{context.command_path}"', "Run 'raftctl --help' for usage.")
        command, context = found, click.Context(found, info_name=word, parent=context)
    write(f"{command.get_help(context)}\n".encode())


VERSION = Command("version", run_version, usage="", help="Prints the version of raftctl and of the API it speaks.")
OPTIONS = Command("options", run_options, usage="", help="Prints the flags that all commands take.")
HELP = Command("help", run_help, usage="[command]", help="Help about any command.")
