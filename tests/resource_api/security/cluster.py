"""A registry of dictionaries: what plugins and authenticators look things up in, with versions and conflicts but no pipeline."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from raftkv.clock import SystemClock
from resource_api.errors import MODIFIED, Object, conflict, not_found
from resource_api.registry.admission import AdmissionRequest, Operation
from resource_api.registry.requests import Context, DeleteOptions, User
from resource_api.schema.kinds import ResourceType

NAMESPACED = {"secrets", "serviceaccounts", "pods", "limitranges", "resourcequotas", "roles", "rolebindings", "persistentvolumeclaims"}


class Item:
    def __init__(self, obj: Object) -> None:
        self._obj = obj

    def object(self) -> Object:
        return self._obj


class FakeResource:
    """One kind; objects by namespace and name."""

    def __init__(self, group: str, plural: str) -> None:
        self.group, self.plural = group, plural
        self.objects: dict[tuple[str, str], Object] = {}
        self.writes = 0
        self.before_update: Callable[[], None] = lambda: None

    async def get_object(self, namespace: str, name: str) -> Object:
        if (namespace, name) not in self.objects:
            raise not_found(self.group, self.plural, name)
        return copy.deepcopy(self.objects[namespace, name])

    async def list_objects(self, namespace: str = "") -> list[Object]:
        return [obj for (where, _), obj in sorted(self.objects.items()) if namespace in ("", where)]

    async def readable_objects(self, namespace: str = "") -> list[Object]:
        return await self.list_objects(namespace)

    def put(self, obj: Object) -> Object:
        self.writes += 1
        metadata = obj["metadata"]
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata["resourceVersion"] = str(self.writes)
        self.objects[metadata.get("namespace", ""), metadata["name"]] = copy.deepcopy(obj)
        return obj

    async def create(self, ctx: Context, obj: Object) -> Object:
        assert (ctx.namespace, obj["metadata"]["name"]) not in self.objects
        return self.put(obj)

    async def update(self, ctx: Context, name: str, obj: Object, *, subresource: str = "") -> tuple[Object, bool]:
        self.before_update()
        there = self.objects[ctx.namespace, name]
        if obj["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
            raise conflict(self.group, self.plural, name, MODIFIED)
        return self.put(obj), False

    async def delete(self, ctx: Context, name: str, options: DeleteOptions) -> tuple[int, Object]:
        return 200, self.objects.pop((ctx.namespace, name))


class FakeCluster:
    """All kinds; unknown ones come into being when they are asked for, and what is `coming` when it is waited for."""

    def __init__(self, *objects: Object) -> None:
        self.resources: dict[tuple[str, str], FakeResource] = {}
        self.coming: list[Object] = []
        self.waits: list[tuple[str, str, float]] = []
        """Namespace, name and patience of each wait."""
        for obj in objects:
            self.add(obj)

    def add(self, obj: Object) -> None:
        api_version = obj["apiVersion"]
        kind = obj["kind"].lower()
        plural = kind + ("es" if kind.endswith("s") else "s")
        self.find(api_version.split("/")[0] if "/" in api_version else "", plural).put(obj)

    def find(self, group: str, plural: str) -> FakeResource:
        return self.resources.setdefault((group, plural), FakeResource(group, plural))

    def items_nowait(self, group: str, plural: str, namespace: str = "") -> list[Item]:
        objects = sorted(self.find(group, plural).objects.items())
        return [Item(obj) for (where, _), obj in objects if namespace in ("", where)]

    def get_nowait(self, group: str, plural: str, namespace: str, name: str) -> Item | None:
        obj = self.find(group, plural).objects.get((namespace, name))
        return Item(obj) if obj is not None else None

    async def wait_for(self, group: str, plural: str, namespace: str, name: str, timeout_s: float) -> Item | None:
        self.waits.append((namespace, name, timeout_s))
        for obj in self.coming:
            self.add(obj)
        return self.get_nowait(group, plural, namespace, name)


class SetClock(SystemClock):
    """A clock that stands where it is set."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        super().__init__()
        self.now_s = now_s

    def wall_s(self) -> float:
        return self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


ALICE = User("alice", ("devs", "system:authenticated"))


def request(
    kind: str,
    plural: str,
    obj: Object | None,
    *,
    old: Object | None = None,
    operation: Operation = "CREATE",
    group: str = "",
    subresource: str = "",
    namespace: str = "default",
    user: User = ALICE,
    dry_run: bool = False,
    warn: Callable[[str], None] | None = None,
    **more: Any,
) -> AdmissionRequest:
    """One write of one object."""
    either: Object = obj if obj is not None else old or {}
    resource = ResourceType(group, "v1", kind, plural, kind.lower(), namespaced=bool(namespace))
    name = str((either.get("metadata") or {}).get("name") or "")
    said = warn if warn is not None else lambda text: None
    return AdmissionRequest(operation, resource, subresource, namespace, name, user, dry_run, obj, old, said, **more)
