"""Old revisions of the store are given up, five minutes after they were new: nobody else does that to an etcd that only API servers use.

Any number of servers share the work by one key of the store (spec E.3). In each interval every server tries to write the key with the
version it knows; one succeeds, and gives up everything before the revision it had seen at its own last turn, so that a revision can be read
for one interval at least. The others learn the key's version and try again an interval later; whoever wins goes on winning while it lives.
Upstream: apiserver pkg/storage/etcd3/compact.go. A member inside this process gives its history up by itself. Loop only.
"""

from __future__ import annotations

import asyncio
import logging

from resource_api.registry.store import Store, StoreError

log = logging.getLogger("resource_api.store")


class Compactor:
    """Invariant: nothing younger than one interval is given up."""

    def __init__(self, store: Store, interval_s: float) -> None:
        assert interval_s > 0
        self._store = store
        self._interval_s = interval_s
        self._turn = 0
        self._seen = 0
        """The store's revision one interval ago; 0 before the first turn."""
        self.compacted = 0
        """What this server has given up last."""

    async def run(self) -> None:
        """Until it is cancelled. A store that fails is tried again an interval later."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self._take_turn()
            except StoreError as error:
                log.warning("the store's history was not compacted", extra={"fields": {"error": str(error)}})

    async def _take_turn(self) -> None:
        turn = await self._store.compaction_turn(self._turn, self._seen)
        before, self._turn, self._seen = self._seen, turn.number, turn.revision
        if turn.won and before:
            await self._store.compact(before)
            self.compacted = before
            log.info("the store's history was compacted", extra={"fields": {"revision": before}})
