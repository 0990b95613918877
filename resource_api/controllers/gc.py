"""The garbage collector: what belongs to something that is gone goes too (spec B.5; upstream's pkg/controller/garbagecollector).

Background: a dependent whose every owner is gone is deleted. Foreground: an owner stays until the dependents that block it are gone.
Orphan: the owner's references are taken out of its dependents before it goes. The object index is complete and in the store's order, so
an owner it does not know does not exist.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from resource_api.controllers.object_index import Entry, ObjectIndex, OwnerReference
from resource_api.controllers.owner_events import misplaced_owner, tell_of_owner
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Json, Object, StatusError
from resource_api.registry.deletion import FOREGROUND, ORPHAN
from resource_api.registry.requests import DeleteOptions, Propagation, loopback
from resource_api.schema.kinds import GroupVersionKind

if TYPE_CHECKING:
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

OwnerState = Literal["solid", "dangling", "waiting", "unknown"]
"""It is there; it is gone; it waits for its dependents; nothing can be said: nobody serves its kind, it cannot be read, or it stands in a
namespace while the dependent stands in none."""

IGNORED = "events/"
"""Upstream's collector does not look at events."""


class GarbageCollector:
    """Works on keys of the store, one object at a time."""

    def __init__(self, api: Api, index: ObjectIndex) -> None:
        self._api = api
        self._index = index
        self.queue = WorkQueue("garbage collector")
        self.deleted_total = 0
        index.listen(self._on_change)
        api.on_change(self._ask_again)
        index.on_mended.append(self._ask_again)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        if new is not None:
            if new.metadata.owner_references or (new.metadata.deletion_timestamp and self._waits(new)):
                self.queue.add(new.key)
            if old is not None and old.metadata.uid != new.metadata.uid:
                self._owner_changed(old)
            elif new.metadata.deletion_timestamp and FOREGROUND in new.metadata.finalizers:
                self._owner_changed(new)
        if old is None:
            return
        if new is None:
            self._owner_changed(old)
        # An owner that waits for its dependents looks again when one of them goes, or no longer names it.
        for owner in old.metadata.owner_references:
            entry = self._index.by_uid.get(owner.uid)
            if entry is not None and self._waits(entry):
                self.queue.add(entry.key)

    def _ask_again(self) -> None:
        """A kind that was not served may be now, an owner that could not be read is gone: what waits for an answer about it asks again."""
        for entry in self._index.by_key.values():
            if entry.metadata.owner_references or self._waits(entry):
                self.queue.add(entry.key)

    def _owner_changed(self, owner: Entry) -> None:
        for key in self._index.dependents.get(owner.metadata.uid, {}):
            self.queue.add(key)

    @staticmethod
    def _waits(entry: Entry) -> bool:
        return FOREGROUND in entry.metadata.finalizers or ORPHAN in entry.metadata.finalizers

    async def reconcile(self, key: str) -> None:
        """Decides about one object by what the index knows now."""
        await self._tell_of_misplaced_owner(key)
        # Looked up after that wait: what is decided about is what is there now.
        entry = self._index.by_key.get(key)
        if entry is None:
            return
        metadata = entry.metadata
        if key.startswith(IGNORED):
            return
        if metadata.deletion_timestamp:
            if ORPHAN in metadata.finalizers:
                await self._orphan(entry)
            elif FOREGROUND in metadata.finalizers:
                await self._foreground(entry)
            return
        if not metadata.owner_references:
            return
        states = [(owner, self._state(entry, owner)) for owner in metadata.owner_references]
        if any(state == "unknown" for _, state in states):
            return
        lost = [owner.uid for owner, state in states if state != "solid"]
        if not lost:
            return
        if len(lost) < len(states):
            await self._drop_owners(entry, lost)
        elif any(state == "waiting" for _, state in states) and self._index.dependents.get(metadata.uid):
            if self._is_blocking(entry) and self._may_be_cycle(entry):
                # Its members would wait for each other: this one holds nobody up any more, and comes back by that change.
                await self._unblock(entry)
            else:
                await self._delete(entry, "Foreground")
        else:
            policy: Propagation = "Background"
            if ORPHAN in metadata.finalizers:
                policy = "Orphan"
            elif FOREGROUND in metadata.finalizers:
                policy = "Foreground"
            await self._delete(entry, policy)

    async def _tell_of_misplaced_owner(self, key: str) -> None:
        entry = self._index.by_key.get(key)
        if entry is None or key.startswith(IGNORED) or entry.metadata.deletion_timestamp:
            return
        owner = misplaced_owner(self._index, entry)
        if owner is not None:
            await tell_of_owner(self._api, entry, owner)

    def _state(self, entry: Entry, owner: OwnerReference) -> OwnerState:
        group, _, version = owner.api_version.rpartition("/")
        resource = self._api.by_kind(GroupVersionKind(group, version, owner.kind))
        if resource is None:
            return "unknown"
        if resource.type.namespaced and not entry.metadata.namespace:
            return "unknown"
        # An owner in another namespace, of another name or another kind than the reference says is as good as none.
        place = resource.key(entry.metadata.namespace, owner.name)
        if place in self._index.unreadable:
            return "unknown"
        found = self._index.by_key.get(place)
        if found is None or found.metadata.uid != owner.uid:
            return "dangling"
        if found.metadata.deletion_timestamp and FOREGROUND in found.metadata.finalizers:
            return "waiting"
        return "solid"

    @staticmethod
    def _is_blocking(entry: Entry) -> bool:
        return any(owner.block_owner_deletion for owner in entry.metadata.owner_references)

    def _may_be_cycle(self, entry: Entry) -> bool:
        return any(FOREGROUND in one.metadata.finalizers for one in self._index.dependents.get(entry.metadata.uid, {}).values())

    async def _foreground(self, entry: Entry) -> None:
        """Deletes what blocks, then lets the object go."""
        dependents = list(self._index.dependents.get(entry.metadata.uid, {}).values())
        # What belongs to itself would wait for itself.
        blocking = [one for one in dependents if one is not entry and _blocks(one, entry)]
        if not blocking:
            await self._drop_finalizer(entry, FOREGROUND)
            return
        for one in blocking:
            if not one.metadata.deletion_timestamp:
                self.queue.add(one.key)

    async def _orphan(self, entry: Entry) -> None:
        dependents = list(self._index.dependents.get(entry.metadata.uid, {}).values())
        if any(self._index.resource_of(one) is None for one in dependents):
            # It would still name its owner, and go for that when its kind is served.
            return
        for dependent in dependents:
            await self._drop_owners(dependent, [entry.metadata.uid])
        await self._drop_finalizer(entry, ORPHAN)

    async def _delete(self, entry: Entry, policy: Propagation) -> None:
        resource = self._index.resource_of(entry)
        if resource is None:
            return
        # Only what was decided about goes: whoever changed it since may have given it an owner.
        options = DeleteOptions(
            propagation=policy,
            precondition_uid=entry.metadata.uid,
            precondition_resource_version=str(entry.revision) if entry.revision else None,
        )
        try:
            await resource.delete(loopback(entry.metadata.namespace), entry.metadata.name, options)
        except StatusError as error:
            if error.code != 404:
                raise
            return
        self.deleted_total += 1

    async def _drop_owners(self, entry: Entry, uids: Sequence[str]) -> None:
        def drop(metadata: Object) -> None:
            _keep(metadata, "ownerReferences", [owner for owner in metadata.get("ownerReferences") or [] if owner.get("uid") not in uids])

        await self._patch(entry, drop)

    async def _drop_finalizer(self, entry: Entry, finalizer: str) -> None:
        def drop(metadata: Object) -> None:
            _keep(metadata, "finalizers", [one for one in metadata.get("finalizers") or [] if one != finalizer])

        await self._patch(entry, drop)

    async def _unblock(self, entry: Entry) -> None:
        def unblock(metadata: Object) -> None:
            for owner in metadata.get("ownerReferences") or []:
                if owner.get("blockOwnerDeletion"):
                    owner["blockOwnerDeletion"] = False

        await self._patch(entry, unblock)

    async def _patch(self, entry: Entry, change: Callable[[Object], None]) -> None:
        """Changes the metadata of the object that was decided about, not of another of its name."""

        def changed(obj: Object) -> Object:
            if obj["metadata"].get("uid") == entry.metadata.uid:
                change(obj["metadata"])
            return obj

        resource = self._index.resource_of(entry)
        if resource is None:
            return
        try:
            await resource.patch(loopback(entry.metadata.namespace), entry.metadata.name, changed, patch_text="")
        except StatusError as error:
            if error.code != 404:
                raise


def _keep(metadata: Object, field: str, kept: list[Json]) -> None:
    """What is left of a list; nothing at all when it is empty."""
    if kept:
        metadata[field] = kept
    else:
        metadata.pop(field, None)


def _blocks(dependent: Entry, owner: Entry) -> bool:
    return any(one.uid == owner.metadata.uid and one.block_owner_deletion for one in dependent.metadata.owner_references)
