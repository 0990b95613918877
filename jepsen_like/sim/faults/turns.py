"""Who may take a machine's process down: one fault at a time for each machine, in the order in which they asked.

A fault that finds its machines taken waits for its turn instead of doing nothing. Whoever waits for several machines gets them
together and keeps later ones away from each of them meanwhile, so that nobody starves and nobody can wait in a circle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Turns:
    """Invariants: 1. a machine is one fault's at a time; 2. two that want one machine get it in the order in which they asked."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._line: list[tuple[frozenset[str], asyncio.Future[None]]] = []

    def is_held(self, host: str) -> bool:
        """A fault has the machine now."""
        return host in self._held

    async def take(self, hosts: Iterable[str]) -> None:
        """Waits until all of them are this fault's. Cancelled, it has none of them."""
        wanted = frozenset(hosts)
        place = wanted, asyncio.get_running_loop().create_future()
        self._line.append(place)
        self._serve()
        try:
            await place[1]
        except asyncio.CancelledError:
            # Granted and cancelled in one turn: it is given back.
            if place[1].done() and not place[1].cancelled():
                self.give_back(wanted)
            self._line = [one for one in self._line if one is not place]
            self._serve()
            raise

    def give_back(self, hosts: Iterable[str]) -> None:
        """They are free again."""
        self._held.difference_update(hosts)
        self._serve()

    def _serve(self) -> None:
        claimed = set(self._held)
        waiting = []
        for wanted, granted in self._line:
            if granted.done():
                continue
            if claimed.isdisjoint(wanted):
                self._held |= wanted
                granted.set_result(None)
            else:
                waiting.append((wanted, granted))
            claimed |= wanted
        self._line = waiting
