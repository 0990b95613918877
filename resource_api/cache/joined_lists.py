"""Lists as bytes: made in slices, once for all who want the same list at the same time, and kept while the collection does not change.

Loop only. Hot path: `joined` of an unchanged collection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence

from resource_api.cache.item import Item
from resource_api.turns import Turn

STEP = 64
"""Items between two looks at the time: a spliced one takes half a microsecond."""

Encode = Callable[[Item], bytes]


async def join(items: Sequence[Item], encode: Encode, separator: bytes) -> bytes:
    """All items as bytes. A list that takes less than a turn is made without waiting."""
    turn = Turn()
    parts: list[bytes] = []
    for first in range(0, len(items), STEP):
        if turn.is_over:
            await turn.next()
        parts.extend(map(encode, items[first : first + STEP]))
    return separator.join(parts)


class JoinedLists:
    """Of one collection.

    Invariants: 1. what is kept was made of items that have not changed since; 2. it is no more than `bytes_max` in all.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept: dict[Hashable, bytes] = {}
        self.kept_bytes = 0
        self._making: dict[Hashable, asyncio.Future[bytes | None]] = {}

    def forget(self) -> None:
        """The collection has changed."""
        if self._kept:
            self._kept = {}
            self.kept_bytes = 0
        if self._making:
            # They are finished for those who wait, and kept for nobody.
            self._making = {}

    async def joined(self, name: Hashable, items: Sequence[Item], encode: Encode, separator: bytes) -> bytes:
        """The bytes of the list of that name; `items` are the collection's at the call."""
        made = self._kept.get(name)
        while made is None:
            making = self._making.get(name)
            if making is None:
                return await self._make(name, items, encode, separator)
            # None: who made it was cancelled.
            made = await asyncio.shield(making)
        return made

    async def _make(self, name: Hashable, items: Sequence[Item], encode: Encode, separator: bytes) -> bytes:
        future = self._making[name] = asyncio.get_running_loop().create_future()
        made: bytes | None = None
        try:
            made = await join(items, encode, separator)
        finally:
            if self._making.get(name) is future:
                del self._making[name]
                if made is not None:
                    self._keep(name, made)
            future.set_result(made)
        return made

    def _keep(self, name: Hashable, made: bytes) -> None:
        if len(made) > self._bytes_max:
            return
        if self.kept_bytes + len(made) > self._bytes_max:
            self._kept = {}
            self.kept_bytes = 0
        self._kept[name] = made
        self.kept_bytes += len(made)
