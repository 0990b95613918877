"""What is measured besides requests: the store's answers and size, admission, how many objects there are. Kube-apiserver's names.

Made around the store before anybody else gets it. Loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from raftkv.clock import Clock
from resource_api.controllers.object_counts import ObjectCounts
from resource_api.controllers.object_index import ObjectIndex
from resource_api.http.counters import RequestCounters, Sample
from resource_api.registry.api import Api
from resource_api.registry.measured_admission import MeasuredAdmission
from resource_api.registry.measured_store import GroupResource, MeasuredStore
from resource_api.registry.store import Store, StoreError

SIZE_EVERY_S = 30.0
"""How often the store is asked for its size; upstream's `--etcd-db-metric-poll-interval`."""


class Measures:
    """`store` and `admission` are to be used in place of the plain ones."""

    def __init__(self, store: Store, api: Api, clock: Clock) -> None:
        self._api = api
        self.store = MeasuredStore(store, clock, self.resource_of)
        self.admission = MeasuredAdmission(clock)
        self._size_bytes = 0
        self._names: dict[str, GroupResource] = {}
        api.on_change(self._forget)

    def install(self, counters: RequestCounters, index: ObjectIndex) -> None:
        """Onto the metrics page."""
        counters.histograms += [self.store.durations, self.admission.durations]
        counters.sources += [self.store.samples, self._size, ObjectCounts(index, self.resource_of).samples]

    def resource_of(self, path: str) -> GroupResource:
        """Group and plural of what is stored there; the path itself where nobody serves it."""
        if not self._names:
            self._names = {one.type.storage_path: (one.type.group, one.type.plural) for one in self._api.stored() if one.type.storage_path}
        return self._names.get(path, ("", path))

    def _forget(self) -> None:
        self._names = {}
        self.store.forget_names()

    def _size(self) -> Iterator[Sample]:
        if self._size_bytes:
            yield "apiserver_storage_size_bytes", (("storage_cluster_id", "etcd-0"),), self._size_bytes

    async def follow_size(self) -> None:
        """Until it is cancelled. A store that does not say keeps its last size."""
        while True:
            try:
                self._size_bytes = await self.store.size()
            except StoreError:
                pass
            await asyncio.sleep(SIZE_EVERY_S)
