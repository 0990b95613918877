"""The Event about an owner reference into another namespace: the collector takes its object, or never will, and this says why.

Upstream: `reportInvalidNamespaceOwnerRef` in pkg/controller/garbagecollector/graph_builder.go. As there it is told once per object, of the
first such owner that exists, and a lost Event is no reason to collect later. Called by the collector, on the loop.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from resource_api.controllers.object_index import Entry, ObjectIndex, OwnerReference
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import loopback
from resource_api.schema.times import rfc3339

if TYPE_CHECKING:
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

REASON = "OwnerRefInvalidNamespace"
COMPONENT = "garbage-collector-controller"
NAME_MAX = 200
"""Of the object's name in the Event's, in characters: with a uid behind it the name stays below 253."""


def misplaced_owner(index: ObjectIndex, entry: Entry) -> OwnerReference | None:
    """The first owner that exists, but in a namespace the object is not in; None without one."""
    for owner in entry.metadata.owner_references:
        found = index.by_uid.get(owner.uid)
        if found is not None and found.metadata.namespace not in ("", entry.metadata.namespace):
            return owner
    return None


async def tell_of_owner(api: Api, entry: Entry, owner: OwnerReference) -> None:
    """Writes the Event unless it stands: its name is made of the object's uid, so that looking again makes no second one."""
    resource = api.find("", "events")
    namespace = entry.metadata.namespace or "default"
    try:
        await resource.create(loopback(namespace), _event(entry, owner, namespace, rfc3339(resource.clock.wall_s())))
    except StatusError as error:
        if error.code != 409:
            log.warning("an event could not be written", extra={"fields": {"object": entry.key, "error": str(error)}})


def _event(entry: Entry, owner: OwnerReference, namespace: str, now: str) -> Object:
    metadata = entry.metadata
    about = {"apiVersion": entry.api_version, "kind": entry.kind, "name": metadata.name, "uid": metadata.uid}
    shown = f"[{owner.api_version}/{owner.kind}, namespace: {metadata.namespace}, name: {owner.name}, uid: {owner.uid}]"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata.name[:NAME_MAX]}.{metadata.uid}", "namespace": namespace},
        "involvedObject": about | ({"namespace": metadata.namespace} if metadata.namespace else {}),
        "reason": REASON,
        "message": f'ownerRef {shown} does not exist in namespace "{metadata.namespace}"',
        "type": "Warning",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
