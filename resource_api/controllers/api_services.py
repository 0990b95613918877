"""One APIService for each group and version that is served here: tools list them, nothing else needs them (upstream: autoregister)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkv.clock import Clock
from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import DeleteOptions, loopback
from resource_api.schema.times import rfc3339

if TYPE_CHECKING:
    from resource_api.registry.api import Api

GROUP = "apiregistration.k8s.io"
PREFIX = f"{GROUP}/apiservices/"
LABEL = "kube-aggregator.kubernetes.io/automanaged"

PRIORITIES = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "resource.k8s.io": 16000,
    "storagemigration.k8s.io": 15900,
}
"""`groupPriorityMinimum` of the built-in groups; what orders discovery upstream."""

CUSTOM_PRIORITY, CUSTOM_VERSION_PRIORITY = 1000, 100
VERSION_PRIORITY = 15


class ApiServices:
    """Works on names: `v1.apps`, `v1.` for the core group."""

    def __init__(self, api: Api, index: ObjectIndex, clock: Clock) -> None:
        self._api = api
        self._index = index
        self._clock = clock
        self.queue = WorkQueue("API services")
        index.listen(self._on_change)
        api.on_change(self._on_api_change)
        self._on_api_change()

    def _served(self) -> dict[str, tuple[str, str, bool]]:
        found: dict[str, tuple[str, str, bool]] = {}
        for one in self._api.resources():
            if one.type.group != GROUP:
                found.setdefault(f"{one.type.version}.{one.type.group}", (one.type.group, one.type.version, one.type.custom))
        return found

    def _on_api_change(self) -> None:
        for name in self._served():
            self.queue.add(name)
        for key in self._index.by_key:
            if key.startswith(PREFIX):
                self.queue.add(key.removeprefix(PREFIX))

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        if entry is not None and entry.key.startswith(PREFIX) and (old is None or new is None):
            self.queue.add(entry.key.removeprefix(PREFIX))

    async def reconcile(self, name: str) -> None:
        """Makes what is served and missing, removes what was made here and is served no more."""
        services = self._api.find(GROUP, "apiservices")
        served, there = self._served().get(name), PREFIX + name in self._index.by_key
        try:
            if served is not None and not there:
                made = await services.create(loopback(), _service(name, *served))
                made["status"] = {"conditions": [self._available()]}
                await services.update(loopback(), name, made, subresource="status")
            elif served is None and there:
                obj = await services.get_object("", name)
                if LABEL in (obj["metadata"].get("labels") or {}):
                    await services.delete(loopback(), name, DeleteOptions())
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    def _available(self) -> Object:
        return {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": rfc3339(self._clock.wall_s()),
            "reason": "Local",
            "message": "Local APIServices are always available",
        }


def _service(name: str, group: str, version: str, custom: bool) -> Object:
    spec: Object = {
        "groupPriorityMinimum": CUSTOM_PRIORITY if custom else PRIORITIES.get(group, CUSTOM_PRIORITY),
        "version": version,
        "versionPriority": CUSTOM_VERSION_PRIORITY if custom else VERSION_PRIORITY * (2 if version == "v2" else 1) if group else 1,
    }
    if group:
        spec["group"] = group
    labels = {LABEL: "true" if custom else "onstart"}
    return {"apiVersion": f"{GROUP}/v1", "kind": "APIService", "metadata": {"name": name, "labels": labels}, "spec": spec}
