"""Text of a page as people can see it: what is no printable character stands there as the escape by which Python names it.

Keys and values are any bytes, and a page is a text file: raw controls would be lost in a browser, act on a terminal, or turn the
direction of what follows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNSEEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
"""Controls but for tab and line feed, characters without width, changes of direction, halves of a pair, and what is no character."""


def printable(text: str) -> str:
    """The same, with `\\x00` for a zero byte."""
    return _UNSEEN.sub(_escaped, text)


def printable_data(data: Any) -> Any:
    """The same of every text in lists, tuples and the values of mappings."""
    if isinstance(data, str):
        return printable(data)
    if isinstance(data, Mapping):
        return {name: printable_data(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [printable_data(value) for value in data]
    return data


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
