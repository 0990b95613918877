"""What every controller needs to know of every object, from one watch over the whole store: who it is, whom it belongs to, what holds it.

Only `metadata` is decoded, and of it only what is listed in `Metadata`; the objects stay in the store. Because it is one watch, owners and
dependents of all kinds are seen in the order they were written. Loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from resource_api.registry.objects import PROTOBUF_MAGIC, DecodeProtobuf
from resource_api.registry.store import CompactedError, Store, StoreUnavailableError
from resource_api.schema import depth

if TYPE_CHECKING:
    from resource_api.registry.api import Api
    from resource_api.registry.resource import Resource

log = logging.getLogger("resource_api.controllers")

PAGE = 1000
RETRY_S = 1.0


class OwnerReference(msgspec.Struct, rename="camel", gc=False):
    """An entry of `metadata.ownerReferences`."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    block_owner_deletion: bool = False
    controller: bool = False


class Metadata(msgspec.Struct, rename="camel", gc=False):
    """The part of `metadata` that decides about an object's life."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


class Entry(msgspec.Struct, rename="camel", gc=False):
    """One object."""

    metadata: Metadata
    api_version: str = ""
    kind: str = ""
    key: str = ""
    revision: int = 0
    """Of the last write."""


Listener = Callable[["Entry | None", "Entry | None"], None]
"""Called with what was known of the object and what is, None for nothing."""

_decode = msgspec.json.Decoder(Entry).decode
_decode_whole = msgspec.json.Decoder().decode


class ObjectIndex:
    """All objects by key, by uid and by owner.

    Invariants: 1. `by_uid` and `dependents` hold exactly the entries of `by_key`, the last written of a uid; 2. listeners hear of every
    change once, in the store's order, after the index shows it.
    """

    def __init__(self, store: Store, api: Api, protobuf: DecodeProtobuf | None = None) -> None:
        self._store = store
        self._api = api
        self._protobuf = protobuf
        self.by_key: dict[str, Entry] = {}
        self.by_uid: dict[str, Entry] = {}
        self.dependents: dict[str, dict[str, Entry]] = {}
        """By the owner's uid, then by key."""
        self.unreadable: set[str] = set()
        """Keys whose values are no objects: bookkeeping of the store's users, and damage. Nobody may take them for gone."""
        self.by_namespace: dict[str, dict[str, Entry]] = {}
        self._listeners: list[Listener] = []
        self.on_mended: list[Callable[[], None]] = []
        """Called when something that could not be read, and of which nothing was known, is gone or can be read."""
        self._paths: dict[str, Resource] = {}
        self.ready = asyncio.Event()
        self.revision = 0
        api.on_change(self._forget_paths)

    def listen(self, listener: Listener) -> None:
        """Hears of everything from now on; before the start that is everything there is."""
        self._listeners.append(listener)

    def resource_of(self, entry: Entry) -> Resource | None:
        """Through which resource the object is changed; None when nobody serves it now."""
        return self._served_at(entry.key)

    def _forget_paths(self) -> None:
        self._paths = {}

    def _served_at(self, key: str) -> Resource | None:
        if not self._paths:
            self._paths = {one.type.storage_path: one for one in self._api.stored()}
        parts = key.split("/")
        return self._paths.get(parts[0]) or self._paths.get("/".join(parts[:2]))

    def objects_in(self, namespace: str) -> Iterable[Entry]:
        """Everything in a namespace."""
        return self.by_namespace.get(namespace, {}).values()

    def unreadable_in(self, namespace: str) -> list[str]:
        """Keys in a namespace where something stands that cannot be read."""
        found = []
        for key in sorted(self.unreadable - self.by_key.keys()):
            resource = self._served_at(key)
            if resource is not None and resource.type.namespaced and key.startswith(f"{resource.type.storage_path}/{namespace}/"):
                found.append(key)
        return found

    async def run(self) -> None:
        """Reads all, then follows, until it is cancelled. A watch that fell behind a compaction reads all anew."""
        while True:
            try:
                await self._read_all()
                self.ready.set()
                async with self._store.watch("", after_revision=self.revision) as watch:
                    async for changes in watch:
                        for change in changes.events:
                            self._put(change.key, change.value, change.revision)
                        self.revision = changes.revision
            except CompactedError:
                continue
            except StoreUnavailableError as error:
                log.warning("the store cannot be watched", extra={"fields": {"error": str(error)}})
                await asyncio.sleep(RETRY_S)

    async def _read_all(self) -> None:
        seen: set[str] = set()
        start, revision = "", 0
        while True:
            page = await self._store.list("", start=start, limit=PAGE, revision=revision)
            revision = revision or page.revision
            for stored in page.items:
                seen.add(stored.key)
                self._put(stored.key, stored.value, stored.revision)
            if not page.more:
                break
            start = page.items[-1].key + "\0"
        gone = self.unreadable - seen
        self.unreadable -= gone
        self._tell_mended(gone)
        for key in [key for key in self.by_key if key not in seen]:
            self._put(key, None, revision)
        self.revision = revision

    def _put(self, key: str, value: bytes | None, revision: int) -> None:
        old = self.by_key.get(key)
        if old is not None and old.revision == revision and value is not None:
            return
        was_unreadable = key in self.unreadable
        self.unreadable.discard(key)
        new = None if value is None else self._entry(key, value)
        if new is not None:
            new.revision = revision
        elif value is not None:
            # What was known of it stands.
            self.unreadable.add(key)
            return
        if old is not None:
            self._forget(old)
        if new is not None:
            self._remember(new)
        if old is not None or new is not None:
            for listener in self._listeners:
                listener(old, new)
        if was_unreadable:
            self._tell_mended((key,))

    def _tell_mended(self, keys: Iterable[str]) -> None:
        # Bookkeeping of the store's users comes and goes all the time, and is no object of ours.
        if any(self._served_at(key) is not None for key in keys):
            for listener in self.on_mended:
                listener()

    def _entry(self, key: str, value: bytes) -> Entry | None:
        try:
            if value.startswith(PROTOBUF_MAGIC) and self._protobuf is not None:
                obj = self._protobuf(value)
                is_too_deep = depth.is_too_deep(obj)
                entry = msgspec.convert(obj, Entry)
            else:
                is_too_deep = depth.may_be_too_deep(value) and depth.is_too_deep(_decode_whole(value))
                entry = _decode(value)
        except (msgspec.DecodeError, msgspec.ValidationError, ValueError, RecursionError):
            is_too_deep = True
        if is_too_deep:
            # Bookkeeping of the store's other users, or a damaged value: reading the object itself says which.
            return None
        entry.key = key
        return entry

    def _remember(self, entry: Entry) -> None:
        metadata = entry.metadata
        self.by_key[entry.key] = entry
        if metadata.uid:
            self.by_uid[metadata.uid] = entry
        for owner in metadata.owner_references:
            self.dependents.setdefault(owner.uid, {})[entry.key] = entry
        if metadata.namespace:
            self.by_namespace.setdefault(metadata.namespace, {})[entry.key] = entry

    def _forget(self, entry: Entry) -> None:
        metadata = entry.metadata
        del self.by_key[entry.key]
        if self.by_uid.get(metadata.uid) is entry:
            del self.by_uid[metadata.uid]
        for owner in metadata.owner_references:
            of_owner = self.dependents.get(owner.uid)
            if of_owner is not None and of_owner.pop(entry.key, None) is not None and not of_owner:
                del self.dependents[owner.uid]
        if metadata.namespace:
            of_namespace = self.by_namespace[metadata.namespace]
            of_namespace.pop(entry.key, None)
            if not of_namespace:
                del self.by_namespace[metadata.namespace]
