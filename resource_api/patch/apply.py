"""Field ownership of one kind: what each write owns from now on, and server-side apply with its conflicts (spec B.11).

A `FieldOwnership` belongs to one resource; it keeps no state between writes and never changes a live object. Hot path: `on_update`.
Rules are those of structured-merge-diff and of apimachinery's managedfields; owners of another version are compared in this one, because
versions of one storage have one shape here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace

from resource_api.errors import Cause, Json, Object, StatusError, bad_request, conflict
from resource_api.patch import last_applied
from resource_api.patch.comparison import Comparison, compare
from resource_api.patch.configuration import MisfitError, fields_of, stored_fields
from resource_api.patch.field_sets import (
    FieldSet,
    difference,
    intersection,
    of_paths,
    ordered,
    path_text,
    paths,
    recursive_difference,
    union,
)
from resource_api.patch.managed_fields import BEFORE_FIRST_APPLY, Entry, Managed, Owner, bounded, is_reset, owner_of, read, write
from resource_api.patch.shapes import UnidentifiedItemError, with_named_fields
from resource_api.patch.typed_merge import drop, merged, without
from resource_api.patch.zero_objects import zero_object
from resource_api.schema.json_values import same
from resource_api.schema.kinds import ResourceType
from resource_api.schema.types import ANY, Schema

NEVER_OWNED = of_paths(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ]
)
"""The server's own, and what names the object."""


class ConflictError(Exception):
    """An applied configuration differs from what others own."""

    def __init__(self, conflicts: dict[Owner, FieldSet]) -> None:
        super().__init__("conflict")
        self.conflicts = conflicts


def default_reset_fields(type: ResourceType) -> dict[str, FieldSet]:
    """Per endpoint, what its writes do not reach: the main one no status, `status` nothing else."""
    if "status" not in type.subresources:
        return {}
    at_status = [("f:spec",), ("f:metadata",)] if type.custom else [("f:spec",)]
    return {"": of_paths([("f:status",)]), "status": of_paths(at_status)}


class FieldOwnership:
    """See the module. `schema` None means a kind of which nothing is known: every list is atomic."""

    def __init__(self, schema: Schema | None, type: ResourceType, *, reset_fields: Mapping[str, FieldSet] | None = None) -> None:
        self._schema = schema if schema is not None else ANY
        self._type = type
        self._api_version = type.api_version
        self._reset = dict(default_reset_fields(type) if reset_fields is None else reset_fields)
        self._zero = zero_object(type)

    def on_update(self, live: Object | None, new: Object, *, manager: str, subresource: str = "", now: str) -> Object:
        """`new`, changed in place, with its managedFields after a create (`live` None), an update or a patch that is no apply."""
        metadata = new.setdefault("metadata", {})
        sent = metadata.pop("managedFields", None)
        stored = live["metadata"].get("managedFields") if live is not None else None
        managed = _sent_or_stored(sent, stored, from_client=not subresource)
        if not managed and live is not None and live["metadata"].get("uid"):
            return new
        try:
            found = self._compared(self._zero if live is None else live, new, subresource)
        except UnidentifiedItemError:
            found = Comparison({}, {})
        if found.changed or found.removed:
            owner = owner_of(manager, "Update", self._api_version, subresource)
            managed = bounded(_updated(managed, owner, self._api_version, found, now))
        if managed:
            metadata["managedFields"] = write(managed)
        return new

    def apply(self, live: Object | None, applied: Object, *, manager: str, force: bool, subresource: str = "", now: str) -> Object:
        """`live` (None: nothing there yet) with `applied` merged in, and its managedFields; shares nothing with `live` but sets of fields.

        Raises StatusError: 400 for a configuration that does not fit, 409 for conflicts and for a uid of nothing.
        """
        self._check(live, applied)
        current = live if live is not None else {"apiVersion": applied["apiVersion"], "kind": applied["kind"], "metadata": {}}
        stored = current["metadata"].get("managedFields")
        try:
            managed = read(stored, trusted=True) if stored else {}
        except ValueError as error:
            raise bad_request(f"failed to decode managed fields: {error}") from error
        if live is not None and not managed:
            managed = self._before_first_apply(live, subresource, now)
        bare = {**current, "metadata": {name: value for name, value in current["metadata"].items() if name != "managedFields"}}
        owner = owner_of(manager, "Apply", self._api_version, subresource)
        try:
            result, managed = self._applied(bare, applied, managed, owner, force=force, subresource=subresource, now=now)
        except ConflictError as error:
            result, managed = self._despite(error, bare, applied, managed, owner, subresource=subresource, now=now)
        if manager == last_applied.MANAGER:
            last_applied.refresh(result, applied)
        result["metadata"].pop("managedFields", None)
        if managed:
            result["metadata"]["managedFields"] = write(managed)
        return result

    def _check(self, live: Object | None, applied: Object) -> None:
        version, kind = applied.get("apiVersion") or "", applied.get("kind") or ""
        if version != self._api_version:
            raise bad_request(
                f"Incorrect version specified in apply patch. Specified patch version: {version}, expected: {self._api_version}"
            )
        if kind != self._type.kind:
            raise bad_request(f"Incorrect kind specified in apply patch. Specified patch kind: {kind}, expected: {self._type.kind}")
        metadata = applied.setdefault("metadata", {})
        if not isinstance(metadata, dict):
            raise bad_request(f"{self._misfit(applied)}: .metadata: expected map, got &{{{metadata}}}")
        if metadata.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        uid = metadata.get("uid")
        if live is None and uid:
            text = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(self._type.group, self._type.plural, str(metadata.get("name") or ""), text)

    def _compared(self, old: Object, new: Object, subresource: str) -> Comparison:
        """What a write changed, of that which can be owned and which its endpoint reaches."""
        found = compare(self._schema, old, new)
        changed, removed = difference(found.changed, NEVER_OWNED), difference(found.removed, NEVER_OWNED)
        ignored = self._reset.get(subresource)
        if ignored:
            changed, removed = recursive_difference(changed, ignored), recursive_difference(removed, ignored)
        return Comparison(changed, removed)

    def _before_first_apply(self, live: Object, subresource: str, now: str) -> Managed:
        try:
            found = self._compared(self._zero, live, subresource)
        except UnidentifiedItemError as error:
            raise bad_request(f"{self._misfit(live, 'live')}: {error}") from error
        owner = owner_of(BEFORE_FIRST_APPLY, "Update", self._api_version, subresource)
        return {owner: Entry(owner, self._api_version, now, ordered(found.changed))} if found.changed else {}

    def _applied(
        self, live: Object, applied: Object, managed: Managed, owner: Owner, *, force: bool, subresource: str, now: str
    ) -> tuple[Object, Managed]:
        """The merge and who owns what then. Raises ConflictError."""
        try:
            fields = fields_of(self._schema, applied)
        except MisfitError as error:
            # Upstream answers 500 here; a body that does not fit its kind is the client's fault.
            raise bad_request(f"{self._misfit(applied)}: {error}") from error
        fields = recursive_difference(fields, self._reset.get(subresource, {}))
        previous = managed.get(owner)
        last = previous.fields if previous is not None else {}
        others = {other: entry for other, entry in managed.items() if other != owner}
        try:
            result = merged(self._schema, live, applied)
            result, emptied = self._pruned(result, last, [fields, *(entry.fields for entry in others.values())])
            found = self._compared(live, result, subresource)
            drop(emptied)
        except UnidentifiedItemError as error:
            raise bad_request(f"{self._misfit(live, 'live')}: {error}") from error
        conflicts = _conflicts(others, found.changed)
        if conflicts and not force:
            raise ConflictError(conflicts)
        result_managed = {other: entry for other, entry in _without(others, found).items() if entry.fields}
        fields = difference(fields, NEVER_OWNED)
        if fields:
            stands = previous is not None and previous.fields == fields and previous.api_version == self._api_version
            time = previous.time if previous is not None and stands and same(live, result) else now
            result_managed[owner] = Entry(owner, self._api_version, time, ordered(fields))
        return result, result_managed

    def _pruned(self, result: Object, last: FieldSet, owned: Iterable[FieldSet]) -> tuple[Object, list[tuple[Object, str]]]:
        """Takes out what the manager applied last time and nobody owns now; and what that left empty."""
        kept: FieldSet = functools.reduce(union, owned)
        if not difference(last, kept):
            return result, []
        schema = self._schema
        gone = with_named_fields(schema, last)
        everything = with_named_fields(schema, stored_fields(schema, result))
        pruned, _ = without(schema, result, gone)
        left = union(with_named_fields(schema, stored_fields(schema, pruned)), with_named_fields(schema, kept))
        pruned, _ = without(schema, result, difference(everything, left))
        left = with_named_fields(schema, stored_fields(schema, pruned))
        return without(schema, result, intersection(difference(everything, left), gone))

    def _despite(
        self, error: ConflictError, live: Object, applied: Object, managed: Managed, owner: Owner, *, subresource: str, now: str
    ) -> tuple[Object, Managed]:
        """Conflicts with what kubectl itself applied client-side before are none; otherwise raises StatusError 409."""
        allowed = last_applied.owned(self._schema, live, self._api_version) if owner.manager == last_applied.MANAGER else {}
        conflicts = {other: difference(fields, allowed) for other, fields in error.conflicts.items()}
        conflicts = {other: fields for other, fields in conflicts.items() if fields}
        if conflicts:
            raise _refusal(conflicts) from error
        return self._applied(live, applied, managed, owner, force=True, subresource=subresource, now=now)

    def _misfit(self, obj: Object, which: str = "patch") -> str:
        metadata = obj.get("metadata")
        known = metadata if isinstance(metadata, dict) else {}
        return (
            f"failed to create typed {which} object ({known.get('namespace') or ''}/{known.get('name') or ''}; "
            f"{self._type.group}/{self._type.version}, Kind={self._type.kind})"
        )


def _sent_or_stored(sent: Json, stored: Json, *, from_client: bool) -> Managed:
    """The entries a write starts from: the client's where it sent usable ones to the main endpoint, else those that are stored."""
    if from_client and sent and sent != stored:
        if is_reset(sent):
            return {}
        try:
            return read(sent, trusted=False)
        except (ValueError, RecursionError):
            pass
    try:
        return read(stored, trusted=True) if stored else {}
    except ValueError:
        return {}


def _updated(managed: Managed, owner: Owner, api_version: str, found: Comparison, now: str) -> Managed:
    """Ownership after an update: the changed fields are the updater's alone."""
    result: Managed = {other: entry for other, entry in _without(managed, found).items() if entry.fields}
    if found.changed:
        mine = result.get(owner)
        fields = found.changed if mine is None else union(mine.fields, found.changed)
        result[owner] = Entry(owner, api_version, now, ordered(fields))
    return result


def _without(managed: Managed, found: Comparison) -> Managed:
    """Everybody's entries without the changed and the removed fields."""
    result: Managed = {}
    for owner, entry in managed.items():
        fields = difference(difference(entry.fields, found.changed), found.removed)
        result[owner] = entry if fields == entry.fields else replace(entry, fields=fields)
    return result


def _conflicts(managed: Managed, changed: FieldSet) -> dict[Owner, FieldSet]:
    found = {owner: intersection(entry.fields, changed) for owner, entry in managed.items()}
    return {owner: fields for owner, fields in found.items() if fields}


def _refusal(conflicts: dict[Owner, FieldSet]) -> StatusError:
    """409 in upstream's words; causes and lines by manager."""
    found = [(owner.text(), path_text(path)) for owner in sorted(conflicts, key=Owner.identifier) for path in paths(conflicts[owner])]
    causes = [Cause("FieldManagerConflict", f"conflict with {said}", path) for said, path in found]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    else:
        lines: list[str] = []
        for said in dict.fromkeys(said for said, _ in found):
            lines.append(f"conflicts with {said}:")
            lines += [f"- {path}" for other, path in found if other == said]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, causes=causes)
