"""Definitions become kinds: names are accepted, versions served, and a deleted definition takes its objects with it (spec C.1).

`settle` decides, from one definition and all others; `DefinitionController` carries it out. A kind is served before its `Established` is
written, so whoever sees the condition finds the endpoint, discovery and OpenAPI. Source: apiextensions `pkg/controller`. Loop only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from resource_api.cache.item import readable
from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import FieldError, Object, StatusError
from resource_api.registry.api import ResourceName
from resource_api.registry.custom import CustomModel, custom_models, storage_version
from resource_api.registry.definitions import CLEANUP, set_condition
from resource_api.registry.objects import name_of
from resource_api.registry.requests import DeleteOptions, ListOptions, loopback
from resource_api.schema.custom_definitions import approval_of, has_condition, is_established, is_protected
from resource_api.schema.json_values import copied
from resource_api.schema.structural.rules import structural_errors
from resource_api.schema.times import rfc3339
from resource_api.turns import apart

if TYPE_CHECKING:
    from raftkv.clock import Clock
    from resource_api.registry.api import Api
    from resource_api.registry.catalog import Catalog
    from resource_api.registry.resource import Resource

GROUP, PLURAL = "apiextensions.k8s.io", "customresourcedefinitions"
PATH = f"{GROUP}/{PLURAL}/"
PAUSE_S = 0.5
"""Between two looks at objects that do not go by themselves."""

_APPROVAL_REASONS = {
    "approved": ("True", "ApprovedAnnotation"),
    "bypassed": ("False", "UnapprovedAnnotation"),
    "missing": ("False", "MissingAnnotation"),
    "invalid": ("False", "InvalidAnnotation"),
}


def settle(
    crd: Object, others: Iterable[Object], built_in: Collection[tuple[str, str]], now: str, faults: Sequence[FieldError] = ()
) -> Object:
    """The status a definition is to have: accepted names, conditions, stored versions. Changes nothing.

    Args: the definition; all other definitions with their present status; group and plural of every built-in resource; the time for
    conditions that change; its `schema_faults`.
    """
    settled = {"spec": crd["spec"], "status": copied(crd.get("status") or {})}
    status: Object = settled["status"]
    wanted: Object = crd["spec"]["names"]
    accepted: Object = status.get("acceptedNames") or {}
    conflicts = _conflicts(wanted, accepted, *_taken(crd["spec"]["group"], others, built_in))
    status["acceptedNames"] = _accept(wanted, accepted, {reason for reason, _ in conflicts})
    if conflicts:
        reason, message = conflicts[-1]
        set_condition(settled, "NamesAccepted", "False", reason, message, now)
    else:
        set_condition(settled, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
    if not is_established(settled):
        if conflicts:
            set_condition(settled, "Established", "False", "NotAccepted", "not all names are accepted", now)
        else:
            set_condition(settled, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now)
    _set_structural(faults, settled, now)
    _set_approval(crd, settled, now)
    stored = status["storedVersions"] = status.get("storedVersions") or []
    if storage_version(crd) not in stored:
        stored.append(storage_version(crd))
    return status


def _taken(group: str, others: Iterable[Object], built_in: Collection[tuple[str, str]]) -> tuple[set[str], set[str]]:
    """Names of resources and of kinds that are in use in a group."""
    resources = {plural for owner, plural in built_in if owner == group}
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] != group:
            continue
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources.update(filter(None, (names.get("plural"), names.get("singular"), *(names.get("shortNames") or []))))
        kinds.update(filter(None, (names.get("kind"), names.get("listKind"))))
    return resources, kinds


def _conflicts(wanted: Object, accepted: Object, resources: set[str], kinds: set[str]) -> list[tuple[str, str]]:
    """Reason and message of each name that somebody else has; what a definition has already it keeps."""
    found = []
    for field, taken, reason in (("plural", resources, "PluralConflict"), ("singular", resources, "SingularConflict")):
        if wanted.get(field) != accepted.get(field) and wanted.get(field) in taken:
            found.append((reason, f'"{wanted[field]}" is already in use'))
    own = {*(accepted.get("shortNames") or []), accepted.get("plural"), accepted.get("singular")}
    clashes = [f'"{name}" is already in use' for name in wanted.get("shortNames") or [] if name not in own and name in resources]
    if clashes:
        found.append(("ShortNamesConflict", clashes[0] if len(clashes) == 1 else "[" + ", ".join(clashes) + "]"))
    for field, reason in (("kind", "KindConflict"), ("listKind", "ListKindConflict")):
        if wanted.get(field) != accepted.get(field) and wanted.get(field) in kinds:
            found.append((reason, f'"{wanted[field]}" is already in use'))
    return found


def _accept(wanted: Object, accepted: Object, refused: set[str]) -> Object:
    """Every name that is free, beside those held before."""
    names = {"plural": "", "kind": "", **accepted}
    for field, reason in (
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("shortNames", "ShortNamesConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
        ("categories", ""),
    ):
        if reason in refused:
            continue
        names.pop(field, None)
        if wanted.get(field):
            names[field] = wanted[field]
    return names


def _drop_condition(settled: Object, kind: str) -> None:
    conditions = settled["status"].get("conditions") or []
    settled["status"]["conditions"] = [condition for condition in conditions if condition.get("type") != kind]


def schema_faults(crd: Object) -> list[FieldError]:
    """Why its schemas are not structural. Takes 0.2 ms per kilobyte of schema."""
    faults: list[FieldError] = []
    for index, version in enumerate(crd["spec"].get("versions") or []):
        props = (version.get("schema") or {}).get("openAPIV3Schema")
        if props is not None:
            faults += structural_errors(props, f"spec.versions[{index}].schema.openAPIV3Schema")
    return faults


def _set_structural(faults: Sequence[FieldError], settled: Object, now: str) -> None:
    if faults:
        texts = sorted(map(str, faults))
        set_condition(settled, "NonStructuralSchema", "True", "Violations", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]", now)
    else:
        _drop_condition(settled, "NonStructuralSchema")


def _set_approval(crd: Object, settled: Object, now: str) -> None:
    kind = "KubernetesAPIApprovalPolicyConformant"
    if is_protected(crd["spec"]["group"]):
        state, message = approval_of(crd)
        status, reason = _APPROVAL_REASONS[state]
        set_condition(settled, kind, status, reason, message, now)
    else:
        _drop_condition(settled, kind)


class DefinitionController:
    """Works on names of definitions.

    Invariants: 1. `_known` has every definition seen, with the status decided for it, before anybody awaits: two definitions never get one
    name; 2. `_served` has exactly the resources in `Api` that are custom.
    """

    def __init__(self, api: Api, index: ObjectIndex, catalog: Catalog, clock: Clock) -> None:
        self._api = api
        self._index = index
        self._catalog = catalog
        self._clock = clock
        self._known: dict[str, Object] = {}
        self._served: dict[str, tuple[ResourceName, ...]] = {}
        self._shapes: dict[str, Object] = {}
        self._prepared: dict[str, tuple[Object, list[CustomModel]]] = {}
        """By name, what is about to be served: of which shape, and the models."""
        self.queue = WorkQueue("definitions")
        index.listen(self._on_change)

    @property
    def _definitions(self) -> Resource:
        return self._api.find(GROUP, PLURAL)

    async def load(self) -> None:
        """Serves the kinds that are established already; before the server answers anybody. Raises StatusError, StoreError."""
        for item in readable((await self._definitions.reader.list("", ListOptions())).items):
            self._known[name_of(item.object())] = copied(item.object())
        for crd in list(self._known.values()):
            if is_established(crd):
                self._serve(crd)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key.startswith(PATH):
            self.queue.add(entry.key.removeprefix(PATH))
        elif new is None:
            # The last object of a kind whose definition waits for it.
            group, _, rest = entry.key.partition("/")
            name = f"{rest.partition('/')[0]}.{group}"
            if name in self._known and self._known[name]["metadata"].get("deletionTimestamp"):
                self.queue.add(name)

    async def reconcile(self, name: str) -> None:
        """Brings one definition in order: its names, what is served of it, its end."""
        try:
            crd = await self._definitions.get_object("", name)
        except StatusError as error:
            if error.code != 404:
                raise
            self._forget(name)
            return
        known = self._known.get(name)
        if known is not None and known["metadata"].get("uid") != crd["metadata"].get("uid"):
            # Gone and made again before we looked: another kind under the same name.
            self._forget(name)
        if crd["metadata"].get("deletionTimestamp"):
            await self._finalise(crd)
            return
        faults = await apart(len(msgspec.json.encode(crd["spec"])), lambda: schema_faults(crd))
        # From here to the new entry nothing waits: two definitions do not both get a name that was free.
        others = [other for known, other in self._known.items() if known != name]
        before = copied(crd.get("status") or {})
        built_in = [(one.type.group, one.type.plural) for one in self._api.resources() if not one.type.custom]
        crd["status"] = settle(crd, others, built_in, rfc3339(self._clock.wall_s()), faults)
        released = (self._known.get(name, {}).get("status") or {}).get("acceptedNames") != crd["status"]["acceptedNames"]
        self._known[name] = crd
        if is_established(crd) and has_condition(crd, "NamesAccepted"):
            await self._prepare(crd)
            self._serve(crd)
        if crd["status"] != before:
            await self._write_status(name, crd["status"])
        if released:
            self._look_at_group(crd)

    def _look_at_group(self, crd: Object) -> None:
        """Names may have become free for others of the group."""
        for name, other in self._known.items():
            waits = not has_condition(other, "NamesAccepted")
            if waits and other["spec"]["group"] == crd["spec"]["group"] and name != name_of(crd):
                self.queue.add(name)

    def _serve(self, crd: Object) -> None:
        """Puts the served versions in the place of those before; nothing happens when nothing changed."""
        name, shape = name_of(crd), _shape(crd)
        if self._shapes.get(name) == shape or self._is_built_in(crd):
            return
        prepared, models = self._prepared.pop(name, ({}, []))
        if prepared != shape:
            models = custom_models(crd)
        names = tuple((model.type.group, model.type.version, model.type.plural) for model in models)
        gone = [one for one in self._served.get(name, ()) if one not in names]
        before = self._shapes.get(name)
        self._shapes[name], self._served[name] = shape, names
        if gone:
            self._api.remove(*gone)
        # All at once and in order: the first is the group's preferred version.
        self._api.remove(*names)
        self._api.add(*(self._catalog.resource(model, scale=model.scale_paths) for model in models))
        # A kind that is about to go is watched to its end.
        if before is not None and {**before, "terminating": shape["terminating"]} != shape:
            self._catalog.caches.forget_views(_storage_path(crd))

    async def _prepare(self, crd: Object) -> None:
        """Has the models of a definition that is new or changed made, those of large schemas in a thread."""
        name, shape = name_of(crd), _shape(crd)
        if self._shapes.get(name) == shape or self._is_built_in(crd):
            return
        models = custom_models(crd)
        for model in models:
            await apart(len(msgspec.json.encode(model.props)), model.compile)
        self._prepared[name] = (shape, models)

    def _is_built_in(self, crd: Object) -> bool:
        """The definition names a resource the server has of itself: that one is served and its objects are left alone."""
        place = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        return any((one.type.group, one.type.plural) == place for one in self._api.resources() if not one.type.custom)

    def _forget(self, name: str) -> None:
        crd = self._known.pop(name, None)
        self._shapes.pop(name, None)
        served = self._served.pop(name, ())
        if served:
            self._api.remove(*served)
        if crd is not None and not self._is_built_in(crd):
            self._catalog.caches.forget(_storage_path(crd))
            self._look_at_group(crd)

    async def _write_status(self, name: str, status: Object) -> None:
        def change(obj: Object) -> Object:
            stored = (obj.get("status") or {}).get("storedVersions") or []
            obj["status"] = {**status, "storedVersions": stored or status["storedVersions"]}
            return obj

        await self._definitions.patch(loopback(), name, change, patch_text="", subresource="status")

    async def _finalise(self, crd: Object) -> None:
        """Deletes the objects, then lets the definition go."""
        name = name_of(crd)
        if CLEANUP not in (crd["metadata"].get("finalizers") or []):
            return
        self._known[name] = crd
        if name in self._served:
            self._serve(crd)
        if self._is_built_in(crd):
            await self._let_go(name, "OverlappingBuiltInResource", "instances overlap with built-in resources in storage")
            return
        if not is_established(crd) and name not in self._served:
            await self._let_go(name, "NeverEstablished", "resource was never established")
            return
        resource = self._catalog.resource(_storage_model(crd))
        left, failures = await self._delete_all(resource)
        if failures:
            await self._tell(name, "True", "InstanceDeletionFailed", f"could not issue all deletes: {'; '.join(failures)}")
        elif left:
            await self._tell(name, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        else:
            await self._let_go(name, "InstanceDeletionCompleted", "removed all instances")
            return
        self.queue.add_after(name, PAUSE_S)

    async def _delete_all(self, resource: Resource) -> tuple[int, list[str]]:
        """How many are left, and what went wrong."""
        failures = []
        for item in (await resource.reader.list("", ListOptions())).items:
            metadata = item.object()["metadata"]
            if metadata.get("deletionTimestamp"):
                continue
            options = DeleteOptions(propagation="Background", precondition_uid=metadata.get("uid"))
            try:
                await resource.delete(loopback(str(metadata.get("namespace") or "")), metadata["name"], options)
            except StatusError as error:
                if error.code not in (404, 409):
                    failures.append(error.message)
        return len((await resource.reader.list("", ListOptions())).items), failures

    async def _tell(self, name: str, status: str, reason: str, message: str, *, last: bool = False) -> None:
        now = rfc3339(self._clock.wall_s())

        def change(obj: Object) -> Object:
            set_condition(obj, "Terminating", status, reason, message, now)
            if last:
                obj["metadata"]["finalizers"] = [one for one in obj["metadata"].get("finalizers") or [] if one != CLEANUP]
            return obj

        await self._definitions.patch(loopback(), name, change, patch_text="", subresource="status")

    async def _let_go(self, name: str, reason: str, message: str) -> None:
        await self._tell(name, "False", reason, message, last=True)


def _shape(crd: Object) -> Object:
    """What decides how the kind is served."""
    terminating = bool(crd["metadata"].get("deletionTimestamp"))
    shape: Object = copied({"spec": crd["spec"], "names": crd["status"].get("acceptedNames"), "terminating": terminating})
    return shape


def _storage_path(crd: Object) -> str:
    return f"{crd['spec']['group']}/{crd['spec']['names']['plural']}"


def _storage_model(crd: Object) -> CustomModel:
    """Of the storage version, served or not."""
    name = storage_version(crd)
    return CustomModel(crd, next(version for version in crd["spec"]["versions"] if version["name"] == name))
