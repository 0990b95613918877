"""How deep values may nest: one bound for everything that is sent, patched, stored or read back.

Whatever works on values by recursion does so within it: `RECURSION_LIMIT` holds the frames of the deepest of them, because what is
taken must be served, printed, merged and deleted later. Upstream's decoders stop at 10 000. Hot path: `is_too_deep`, `may_be_too_deep`.
"""

from __future__ import annotations

import sys

from resource_api.errors import Json

DEPTH_MAX = 500
"""Objects and arrays inside one another, the outermost counted. Real definitions nest 60 deep, and what is owned of them a little more."""

FRAMES_PER_LEVEL_MAX = 12
"""Python frames for one level: the most wasteful of our functions takes three (`tests/resource_api/test_depth.py`)."""

RECURSION_LIMIT = DEPTH_MAX * FRAMES_PER_LEVEL_MAX + 2000
"""Of the interpreter; the rest is for what calls them. Threads' stacks hold this: 8 MiB take 10 000 levels of any decoder."""

TEXT = "exceeded max depth"
"""What upstream's decoder says."""


def allow_recursion() -> None:
    """Raises the interpreter's limit to `RECURSION_LIMIT`, and never lowers it. Whoever serves objects calls it first."""
    if sys.getrecursionlimit() < RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)


def may_be_too_deep(text: bytes) -> bool:
    """False only when JSON has too few brackets to nest too deep; takes 0.1 us for a kilobyte."""
    return text.count(b"{") + text.count(b"[") > DEPTH_MAX


def is_too_deep(value: Json, depth_max: int = DEPTH_MAX) -> bool:
    """Whether more containers than that lie inside one another. Takes 50 ns for each value, level by level and not by recursion."""
    level = [value] if type(value) is dict or type(value) is list else []
    for _ in range(depth_max):
        if not level:
            return False
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
    return bool(level)
