r"""Classes of characters by the names that Go's regular expressions give them: `\p{L}`, `\p{Greek}`, `\p{Letter}`; and sets of characters.

The ranges are those of Go's tables (`tools/kube/unicode_classes.go`), whose Unicode is not Python's. Read on first use: 3 ms.
"""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]
"""First and last code points, in order, apart from one another."""

LAST = 0x10FFFF
ANY: Ranges = ((0, LAST),)


@functools.cache
def _classes() -> dict[str, str]:
    data = pkgutil.get_data("resource_api.schema", "data/unicode_classes.txt")
    assert data is not None
    lines = [line.split("\t") for line in data.decode().splitlines() if not line.startswith("#")]
    return {_plain(name): text for name, text in lines}


def _plain(name: str) -> str:
    """Names are the same whatever their case, with blanks, hyphens and underscores or without."""
    return name.lower().replace(" ", "").replace("-", "").replace("_", "")


@functools.lru_cache(maxsize=64)
def class_named(name: str) -> Ranges | None:
    """The characters of a class; None when no class has this name."""
    plain = _plain(name)
    if plain == "any":
        return ANY
    if plain == "ascii":
        return ((0, 0x7F),)
    if plain == "assigned":
        return without(_read(_classes()["cn"]))
    text = _classes().get(plain)
    if text is not None and text.startswith("="):
        text = _classes()[_plain(text[1:])]
    return None if text is None else _read(text)


def _read(text: str) -> Ranges:
    found = []
    for one in text.split(" "):
        first, _, last = one.partition("-")
        found.append((int(first, 16), int(last or first, 16)))
    return tuple(found)


def without(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """All other characters."""
    found, next_free = [], 0
    for first, last in sorted(ranges):
        if first > next_free:
            found.append((next_free, first - 1))
        next_free = max(next_free, last + 1)
    if next_free <= LAST:
        found.append((next_free, LAST))
    return tuple(found)


def as_members(ranges: Ranges) -> str:
    """As Python's syntax has them between brackets."""
    return "".join(rf"\U{first:08x}" if first == last else rf"\U{first:08x}-\U{last:08x}" for first, last in ranges)
