"""What a flag is: how its text is read, what its value does here, and where its name stands in the table.

Knows types only; the rows themselves stand in `flag_table.py`. Source: Go's flag package and etcd's pkg/flags.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from raftkv.config import values


class Kind(enum.Enum):
    """How a flag's text is read; the value is what the help shows."""

    STRING = "string"
    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    UINT32 = "uint32"
    DURATION = "duration"
    URLS = "urls"
    CSV = "list"
    STATE = "new|existing"
    FALLBACK = "exit|proxy"
    GATES = "Name=true,..."
    IGNORED = "anything"


class Use(enum.Enum):
    """What a value other than the default does."""

    USED = "goes into the settings"
    INERT = "accepted with a warning: it tunes or shows something this server does not have"
    REFUSED = "ends the start: going on without it would be unsafe, or would form another cluster than the one asked for"
    SILENT = "accepted: there is nothing a user could miss"


@dataclass(frozen=True, slots=True)
class Flag:
    """One row of the table."""

    group: str
    name: str
    kind: Kind
    default: str
    use: Use
    help: str
    current: str = ""
    """For a name that newer releases dropped: the flag that has its meaning now."""

    @property
    def stands_alone(self) -> bool:
        """Whether `-name` needs no value; then `-name value` makes the value a stray argument, as in Go."""
        return self.kind in (Kind.BOOL, Kind.IGNORED)

    def parse(self, text: str) -> object:
        """The typed value; raises ValueError with the text Go prints after the value and the flag's name."""
        return PARSERS[self.kind](text)


GATES = {
    "AllAlpha": False,
    "AllBeta": False,
    "CompactHashCheck": False,
    "FastLeaseKeepAlive": True,
    "InitialCorruptCheck": False,
    "LeaseCheckpoint": False,
    "LeaseCheckpointPersist": False,
    "PriorityRequest": False,
    "SetMemberLocalAddr": False,
    "StopGRPCServiceOnDefrag": False,
    "TxnModeWriteWithSharedBuffer": True,
}
"""Feature gates and their defaults."""


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError("invalid value")
        return text

    return parse


def _duration(text: str) -> int:
    try:
        return values.parse_duration_ns(text)
    except ValueError as exc:
        # Go's flag package shows none of the reason.
        raise ValueError("parse error") from exc


def _gates(text: str) -> tuple[tuple[str, bool], ...]:
    chosen = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"missing bool value for {name}")
        if name not in GATES:
            raise ValueError(f"unrecognized feature gate: {name}")
        try:
            chosen[name] = values.parse_bool(value)
        except ValueError as exc:
            raise ValueError(f"invalid value of {part}, err: strconv.ParseBool: parsing {values.quote(value)}: invalid syntax") from exc
    return tuple(sorted(chosen.items()))


PARSERS: dict[Kind, Callable[[str], object]] = {
    Kind.STRING: str,
    Kind.BOOL: values.parse_bool,
    Kind.INT: lambda text: values.parse_int(text, lowest=-values.INT64_MAX - 1, highest=values.INT64_MAX),
    Kind.UINT: lambda text: values.parse_int(text, lowest=0, highest=values.UINT64_MAX),
    Kind.UINT32: values.parse_uint32,
    Kind.DURATION: _duration,
    Kind.URLS: values.parse_urls,
    Kind.CSV: lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
    Kind.STATE: _one_of("new", "existing"),
    Kind.FALLBACK: _one_of("exit", "proxy"),
    Kind.GATES: _gates,
    Kind.IGNORED: str,
}
