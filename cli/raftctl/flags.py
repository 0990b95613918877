"""Command lines as etcdctl reads them: flags anywhere, `--flag value` or `--flag=value`, `--` ends them.

Click holds the command tree and writes the help; reading the arguments is done here, since scripts written for etcdctl depend on
what click does not do: global flags after the command, `--bool=false`, Go's numbers and durations, Go's messages.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Any

import click

from raftctl import fault
from raftctl.go_text import GoTextError, parse_bool, parse_duration_s, parse_int, quote


class Kind(click.ParamType[Any]):
    """A flag's type: how its text is read."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self.read = read


def _read_list(text: str) -> list[str]:
    return next(csv.reader([text]), []) if text else []


STRING = Kind("string", str)
INT64 = Kind("int", parse_int)
DURATION = Kind("duration", parse_duration_s)
STRING_LIST = Kind("strings", _read_list)
BOOL = Kind("bool", parse_bool)


def flag(name: str, kind: Kind, default: Any, help: str, *, short: str = "", shown: str = "") -> click.Option:
    """One flag.

    Args:
        name: without dashes.
        kind: one of the kinds above.
        default: its value when absent.
        help: one line.
        short: its one-letter form.
        shown: how the default is written in the help; nothing for an empty one.
    """
    text = f"{help} (default {shown})" if shown else help
    names = [f"-{short}"] if short else []
    return click.Option(
        [*names, f"--{name}", name.replace("-", "_")], type=kind, default=default, help=text, metavar="" if kind is BOOL else kind.name
    )


class Parsed:
    """What a command line held: values by parameter name, the names that were given, the other words, and where `--` stood."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.given: set[str] = set()
        self.words: list[str] = []
        self.dash_at: int | None = None
        self.help = False


def parse(options: Sequence[click.Option], arguments: Sequence[str], *, interspersed: bool = True) -> Parsed:
    """Reads a command line.

    Args:
        options: the flags that are known.
        arguments: the words.
        interspersed: whether flags may follow other words.

    Raises:
        Fault: an unknown flag or a wrong value.
    """
    reader = _Reader(options, arguments)
    reader.run(interspersed=interspersed)
    return reader.parsed


class _Reader:
    def __init__(self, options: Sequence[click.Option], arguments: Sequence[str]) -> None:
        self.parsed = Parsed()
        self._by_name = {name: option for option in options for name in option.opts}
        self._queue = list(reversed(arguments))

    def run(self, *, interspersed: bool) -> None:
        parsed = self.parsed
        while self._queue and not parsed.help:
            word = self._queue.pop()
            if word == "--":
                parsed.dash_at = len(parsed.words)
                break
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._short(word)
            else:
                parsed.words.append(word)
                if not interspersed:
                    break
        parsed.words.extend(reversed(self._queue))

    def _long(self, word: str) -> None:
        name, separator, value = word.partition("=")
        if name == "--help":
            self.parsed.help = True
            return
        option = self._by_name.get(name)
        if option is None:
            raise fault.Fault(fault.ERROR, f"unknown flag: {name}")
        if separator:
            self._store(option, value)
        elif option.type is BOOL:
            self._store(option, "true")
        elif self._queue:
            self._store(option, self._queue.pop())
        else:
            raise fault.Fault(fault.ERROR, f"flag needs an argument: {name}")

    def _short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self._by_name.get(f"-{letter}")
            if option is None:
                if letter == "h":
                    self.parsed.help = True
                    return
                raise fault.Fault(fault.ERROR, f"unknown shorthand flag: {letter!r} in {word}")
            if letters.startswith("="):
                self._store(option, letters[1:])
                return
            if option.type is BOOL:
                self._store(option, "true")
                continue
            if letters:
                self._store(option, letters)
            elif self._queue:
                self._store(option, self._queue.pop())
            else:
                raise fault.Fault(fault.ERROR, f"flag needs an argument: {letter!r} in {word}")
            return

    def _store(self, option: click.Option, text: str) -> None:
        name = option.name
        assert name is not None
        value = read(option, text)
        if option.type is STRING_LIST and name in self.parsed.given:
            value = self.parsed.values[name] + value
        self.parsed.values[name] = value
        self.parsed.given.add(name)


def read(option: click.Option, text: str) -> Any:
    """The value of a flag's text.

    Raises:
        Fault: the text is no value of its kind.
    """
    assert isinstance(option.type, Kind)
    try:
        return option.type.read(text)
    except GoTextError as exc:
        shown = quote(text.encode(errors="surrogateescape"))
        raise fault.Fault(fault.ERROR, f'invalid argument {shown} for "{", ".join(option.opts)}" flag: {exc}') from exc
