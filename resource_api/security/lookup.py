"""What authenticators, reviews and admission plugins may ask of the registry. SEAM: `registry/api.py` satisfies it structurally."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from resource_api.errors import Object, StatusError
from resource_api.registry.requests import Context, DeleteOptions

CACHES_NEEDED = (
    ("", "namespaces"),
    ("", "serviceaccounts"),
    ("", "limitranges"),
    ("", "resourcequotas"),
    ("", "nodes"),
    ("scheduling.k8s.io", "priorityclasses"),
    ("storage.k8s.io", "storageclasses"),
    ("networking.k8s.io", "ingressclasses"),
    ("node.k8s.io", "runtimeclasses"),
)
"""Group and plural of what `get_nowait` and `items_nowait` are asked for on writes: their watch caches must run before the first one."""


class CachedItem(Protocol):
    """An object in a watch cache."""

    def object(self) -> Object:
        """Decoded and memoised; read-only."""


class Found(Protocol):
    """One resource."""

    async def get_object(self, namespace: str, name: str) -> Object:
        """The newest state, the caller's own copy. Raises StatusError 404."""

    async def list_objects(self, namespace: str = "") -> list[Object]:
        """The newest state of all of a namespace, or of all; read-only."""

    async def readable_objects(self, namespace: str = "") -> list[Object]:
        """The same without those that cannot be decoded."""

    async def create(self, ctx: Context, obj: Object) -> Object:
        """Through the whole pipeline; takes `obj`."""

    async def update(self, ctx: Context, name: str, obj: Object, *, subresource: str = "") -> tuple[Object, bool]:
        """Through the whole pipeline; 409 when `obj` is not the latest; takes `obj`."""

    async def delete(self, ctx: Context, name: str, options: DeleteOptions) -> tuple[int, Object]:
        """Through the whole pipeline."""


class Lookup(Protocol):
    """All resources."""

    def find(self, group: str, plural: str) -> Found:
        """A resource in its preferred version. Raises KeyError when there is none."""

    def items_nowait(self, group: str, plural: str, namespace: str = "") -> Sequence[CachedItem]:
        """What the watch cache knows of a namespace (empty: of all), perhaps a little old; nothing until the cache runs."""

    def get_nowait(self, group: str, plural: str, namespace: str, name: str) -> CachedItem | None:
        """One of them, or None."""

    async def wait_for(self, group: str, plural: str, namespace: str, name: str, timeout_s: float) -> CachedItem | None:
        """As `get_nowait`, with that much patience for what is on its way into the cache."""


async def get_or_none(lookup: Lookup, group: str, plural: str, namespace: str, name: str) -> Object | None:
    """The newest state of an object, or None when there is none; other refusals go through."""
    try:
        return await lookup.find(group, plural).get_object(namespace, name)
    except StatusError as error:
        if error.code != 404:
            raise
        return None


async def cached_or_newest(lookup: Lookup, group: str, plural: str, namespace: str, name: str) -> Object | None:
    """The object as the cache has it, which costs nothing; only when the cache has none, the store is asked."""
    item = lookup.get_nowait(group, plural, namespace, name)
    return item.object() if item is not None else await get_or_none(lookup, group, plural, namespace, name)


def cached(lookup: Lookup, group: str, plural: str, namespace: str = "") -> list[Object]:
    """The cache's objects; read-only."""
    return [item.object() for item in lookup.items_nowait(group, plural, namespace)]
