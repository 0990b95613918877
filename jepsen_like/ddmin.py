"""Leaving out of a failing sequence whatever it fails without: halves, then smaller and smaller chunks, down to single items.

Knows nothing of what fails. Source: delta debugging (Zeller and Hildebrandt 2002), without its tests of complements' parts, which cost
more than they find here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def _none(kept: Sequence[T], part: Sequence[T]) -> list[T]:
    return []


def smaller(
    whole: Sequence[T],
    fails: Callable[[list[T]], bool],
    *,
    tries_max: int,
    staying: Callable[[Sequence[T], Sequence[T]], list[T]] = _none,
) -> list[T]:
    """What is left of `whole`, in its order, when no single item more can be left out, within `tries_max` calls of `fails`.

    `whole` fails, which is not looked at. Of a part of what is kept, `staying(kept, part)` says what may not go, in its order.
    """
    kept = list(whole)
    chunk = max(len(kept) // 2, 1)
    while tries_max > 0:
        place, before = 0, len(kept)
        while place < len(kept) and tries_max > 0:
            stay = staying(kept, kept[place : place + chunk])
            rest = kept[:place] + stay + kept[place + chunk :]
            tries_max -= len(rest) < len(kept)
            if len(rest) < len(kept) and fails(rest):
                kept = rest
                place += len(stay)
            else:
                place += chunk
        if chunk == 1 and len(kept) == before:
            break
        chunk = max(chunk // 2, 1)
    return kept
