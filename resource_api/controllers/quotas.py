"""Keeps the status of every ResourceQuota true when objects go: admission charges, and giving back what was deleted falls to us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue

if TYPE_CHECKING:
    from resource_api.security.admission.resource_quota import ResourceQuota

PREFIX = "resourcequotas/"


class QuotaController:
    """Works on `NAMESPACE/NAME` of quotas."""

    def __init__(self, quota: ResourceQuota, index: ObjectIndex) -> None:
        self._quota = quota
        self._index = index
        self.queue = WorkQueue("quotas")
        index.listen(self._on_change)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key.startswith(PREFIX):
            if new is not None:
                self.queue.add(entry.key.removeprefix(PREFIX))
            return
        # A pod that has finished counts no more, and only its object says so: every change of one is a reason.
        if new is None or (old is not None and entry.key.startswith("pods/")):
            for other in self._index.objects_in(entry.metadata.namespace):
                if other.key.startswith(PREFIX):
                    self.queue.add(other.key.removeprefix(PREFIX))

    async def reconcile(self, key: str) -> None:
        """Counts again."""
        if PREFIX + key in self._index.by_key:
            namespace, _, name = key.partition("/")
            await self._quota.recalculate(namespace, name)
