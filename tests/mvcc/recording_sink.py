"""A watch sink that holds so many responses and keeps what it was told, decoded."""

from __future__ import annotations

from typing import NamedTuple

from raftkv.pb import kv, rpc


class Told(NamedTuple):
    """One call of the hub."""

    what: str
    watch_id: int
    revision: int
    events: tuple[tuple[kv.Event, ...], ...] = ()


def decode(item: bytes) -> tuple[kv.Event, ...]:
    """One revision's events, as a client decodes them."""
    response = rpc.WatchResponse.FromString(item)
    assert response == rpc.WatchResponse(events=response.events), "only events are in an item"
    return tuple(response.events)


class RecordingSink:
    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.told: list[Told] = []

    def on_events(self, watch_id: int, revision: int, events: list[bytes]) -> None:
        assert self.room > 0, "a full sink was handed events"
        assert events
        self.room -= 1
        self.told.append(Told("events", watch_id, revision, tuple(map(decode, events))))

    def on_progress(self, watch_id: int, revision: int) -> None:
        self.told.append(Told("progress", watch_id, revision))

    def on_compacted(self, watch_id: int, compact_revision: int) -> None:
        self.told.append(Told("compacted", watch_id, compact_revision))

    def writable(self) -> bool:
        return self.room > 0

    def take(self) -> list[Told]:
        told, self.told = self.told, []
        return told

    def revisions(self, watch_id: int = 0) -> list[int]:
        """Revisions a watcher was given, in the order given."""
        return [
            item[0].kv.mod_revision for told in self.told if told.what == "events" and told.watch_id == watch_id for item in told.events
        ]
