"""Encoded events: each change is encoded once, and its bytes are shared by every watcher that gets it. Hot path.

An item is one revision's `events` fields (tag 11 of WatchResponse) joined; a record is already the `kv` field of
mvccpb.Event, and a `prev_kv` is the earlier record under another tag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftkv.mvcc.kv import Event
from raftkv.mvcc.watch_state import NO_DELETE, NO_PUT, PREV_KV
from raftkv.wire import varint

Previous = Callable[[bytes, int], bytes | None]
"""Record of a key just before a revision; None when there was none or it is compacted."""


def encode_event(event: Event, previous: bytes | None = None) -> bytes:
    """One `events` field. PUT is the zero of its enum and so not written."""
    record = event.record
    if previous is not None:
        record = record + b"\x1a" + previous[1:]
    if event.is_delete:
        return b"\x5a%b\x08\x01%b" % (varint(len(record) + 2), record)
    return b"\x5a%b%b" % (varint(len(record)), record)


class EventBatch:
    """Some events in revision order, whole revisions, and their encoded forms as they are asked for."""

    __slots__ = ("_events", "_plain", "_previous", "_with_previous")

    def __init__(self, events: Sequence[Event], previous: Previous) -> None:
        self._events = events
        self._previous = previous
        self._plain: dict[int, bytes] = {}
        self._with_previous: dict[int, bytes] = {}

    def items(self, places: Sequence[int], variant: int, first_revision: int = 0) -> tuple[list[bytes], int, int]:
        """What watchers of a variant get of the events at these places.

        Returns:
            An item for each revision from the first one asked, empty if all are filtered; the revision of the last
            item; the number of events in them. The list is shared: nobody may change it.
        """
        events = self._events
        items: list[bytes] = []
        open_item: list[bytes] = []
        revision = count = 0
        encode = self._encode_with_previous if variant & PREV_KV else self._encode
        for place in places:
            event = events[place]
            if event.revision < first_revision or variant & (NO_DELETE if event.is_delete else NO_PUT):
                continue
            if event.revision != revision:
                if open_item:
                    items.append(open_item[0] if len(open_item) == 1 else b"".join(open_item))
                open_item = []
                revision = event.revision
            open_item.append(encode(place))
            count += 1
        if open_item:
            items.append(open_item[0] if len(open_item) == 1 else b"".join(open_item))
        return items, revision, count

    def _encode(self, place: int) -> bytes:
        encoded = self._plain.get(place)
        if encoded is None:
            encoded = self._plain[place] = encode_event(self._events[place])
        return encoded

    def _encode_with_previous(self, place: int) -> bytes:
        event = self._events[place]
        if event.is_create:
            return self._encode(place)
        encoded = self._with_previous.get(place)
        if encoded is None:
            encoded = self._with_previous[place] = encode_event(event, self._previous(event.key, event.revision))
        return encoded
