"""Which keys a call is about: one key, a prefix, a half-open range, or all.

etcd writes each of them as a pair (key, range_end). Source: etcd-behaviour.md §1.2, Range.
"""

from __future__ import annotations

from dataclasses import dataclass

OPEN_END = b"\x00"
"""The `range_end` that means "no end"; as a key it is the smallest there is."""


def encode(key: bytes | str) -> bytes:
    """Keys and values are bytes; text is taken as UTF-8."""
    return key.encode() if isinstance(key, str) else key


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all keys that begin with `prefix`: its last byte below 0xff is raised, what follows is dropped."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else OPEN_END


@dataclass(frozen=True, slots=True)
class Prefix:
    """All keys that begin with `prefix`; the empty prefix is every key."""

    prefix: bytes | str


@dataclass(frozen=True, slots=True)
class KeyRange:
    """All keys from `start` up to but not including `end`; no `end` means all from `start` on."""

    start: bytes | str
    end: bytes | str | None = None


Selection = bytes | str | Prefix | KeyRange

ALL = Prefix(b"")


def bounds(selection: Selection) -> tuple[bytes, bytes]:
    """The (key, range_end) pair that etcd's requests carry for a selection."""
    if isinstance(selection, Prefix):
        prefix = encode(selection.prefix)
        return (prefix, prefix_end(prefix)) if prefix else (OPEN_END, OPEN_END)
    if isinstance(selection, KeyRange):
        start = encode(selection.start) or OPEN_END
        return (start, OPEN_END if selection.end is None else encode(selection.end))
    return encode(selection), b""
