"""Keeps what every cluster has: the first namespaces and the Service `default/kubernetes` with all that belongs to it (bootstrap.py).

Whoever deletes one finds it made again at once; upstream's systemnamespaces and kubernetesservice controllers look every few seconds.
Only what is missing is made, never what is there changed: so any number of servers on one store write the same and stop, though each
knows another address of its own. Endpoints hence name the server that made them, or the one that started last; what somebody wrote into
them stays until a start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resource_api.controllers import bootstrap
from resource_api.controllers.bootstrap import NAMESPACES, Advertised
from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue

if TYPE_CHECKING:
    from resource_api.registry.api import Api

PATH = "namespaces/"
HOME = "namespaces/default"
SERVICE_KEY = "service"
"""Work on the Service and its companions; the other keys are names of namespaces."""


class ClusterObjects:
    """Works on names of namespaces, and on the Service."""

    def __init__(self, api: Api, index: ObjectIndex, advertised: Callable[[], Advertised | None]) -> None:
        """`advertised` is None before the server listens: from then on what the start has made is kept."""
        self._api = api
        self._index = index
        self._advertised = advertised
        self.queue = WorkQueue("cluster objects")
        index.listen(self._on_change)
        index.on_mended.append(self._look_again)

    def _look_again(self) -> None:
        """Something damaged is gone; perhaps one of ours, of which nothing was known."""
        for key in (*NAMESPACES, SERVICE_KEY):
            self.queue.add(key)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key.startswith(PATH):
            if entry.metadata.name in NAMESPACES and (old is None or new is None):
                self.queue.add(entry.metadata.name if new is None else SERVICE_KEY)
        elif new is None and self._is_ours(entry):
            self.queue.add(SERVICE_KEY)

    def _is_ours(self, entry: Entry) -> bool:
        advertised = self._advertised()
        return advertised is not None and entry.key in {self._key(one) for one in bootstrap.objects(advertised)}

    def _key(self, one: bootstrap.Wanted) -> str:
        path = self._api.find(one.group, one.plural).type.storage_path
        return "/".join(filter(None, (path, one.namespace, bootstrap.SERVICE)))

    async def reconcile(self, key: str) -> None:
        """Makes what the index does not show; what another server has made meanwhile is as good."""
        if key != SERVICE_KEY:
            if PATH + key not in self._index.by_key:
                await bootstrap.namespace(self._api, key)
            return
        home, advertised = self._index.by_key.get(HOME), self._advertised()
        if advertised is None or home is None or home.metadata.deletion_timestamp:
            # Its arrival is a reason to look again, and so is its going for it to be made.
            return
        for one in bootstrap.objects(advertised):
            if self._key(one) not in self._index.by_key:
                await bootstrap.make(self._api, one)
