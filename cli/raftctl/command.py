"""Commands and groups of commands: click's tree and help, etcdctl's way of reading arguments, modules loaded when needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from raftctl import fault
from raftctl.context import GLOBAL_FLAGS, Invocation, write
from raftctl.flags import Parsed, parse

SEE_OPTIONS = 'Use "raftctl options" for the flags that all commands take.'


def _absorb(context: click.Context, own: Sequence[click.Option], arguments: list[str], *, interspersed: bool = True) -> Parsed:
    """Reads a command line, hands the global flags on and keeps the rest; shows the help if that was asked for."""
    try:
        parsed = parse([*own, *GLOBAL_FLAGS], arguments, interspersed=interspersed)
    except fault.Fault as exc:
        raise fault.Fault(exc.status, exc.text, f"Run '{context.command_path} --help' for usage.") from exc
    if parsed.help:
        write(f"{context.get_help()}\n".encode())
        context.exit(0)
    invocation = context.ensure_object(Invocation)
    own_names = {option.name for option in own}
    for name in parsed.given - own_names:
        invocation.given[name] = parsed.values.pop(name)
    return parsed


class Command(click.Command):
    """A command. Its function is called with the invocation, the words of the command line and its flags by name."""

    def __init__(
        self, name: str, run: Callable[..., None], *, usage: str, help: str, flags: Sequence[click.Option] = (), examples: str = ""
    ) -> None:
        super().__init__(name, callback=run, params=list(flags), help=help, add_help_option=False)
        self.usage = usage
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments into the context."""
        own = [param for param in self.params if isinstance(param, click.Option)]
        parsed = _absorb(ctx, own, args)
        ctx.params = {option.name: option.default for option in own if option.name} | parsed.values
        invocation = ctx.ensure_object(Invocation)
        invocation.given_here = parsed.given
        invocation.dash_at = parsed.dash_at
        ctx.args = parsed.words
        return []

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        assert self.callback is not None
        return self.callback(ctx.ensure_object(Invocation), ctx.args, **ctx.params)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line's end."""
        return [self.usage] if self.usage else []

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples and where the global flags are."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")
        formatter.write(f"\n{SEE_OPTIONS}\n")


class Entry(NamedTuple):
    """Where a command is defined ("module:attribute"), its line in the list, and the list's heading."""

    target: str
    summary: str
    section: str = "Commands"


class Group(click.Group):
    """Commands by name, imported only when one is called, so that listing them costs nothing."""

    def __init__(self, name: str, entries: Mapping[str, Entry], *, help: str) -> None:
        super().__init__(name, help=help, add_help_option=False)
        self.entries = entries

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the global flags before the command's name."""
        ctx.args = _absorb(ctx, (), args, interspersed=False).words
        return ctx.args

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the named command; none shows the help, as etcdctl does."""
        if not ctx.args:
            write(f"{ctx.get_help()}\n".encode())
            return None
        name, *rest = ctx.args
        command = self.get_command(ctx, name)
        if command is None:
            raise fault.Fault(
                fault.ERROR, f'unknown command "{name}" for "{ctx.command_path}"', f"Run '{ctx.command_path} --help' for usage."
            )
        with command.make_context(name, rest, parent=ctx) as child:
            return child.command.invoke(child)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads one command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line's end."""
        return ["COMMAND", "[flags]"]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, by section, in the order it was written."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where the flags are."""
        formatter.write(f'\nUse "{ctx.command_path} COMMAND --help" for a command\'s flags and examples. {SEE_OPTIONS}\n')
