"""Keeping something derived from a collection up to date with its watch cache: an index of roles, the set of custom kinds. Loop only.

A value that cannot be decoded is told in the log and is as good as none: one damaged role is no reason not to serve the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from resource_api.cache.item import Event, Item, readable
from resource_api.cache.watch_cache import WatchCache


def _told(event: Event) -> Event | None:
    """A change to something that cannot be decoded takes away what was known; one from it brings something new."""
    if readable([event.item]):
        return event
    if event.previous is not None and event.previous.key == event.item.key and readable([event.previous]):
        return Event("DELETED", event.previous, None, event.revision)
    return None


async def follow(
    cache: WatchCache, replace: Callable[[Sequence[Item]], None], change: Callable[[Event], None], ready: asyncio.Event
) -> None:
    """Hands over all there is, sets `ready`, then every change in order; all anew when the cache lost count. Until it is cancelled."""
    while True:
        await cache.ready()
        replace(readable(cache.items_nowait()))
        subscription = cache.subscribe("", None, after_revision=cache.revision)
        ready.set()
        try:
            while not subscription.is_over or not subscription.is_drained:
                await subscription.wait()
                for event in filter(None, map(_told, subscription.take_nowait())):
                    change(event)
        finally:
            cache.unsubscribe(subscription)
        await asyncio.sleep(0)
