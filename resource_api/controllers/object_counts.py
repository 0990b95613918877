"""How many objects there are of each kind, for the metrics page: counted as they come and go, since a scrape must not walk them all."""

from __future__ import annotations

from collections.abc import Iterator

from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.registry.measured_store import ResourceOf, storage_path_of


class ObjectCounts:
    """Follows the index."""

    def __init__(self, index: ObjectIndex, resource_of: ResourceOf) -> None:
        self._resource_of = resource_of
        self._counts: dict[str, int] = {}
        """By storage path."""
        index.listen(self._on_change)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        if old is None and new is not None:
            self._add(new, 1)
        elif old is not None and new is None:
            self._add(old, -1)

    def _add(self, entry: Entry, change: int) -> None:
        path = storage_path_of(entry.key)
        count = self._counts.get(path, 0) + change
        if count:
            self._counts[path] = count
        else:
            del self._counts[path]

    def samples(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        """One gauge for each kind of which there is an object."""
        for path, count in self._counts.items():
            group, plural = self._resource_of(path)
            yield "apiserver_resource_objects", (("group", group), ("resource", plural)), count
