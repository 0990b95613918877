"""Keeping something derived from a collection up to date with its watch cache: an index of roles, the set of custom kinds. Loop only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from resource_api.cache.item import Event, Item
from resource_api.cache.watch_cache import WatchCache


async def follow(
    cache: WatchCache, replace: Callable[[Sequence[Item]], None], change: Callable[[Event], None], ready: asyncio.Event
) -> None:
    """Hands over all there is, sets `ready`, then every change in order; all anew when the cache lost count. Until it is cancelled."""
    while True:
        await cache.ready()
        replace(cache.items_nowait())
        subscription = cache.subscribe("", None, after_revision=cache.revision)
        ready.set()
        try:
            while not subscription.is_over or not subscription.is_drained:
                await subscription.wait()
                for event in subscription.take_nowait():
                    change(event)
        finally:
            cache.unsubscribe(subscription)
        await asyncio.sleep(0)
