"""What the cache hands out: objects and events of one collection, decoded and encoded at most once for all who want them.

Immutable but for what is remembered. Hot path: `Event.encoded` is called per watcher, everything behind it once per representation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

from resource_api.errors import Object, UndecodableError
from resource_api.registry.store import Stored

log = logging.getLogger("resource_api.cache")

Decode = Callable[[Stored], Object]
"""From the store's bytes to the object in one resource's version; raises UndecodableError."""

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

ITEM_OVERHEAD_BYTES = 256
"""What an item and an event take besides the value, about."""


class Item:
    """One stored object."""

    __slots__ = ("_decode", "_object", "_views", "is_sound", "stored")

    def __init__(self, stored: Stored, decode: Decode) -> None:
        self.stored = stored
        self._decode = decode
        self._object: Object | None = None
        self._views: dict[Decode, Item] | None = None
        self.is_sound = False
        """Whether somebody who answers the value as it is stored has found it to be of its kind."""

    @property
    def key(self) -> str:
        """Below the store's prefix."""
        return self.stored.key

    @property
    def value(self) -> bytes:
        """As stored."""
        return self.stored.value

    @property
    def revision(self) -> int:
        """Its resourceVersion."""
        return self.stored.revision

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, roughly, not decoded."""
        return len(self.stored.value) + ITEM_OVERHEAD_BYTES

    def object(self) -> Object:
        """The decoded object, read-only: copy before changing. Raises UndecodableError."""
        if self._object is None:
            self._object = self._decode(self.stored)
        return self._object

    def seen_as(self, decode: Decode) -> Item:
        """The same object in another resource's version."""
        if decode is self._decode:
            return self
        if self._views is None:
            self._views = {}
        view = self._views.get(decode)
        if view is None:
            view = self._views[decode] = Item(self.stored, decode)
        return view

    def forget_views(self) -> None:
        """Nobody reads it in those versions any more."""
        self._views = None


class Event:
    """One change. The item of a deletion is the last state with the deletion's revision."""

    __slots__ = ("_arrived", "_departed", "_encoded", "_views", "item", "previous", "revision", "type")

    def __init__(self, type: EventType, item: Item, previous: Item | None, revision: int) -> None:
        self.type = type
        self.item = item
        self.previous = previous
        self.revision = revision
        self._encoded: dict[Hashable, bytes] = {}
        self._arrived: Event | None = None
        self._departed: Event | None = None
        self._views: dict[Decode, Event] | None = None

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, roughly."""
        return self.item.size_bytes + (0 if self.previous is None else self.previous.size_bytes)

    def encoded(self, representation: Hashable, encode: Callable[[Event], bytes]) -> bytes:
        """Its bytes in one representation, made by whoever asks first."""
        made = self._encoded.get(representation)
        if made is None:
            made = self._encoded[representation] = encode(self)
        return made

    def as_arrival(self) -> Event:
        """What a watcher is told whose selection the object now enters."""
        if self.type == "ADDED":
            return self
        if self._arrived is None:
            self._arrived = Event("ADDED", self.item, None, self.revision)
        return self._arrived

    def as_departure(self, decode: Decode) -> Event:
        """What a watcher is told whose selection the object now leaves: the state that was selected, with this revision."""
        if self.type == "DELETED":
            return self
        if self._departed is None:
            assert self.previous is not None
            last = Item(Stored(self.item.key, self.previous.value, self.revision), decode)
            self._departed = Event("DELETED", last, self.previous, self.revision)
        return self._departed

    def seen_as(self, decode: Decode) -> Event:
        """The same change in another resource's version."""
        item = self.item.seen_as(decode)
        if item is self.item:
            return self
        if self._views is None:
            self._views = {}
        view = self._views.get(decode)
        if view is None:
            previous = None if self.previous is None else self.previous.seen_as(decode)
            view = self._views[decode] = Event(self.type, item, previous, self.revision)
        return view


def readable(items: Sequence[Item]) -> list[Item]:
    """Those that can be decoded; the others are told in the log."""
    return [item for item in items if _is_readable(item)]


def _is_readable(item: Item) -> bool:
    try:
        item.object()
    except UndecodableError as error:
        log.error("a stored object is left out", extra={"fields": {"key": error.key, "revision": error.revision, "error": str(error)}})
        return False
    return True
