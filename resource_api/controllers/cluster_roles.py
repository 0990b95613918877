"""Fills the rules of aggregated ClusterRoles from those their selectors name (upstream: clusterroleaggregation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.security.bootstrap_policy import aggregate_cluster_roles

if TYPE_CHECKING:
    from resource_api.registry.api import Api

PREFIX = "clusterroles/"
ALL = "all"


class ClusterRoleAggregation:
    """One key: any change of a ClusterRole may change any aggregate."""

    def __init__(self, api: Api, index: ObjectIndex) -> None:
        self._api = api
        self.queue = WorkQueue("cluster roles")
        index.listen(self._on_change)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        if entry is not None and entry.key.startswith(PREFIX):
            self.queue.add(ALL)

    async def reconcile(self, key: str) -> None:
        """Brings all up to date, by what the store has now."""
        await aggregate_cluster_roles(self._api)
