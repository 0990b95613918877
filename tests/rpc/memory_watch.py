"""The watch stream of the member in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raftkv.server.api import WatchSink, WatchSpec

if TYPE_CHECKING:
    from tests.rpc.memory_member import MemoryMember


@dataclass
class Watcher:
    spec: WatchSpec
    next_revision: int


class MemoryWatchStream:
    """Delivers in a later turn, one response per watcher and revision when live, ≤ 1000 revisions joined when behind."""

    def __init__(self, member: MemoryMember, sink: WatchSink) -> None:
        self._member = member
        self._sink = sink
        self._watchers: dict[int, Watcher] = {}

    def create(self, watch_id: int, spec: WatchSpec) -> None:
        assert watch_id not in self._watchers
        self._watchers[watch_id] = Watcher(replace_range(spec), spec.start_revision or self._member.revision + 1)
        self._member._schedule(self.pump)

    def cancel(self, watch_id: int) -> bool:
        return self._watchers.pop(watch_id, None) is not None

    def request_progress(self) -> None:
        self._member._schedule(self._progress)

    def resume(self) -> None:
        self._member._schedule(self.pump)

    def close(self) -> None:
        self._watchers.clear()
        self._member.forget(self)

    def pump(self) -> None:
        for watch_id, watcher in list(self._watchers.items()):
            if not self._sink.writable() or watch_id not in self._watchers:
                continue
            if watcher.next_revision < self._member.compact_revision:
                del self._watchers[watch_id]
                self._sink.on_compacted(watch_id, self._member.compact_revision)
                continue
            pending = self._member.changes_for(watcher.spec, watcher.next_revision)
            batch = sorted(pending)[:1000]
            if batch:
                watcher.next_revision = batch[-1] + 1
                self._sink.on_events(watch_id, self._member.revision, [b"".join(pending[one]) for one in batch])
                self._member._schedule(self.pump)
            else:
                watcher.next_revision = max(watcher.next_revision, self._member.revision + 1)

    def _progress(self) -> None:
        self.pump()
        if self._watchers and all(one.next_revision > self._member.revision for one in self._watchers.values()):
            self._sink.on_progress(-1, self._member.revision)


def replace_range(spec: WatchSpec) -> WatchSpec:
    return spec._replace(key=bytes(spec.key), range_end=bytes(spec.range_end))
