"""How far Python's engine may go back in a pattern: the length of text up to which its work is bounded, judged from the pattern alone."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from re import ASCII, MULTILINE
from re import _constants as codes  # type: ignore[attr-defined]  # the only parse tree Python offers; its shape is tested
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

WAYS_MAX = 200_000
"""Ways through a text that are still few: some milliseconds."""

WAYS_PER_CHARACTER_MAX = 2
"""One run of a character can be cut anywhere: that is as good as reading the text."""

UNBOUNDED = 1 << 62

_LENGTHS = (UNBOUNDED, *(1 << power for power in range(22, 3, -1)))


def harmless_characters(pattern: str) -> int:
    """Up to how many characters the engine may be used; `UNBOUNDED` for any text, 0 for none."""
    tree = parser.parse(pattern, ASCII)
    parts = list(tree)
    choices: list[int] = []
    if not _collect(parts, choices, is_repeated=False):
        return 0
    is_anchored = bool(parts) and parts[0][0] is codes.AT and _begins(parts[0][1], tree.state.flags)
    if not is_anchored:
        choices.append(UNBOUNDED)
    for length in _LENGTHS:
        if prod(min(one, length) + 1 for one in choices) <= max(WAYS_MAX, length * WAYS_PER_CHARACTER_MAX):
            return length
    return 0


def _begins(kind: Any, flags: int) -> bool:
    return kind is codes.AT_BEGINNING_STRING or (kind is codes.AT_BEGINNING and not flags & MULTILINE)


def _collect(parts: Iterable[Any], choices: list[int], *, is_repeated: bool) -> bool:
    """Adds how many more ways each part has than one; False when ways multiply inside of a repetition."""
    for code, argument in parts:
        if code is codes.SUBPATTERN:
            if not _collect(argument[3], choices, is_repeated=is_repeated):
                return False
        elif code is codes.BRANCH:
            if is_repeated or not all(_collect(one, choices, is_repeated=False) for one in argument[1]):
                return False
            choices.append(len(argument[1]) - 1)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, inner = argument
            if (is_repeated and most != least) or not _collect(inner, choices, is_repeated=is_repeated or most > 1):
                return False
            if most != least:
                choices.append(UNBOUNDED if most is codes.MAXREPEAT else int(most) - int(least))
    return True
