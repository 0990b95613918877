"""All resources of the server, by group, version and plural: what handlers, plugins and controllers look things up in. Loop only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from resource_api.cache.item import Item
from resource_api.errors import Object
from resource_api.registry.resource import Resource
from resource_api.schema.kinds import GroupVersionKind

ResourceName = tuple[str, str, str]
"""Group, version, plural."""


class Api:
    """Resources in discovery order.

    Invariants: 1. a (group, version, plural) names one resource; 2. the first version of a group that has a plural is its preferred one.
    """

    def __init__(self) -> None:
        self._resources: dict[ResourceName, Resource] = {}
        self._kinds: dict[GroupVersionKind, Resource] = {}
        self._preferred: dict[tuple[str, str], Resource] = {}
        self._listeners: list[Callable[[], None]] = []

    def add(self, *resources: Resource) -> None:
        """Serves them from now on, in place of those of the same names."""
        for resource in resources:
            self._resources[resource.type.group, resource.type.version, resource.type.plural] = resource
        self._changed()

    def remove(self, *names: ResourceName) -> None:
        """Serves them no more."""
        for name in names:
            self._resources.pop(name, None)
        self._changed()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Called after each add and remove: what is derived from the set of resources is then old."""
        self._listeners.append(listener)

    def _changed(self) -> None:
        self._kinds = {one.type.gvk: one for one in self._resources.values()}
        self._preferred = {}
        for one in self._resources.values():
            self._preferred.setdefault((one.type.group, one.type.plural), one)
        for listener in self._listeners:
            listener()

    def resource(self, group: str, version: str, plural: str) -> Resource:
        """Raises KeyError."""
        return self._resources[group, version, plural]

    def get(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource, or None."""
        return self._resources.get((group, version, plural))

    def find(self, group: str, plural: str) -> Resource:
        """The group's preferred version. Raises KeyError."""
        return self._preferred[group, plural]

    def by_kind(self, gvk: GroupVersionKind) -> Resource | None:
        """The resource of a kind, or None."""
        return self._kinds.get(gvk)

    def resources(self) -> Sequence[Resource]:
        """All, in discovery order."""
        return tuple(self._resources.values())

    def preferred(self) -> Iterator[Resource]:
        """Every group's resources once, in the version that is preferred."""
        yield from self._preferred.values()

    def stored(self) -> Iterator[Resource]:
        """One resource for each storage: the preferred version of those that can be listed and deleted."""
        seen: set[str] = set()
        for one in self._preferred.values():
            if one.type.storage_path and "list" in one.type.verbs and one.type.storage_path not in seen:
                seen.add(one.type.storage_path)
                yield one

    def items_nowait(self, group: str, plural: str, namespace: str = "") -> Sequence[Item]:
        """What the watch cache knows of a resource: read-only, perhaps a little old, nothing until the cache runs."""
        found = self._preferred.get((group, plural))
        return found.reader.items_nowait(namespace) if found is not None else ()

    def get_nowait(self, group: str, plural: str, namespace: str, name: str) -> Item | None:
        """One of them, or None."""
        found = self._preferred.get((group, plural))
        return found.reader.cache.get_nowait(found.key(namespace, name)) if found is not None else None

    async def wait_for(self, group: str, plural: str, namespace: str, name: str, timeout_s: float) -> Item | None:
        """As `get_nowait`, with that much patience for what is on its way into the cache."""
        found = self._preferred.get((group, plural))
        return await found.reader.cache.wait_for(found.key(namespace, name), timeout_s) if found is not None else None


def controller_of(obj: Object) -> Object | None:
    """The owner reference with `controller: true`, or None."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return dict(owner)
    return None
