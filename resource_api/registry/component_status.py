"""ComponentStatuses: how the parts of a cluster do, asked when somebody asks. Deprecated upstream, still shown by `kubectl get cs`.

Upstream probes three: the scheduler, the controller manager and each etcd. Here the store is asked what revision it is at; of the
controllers the ones inside of this server are reported; a scheduler is no part of it, and that is what is said. Loop only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from resource_api import errors
from resource_api.cache.item import Item
from resource_api.cache.reader import Listing, Reader
from resource_api.errors import Object
from resource_api.registry.requests import ListOptions
from resource_api.registry.store import Store, Stored, StoreError

Probe = Callable[[], Awaitable[str]]
"""Nothing when the part does what it should, else why not."""


class ComponentStatuses(Reader):
    """Takes the place of the reader of a kind that is not stored."""

    def __init__(self, reader: Reader, store: Store, probes: Mapping[str, Probe]) -> None:
        super().__init__(reader.type, reader.cache, reader._rounds, store, clock=reader._clock)
        self._probes = probes

    async def get(self, namespace: str, name: str, resource_version: str = "") -> Item:
        """How one part does, now. Raises StatusError 404."""
        if name not in self._probes:
            raise errors.not_found(self.type.group, self.type.plural, name)
        return await self._item(name)

    async def list(self, namespace: str, options: ListOptions) -> Listing:
        """How all do that are selected; in one page, of no version. Raises StatusError 400."""
        selects = self._selection(namespace, options).matches
        items = [await self._item(name) for name in sorted(self._probes)]
        return Listing([item for item in items if selects is None or selects(item)], 0)

    async def _item(self, name: str) -> Item:
        fault = await self._probes[name]()
        condition = {"type": "Healthy", "status": "False" if fault else "True", "message": fault or "ok"}
        obj: Object = {"kind": self.type.kind, "apiVersion": self.type.api_version, "metadata": {"name": name}, "conditions": [condition]}
        return Item(Stored(f"{self.type.storage_path}/{name}", b"", 0), lambda _: obj)


def probes(store: Store, controllers: Probe) -> dict[str, Probe]:
    """What there is to ask in a cluster of this server alone."""

    async def etcd() -> str:
        try:
            await store.revision()
        except StoreError as error:
            return str(error)
        return ""

    async def scheduler() -> str:
        return "this server has no scheduler"

    return {"controller-manager": controllers, "etcd-0": etcd, "scheduler": scheduler}
