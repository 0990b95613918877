"""The bytes of a watch: one event of a collection in each representation (spec B.8), made once for all watchers that share it.

JSON lines, or protobuf messages with their length before them; plain objects, Tables, partial metadata. Hot path: `WatchFrames.event`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from resource_api.cache.item import Event, Item
from resource_api.errors import Object, StatusError, internal_error
from resource_api.http.messages import JSON, PROTOBUF
from resource_api.http.negotiation import Wanted
from resource_api.http.representation import Representations, encode_json, partial
from resource_api.registry.objects import is_ours, tail, with_version
from resource_api.registry.store import Stored
from resource_api.schema.kinds import ResourceType
from resource_api.schema.protobuf.envelope import encode_watch_event

Check = Callable[[Stored], None]
"""Raises UndecodableError for a value that is no object of the kind."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class WatchFrames:
    """Makes the frames of one stream."""

    def __init__(self, type: ResourceType, wanted: Wanted, include: str, representations: Representations, *, check: Check | None) -> None:
        """With `check` stored bytes that pass it are answered as they are."""
        self._type = type
        self._wanted = wanted
        self._include = include
        self._representations = representations
        self._check = check if wanted.media == "json" and not wanted.target else None
        self._tail = tail(type.gvk)
        self._key: Hashable = (type.gvk, wanted, include)
        self._columns_due = wanted.target == "Table"

    @property
    def content_type(self) -> str:
        """Of the stream."""
        return f"{PROTOBUF};stream=watch" if self._wanted.media == "protobuf" else JSON

    @property
    def binary(self) -> bool:
        """Frames are no text: protobuf, each with its length before it."""
        return self._wanted.media == "protobuf"

    def event(self, event: Event) -> bytes:
        """One change; of Tables the first one has the columns."""
        if self._columns_due:
            self._columns_due = False
            return self._encode(event, columns=True)
        return event.encoded(self._key, self._encode)

    def bookmark(self, revision: int, *, initial_end: bool) -> bytes:
        """Where the watch is; after the initial objects it says that these were all."""
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj: Object = {"kind": self._type.kind, "apiVersion": self._type.api_version, "metadata": metadata}
        if self._wanted.target == "Table":
            table = self._representations.table(self._type, [], {"resourceVersion": str(revision)}, self._wanted, self._include)
            if not self._columns_due:
                table["columnDefinitions"] = None
            self._columns_due = False
            table["rows"] = [{"cells": [], "object": partial(obj, self._wanted.target_version)}]
            obj = table
        elif self._wanted.target:
            obj = partial(obj, self._wanted.target_version)
        return self._frame("BOOKMARK", obj)

    def error(self, error: StatusError) -> bytes:
        """Why the stream ends."""
        return self._frame("ERROR", error.status())

    def _encode(self, event: Event, *, columns: bool = False) -> bytes:
        item: Item = event.item
        try:
            if self._check is not None and is_ours(item.value, self._tail):
                if not item.is_sound:
                    self._check(item.stored)
                    item.is_sound = True
                return b'{"type":"%b","object":%b}\n' % (event.type.encode(), with_version(item.value, item.revision))
            obj = item.object()
        except StatusError as error:
            return self.error(error)
        return self._frame(event.type, self._shaped(obj, columns))

    def _shaped(self, obj: Object, columns: bool) -> Object:
        wanted = self._wanted
        if wanted.target == "Table":
            version = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return self._representations.table(self._type, [obj], version, wanted, self._include, columns=columns)
        return partial(obj, wanted.target_version) if wanted.target else obj

    def _frame(self, type: str, obj: Object) -> bytes:
        if self._wanted.media != "protobuf":
            return b'{"type":"%b","object":%b}\n' % (type.encode(), encode_json(obj))
        body, content_type = self._representations.encode(obj, "protobuf")
        if content_type != PROTOBUF:
            # The stream's type is settled; an object without a protobuf form cannot be told in it.
            body, _ = self._representations.encode(internal_error(f"{obj.get('kind')} has no protobuf form").status(), "protobuf")
            type = "ERROR"
        return encode_watch_event(type, body)
