"""SEAM: what a watch stream of the server and the watch hub say to each other.

The hub (`mvcc/watch_hub.py`) owns watchers; the sink is one client's watch stream (`rpc/watch.py`), which owns framing.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class WatchSpec(NamedTuple):
    """A watcher as asked for. `start_revision` 0 means from the next change."""

    key: bytes
    range_end: bytes
    start_revision: int = 0
    prev_kv: bool = False
    no_put: bool = False
    no_delete: bool = False
    progress_notify: bool = False
    fragment: bool = False


class WatchSink(Protocol):
    """Receives for every watcher of one watch stream. Called on the loop; must not call back into the hub."""

    def on_events(self, watch_id: int, revision: int, events: list[bytes]) -> None:
        """Events for one watcher, all revisions whole; each item is one revision's encoded `events` fields (tag 11) joined.

        `revision` is the one for the response header. The list and its items are shared by many sinks: read only.
        """

    def on_progress(self, watch_id: int, revision: int) -> None:
        """Every event up to `revision` was delivered; watch_id -1 answers a progress request for the whole stream."""

    def on_compacted(self, watch_id: int, compact_revision: int) -> None:
        """The watcher is gone: history it needs was compacted."""

    def writable(self) -> bool:
        """False while the stream holds more unsent bytes than its bound: the hub then demotes its watchers to catch-up.

        A sink that has answered False calls `WatchStream.resume` when it is writable again.
        """


class WatchStream(Protocol):
    """The hub's side of one watch stream."""

    def create(self, watch_id: int, spec: WatchSpec) -> None:
        """Adds a watcher; ids are unique in the stream (the sink picks them). Events begin in a later turn."""

    def cancel(self, watch_id: int) -> bool:
        """Removes it; no events for the id after this returns. False when there is none."""

    def request_progress(self) -> None:
        """Answered by on_progress(-1, …) once every watcher of the stream is synced; dropped when there is no watcher."""

    def resume(self) -> None:
        """The sink is writable again."""

    def close(self) -> None:
        """Removes every watcher."""
