"""The namespace controller: empties a namespace that is being deleted, then lets it go (spec B.4).

Pods go first (ordered deletion); everything else when they are gone. What holds the rest up stands in the namespace's conditions.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import DeleteOptions, loopback
from resource_api.schema.times import rfc3339

if TYPE_CHECKING:
    from resource_api.registry.api import Api
    from resource_api.registry.resource import Resource

PATH = "namespaces/"
FINALIZER = "kubernetes"
PAUSE_S = 0.5
"""Between two looks at a namespace whose content does not go by itself."""

FAILURES_SHOWN = 5
"""In a condition's message."""

CONDITIONS = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}
"""Type of each condition, with reason and message while it is false."""


class NamespaceController:
    """Works on names of namespaces."""

    def __init__(self, api: Api, index: ObjectIndex) -> None:
        self._api = api
        self._index = index
        self.queue = WorkQueue("namespaces")
        index.listen(self._on_change)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key.startswith(PATH):
            if new is not None and new.metadata.deletion_timestamp:
                self.queue.add(new.metadata.name)
            return
        namespace = entry.metadata.namespace
        if new is None and namespace:
            owner = self._index.by_key.get(PATH + namespace)
            if owner is not None and owner.metadata.deletion_timestamp:
                self.queue.add(namespace)

    async def reconcile(self, name: str) -> None:
        """One look: deletes what is there, says what is left, finalises when nothing is."""
        entry = self._index.by_key.get(PATH + name)
        if entry is None or not entry.metadata.deletion_timestamp:
            return
        try:
            await self._look(entry)
        except StatusError as error:
            # Gone: another server was faster.
            if error.code != 404:
                raise

    async def _look(self, entry: Entry) -> None:
        name = entry.metadata.name
        namespaces = self._api.find("", "namespaces")
        content = list(self._index.objects_in(name))
        pods = [one for one in content if one.key.startswith("pods/")]
        failures: list[str] = []
        for one in pods or content:
            failures += await self._delete(one)
        unreadable = self._index.unreadable_in(name)
        failures += [f"what stands at {key} cannot be decoded" for key in unreadable]
        left = list(self._index.objects_in(name))
        await self._report(namespaces, entry, left, failures)
        if left or unreadable:
            self.queue.add_after(name, PAUSE_S)
            return

        def finalise(obj: Object) -> Object:
            if obj["metadata"].get("uid") != entry.metadata.uid:
                return obj
            spec = obj.setdefault("spec", {})
            kept = [one for one in spec.pop("finalizers", None) or [] if one != FINALIZER]
            if kept:
                spec["finalizers"] = kept
            return obj

        await namespaces.patch(loopback(), name, finalise, patch_text="", subresource="finalize")

    async def _delete(self, entry: Entry) -> list[str]:
        """The failure's text, if any."""
        resource = self._index.resource_of(entry)
        if resource is None:
            return [f"{entry.kind} {entry.metadata.name}: nobody serves {entry.api_version}"]
        if entry.metadata.deletion_timestamp and not entry.key.startswith("pods/"):
            return []
        options = DeleteOptions(propagation="Background", precondition_uid=entry.metadata.uid)
        try:
            await resource.delete(loopback(entry.metadata.namespace), entry.metadata.name, options)
        except StatusError as error:
            return [] if error.code in (404, 409) else [error.message]
        return []

    async def _report(self, namespaces: Resource, entry: Entry, left: list[Entry], failures: list[str]) -> None:
        now = rfc3339(namespaces.clock.wall_s())
        held = [finalizer for one in left for finalizer in one.metadata.finalizers]
        said: dict[str, tuple[str, str]] = {}
        if failures:
            said["NamespaceDeletionContentFailure"] = (
                "ContentDeletionFailed",
                f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(sorted(failures)[:FAILURES_SHOWN])}",
            )
        if left:
            kinds = Counter(self._resource_name(one) for one in left)
            listed = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(kinds.items()))
            said["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {listed}")
        if held:
            listed = ", ".join(f"{finalizer} in {count} resource instances" for finalizer, count in sorted(Counter(held).items()))
            said["NamespaceFinalizersRemaining"] = (
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers remaining: {listed}",
            )

        def report(obj: Object) -> Object:
            if obj["metadata"].get("uid") != entry.metadata.uid:
                return obj
            status = obj.setdefault("status", {})
            before = {one["type"]: one for one in status.get("conditions") or []}
            after = []
            for kind, (reason, message) in CONDITIONS.items():
                reason, message = said.get(kind, (reason, message))
                state = "True" if kind in said else "False"
                old = before.pop(kind, None)
                since = old["lastTransitionTime"] if old is not None and old.get("status") == state else now
                after.append({"type": kind, "status": state, "lastTransitionTime": since, "reason": reason, "message": message})
            status["conditions"] = [*before.values(), *after]
            return obj

        await namespaces.patch(loopback(), entry.metadata.name, report, patch_text="", subresource="status")

    def _resource_name(self, entry: Entry) -> str:
        """`pods.`, `deployments.apps`: upstream writes the dot of a group that is empty."""
        resource = self._index.resource_of(entry)
        return f"{resource.type.plural}.{resource.type.group}" if resource is not None else entry.kind
