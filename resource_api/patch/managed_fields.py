"""`metadata.managedFields`: who owns which fields, read and written.

An owner is known by manager, operation, version and subresource (appliers by no version). Entries are values; a `Managed` is one object's
entries on their way through one write. Hot path: `read`, `write`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import msgspec

from resource_api.errors import Json, Object
from resource_api.patch.field_sets import FieldSet, decoded, ordered, union

UPDATE_ENTRIES_MAX = 10
"""More owners by update than this are merged, oldest first."""

ANCIENT = "ancient-changes"
"""Owns what the merged ones owned."""

BEFORE_FIRST_APPLY = "before-first-apply"
"""Owns what was there when nobody had kept account."""

Operation = Literal["Apply", "Update"]


class Owner(NamedTuple):
    """Who owns fields."""

    manager: str
    operation: str
    api_version: str
    """Empty for appliers, who stay the same across versions."""
    subresource: str

    def identifier(self) -> str:
        """The text upstream keys and sorts owners by."""
        fields = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version, "subresource": self.subresource}
        return msgspec.json.encode({name: value for name, value in fields.items() if value}).decode()

    def text(self) -> str:
        """As conflicts name it."""
        said = f'"{self.manager}"'
        if self.subresource:
            said += f' with subresource "{self.subresource}"'
        return f"{said} using {self.api_version}" if self.operation == "Update" else said


@dataclass(frozen=True, slots=True)
class Entry:
    """What one owner owns."""

    owner: Owner
    api_version: str
    time: str
    fields: FieldSet

    def encoded(self) -> Object:
        """As it stands in an object; the fields are shared, not copied."""
        owner = self.owner
        entry: Object = {"manager": owner.manager} if owner.manager else {}
        entry["operation"] = owner.operation
        entry["apiVersion"] = self.api_version
        if self.time:
            entry["time"] = self.time
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = self.fields
        if owner.subresource:
            entry["subresource"] = owner.subresource
        return entry


Managed = dict[Owner, Entry]
"""One object's entries."""


def owner_of(manager: str, operation: Operation, api_version: str, subresource: str) -> Owner:
    """The owner a write has."""
    return Owner(manager or "unknown", operation, "" if operation == "Apply" else api_version, subresource)


def read(entries: Json, *, trusted: bool) -> Managed:
    """The entries of an object. Raises ValueError when they are no managedFields; `trusted` ones were written by us."""
    managed: Managed = {}
    if not isinstance(entries, list):
        raise ValueError("managedFields is no list")
    for place, entry in enumerate(entries):
        found = _entry(entry, place, trusted)
        managed[found.owner] = found
    return managed


def _entry(entry: Json, place: int, trusted: bool) -> Entry:
    if not isinstance(entry, dict):
        raise ValueError(f"managed fields entry {place} is no object")
    kind = entry.get("fieldsType")
    if kind != "FieldsV1":
        raise ValueError(
            f'invalid fieldsType "{kind}" in managed fields entry {place}'
            if kind
            else f"missing fieldsType in managed fields entry {place}"
        )
    operation = entry.get("operation")
    if operation not in ("Apply", "Update"):
        raise ValueError(f"invalid operation in managed fields entry {place}")
    texts = [entry.get(name) or "" for name in ("manager", "apiVersion", "subresource", "time")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"managed fields entry {place} has names that are no strings")
    manager, api_version, subresource, time = texts
    fields = entry.get("fieldsV1") or {}
    owner = Owner(manager, operation, "" if operation == "Apply" else api_version, subresource)
    return Entry(owner, api_version, time, fields if trusted else decoded(fields))


def is_reset(entries: Json) -> bool:
    """One empty entry: the client wants nobody to own anything."""
    return isinstance(entries, list) and len(entries) == 1 and entries[0] == {}


def write(managed: Managed) -> list[Object]:
    """The entries in upstream's order: appliers first, then by time and name."""
    if len(managed) == 1:
        return [entry.encoded() for entry in managed.values()]
    return [entry.encoded() for entry in sorted(managed.values(), key=_order)]


def _order(entry: Entry) -> tuple[str, str, str, str, str]:
    owner = entry.owner
    return (owner.operation, entry.time, owner.manager, entry.api_version, owner.subresource)


def bounded(managed: Managed) -> Managed:
    """The same with at most `UPDATE_ENTRIES_MAX` updaters: the oldest are merged into one per version."""
    updaters = [entry for entry in managed.values() if entry.owner.operation == "Update"]
    count = len(updaters)
    if count <= UPDATE_ENTRIES_MAX:
        return managed
    result = dict(managed)
    updaters.sort(key=lambda entry: (entry.time, entry.owner.identifier()))
    first: dict[str, Owner] = {}
    parts: dict[Owner, list[FieldSet]] = {}
    for entry in updaters:
        if count <= UPDATE_ENTRIES_MAX:
            break
        version = entry.api_version
        if version not in first:
            first[version] = entry.owner
            continue
        bucket = Owner(ANCIENT, "Update", version, "")
        if bucket not in result:
            result[bucket] = replace(result.pop(first[version]), owner=bucket)
        united = parts.setdefault(bucket, [result[bucket].fields])
        if entry.owner != bucket:
            united.append(entry.fields)
            del result[entry.owner]
        result[bucket] = replace(result[bucket], time=entry.time)
        count -= 1
    for bucket, united in parts.items():
        result[bucket] = replace(result[bucket], fields=ordered(_united(united)))
    return result


def _united(parts: list[FieldSet]) -> FieldSet:
    # In pairs, and pairs of these: one after the other each would be copied for every one behind it.
    while len(parts) > 1:
        parts = [union(*parts[at : at + 2]) if at + 1 < len(parts) else parts[at] for at in range(0, len(parts), 2)]
    return parts[0]


def without_times(entries: Json) -> Json:
    """The entries as they are compared when only a time may have changed."""
    if not isinstance(entries, list):
        return entries
    return [{name: value for name, value in entry.items() if name != "time"} if isinstance(entry, dict) else entry for entry in entries]


def settle_times(old: Object, new: Object) -> None:
    """Gives `new` the managedFields of `old` when both differ in nothing but the times in them: such a write is none.

    Called when everything else is settled, because defaults and strategies may take a change back after it was accounted for.
    """
    before, after = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if before != after and without_times(before) == without_times(after) and _bare(old) == _bare(new):
        new["metadata"]["managedFields"] = before


def _bare(obj: Object) -> Object:
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name != "managedFields"}}
