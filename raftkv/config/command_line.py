"""Go's flag syntax over the table: `-x v`, `--x=v`, `--flag`, `--flag=false`, `--` ends the flags.

Pure: takes the arguments, returns what was said. The texts are Go's, because scripts and people know them.
Source: Go's flag package, `parseOne`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from raftkv.config.flag_table import FLAGS
from raftkv.config.flags import Flag

HELP = ("h", "help")

OWN = ("version", "config-file")
"""Flags of the command itself; they set nothing of the member."""


@dataclass(slots=True)
class Arguments:
    """What the command line said."""

    texts: dict[str, str] = field(default_factory=dict)
    """Flag name -> text; the last one wins."""

    faults: list[str] = field(default_factory=list)
    """Go's messages, in the order of the arguments."""

    wants_help: bool = False
    wants_version: bool = False
    config_file: str = ""

    stray: str | None = None
    """The first argument that is no flag; Go stops reading there."""


def read_arguments(arguments: Sequence[str]) -> Arguments:
    """Reads the arguments; never raises. A broken syntax ends the reading, a bad value does not, so that all are reported."""
    result = Arguments()
    left = list(arguments)
    while left and left[0][:1] == "-" and len(left[0]) > 1:
        word = left.pop(0)
        if word == "--":
            break
        name, equals, text = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name[0] == "-":
            result.faults.append(f"bad flag syntax: {word}")
            return result
        if name in HELP and name not in FLAGS:
            result.wants_help = True
            return result
        if not _known(name):
            result.faults.append(f"flag provided but not defined: -{name}")
            return result
        if not equals:
            if _stands_alone(name):
                text = "true"
            elif left:
                text = left.pop(0)
            else:
                result.faults.append(f"flag needs an argument: -{name}")
                return result
        _set(result, name, text)
    result.stray = left[0] if left else None
    return result


def _known(name: str) -> bool:
    return name in FLAGS or name in OWN


def _stands_alone(name: str) -> bool:
    return FLAGS[name].stands_alone if name in FLAGS else name == "version"


def _set(result: Arguments, name: str, text: str) -> None:
    if name == "config-file":
        result.config_file = text
    elif name == "version":
        result.wants_version = text in ("true", "t", "T", "True", "TRUE", "1")
    else:
        fault = value_fault(FLAGS[name], text, f"flag -{name}")
        if fault:
            result.faults.append(fault)
        result.texts[name] = text


def value_fault(flag: Flag, text: str, origin: str) -> str:
    """Go's message for a text the flag does not take, or the empty text. `origin` is `flag -x` or a variable's name."""
    try:
        flag.parse(text)
    except ValueError as exc:
        if flag.stands_alone and origin.startswith("flag "):
            return f'invalid boolean value "{text}" for -{flag.name}: {exc}'
        return f'invalid value "{text}" for {origin}: {exc}'
    return ""
