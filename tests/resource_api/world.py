"""A server without its HTTP face on a store in memory, on virtual time: every built-in kind, the write pipeline, caches, controllers."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jepsen_like.sim.loop import VirtualLoop
from resource_api.cache.watch_cache import CacheSettings
from resource_api.controllers.authorities import AuthorityBundle
from resource_api.controllers.gc import GarbageCollector
from resource_api.controllers.namespaces import NamespaceController
from resource_api.controllers.object_index import ObjectIndex
from resource_api.controllers.runner import Controllers
from resource_api.controllers.service_account import NamespaceContent
from resource_api.controllers.service_addresses import ServiceAddresses
from resource_api.errors import Object, StatusError
from resource_api.registry.admission import Admission, Plugin
from resource_api.registry.api import Api
from resource_api.registry.builtin import builtin_models
from resource_api.registry.catalog import Catalog
from resource_api.registry.requests import MASTERS, Context, DeleteOptions, User
from resource_api.registry.resource import Resource
from resource_api.registry.store import Store
from resource_api.schema.protobuf.envelope import decode_envelope
from resource_api.security.admission.namespace_lifecycle import NamespaceLifecycle
from tests.support.memory_store import MemoryStore

WALL_S = 1_800_000_000.0
"""2027-01-15T08:00:00Z: what the virtual calendar begins with."""

ALICE = User("alice", (MASTERS, "system:authenticated"))
ROOT_CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
NETWORKS = ("10.0.0.0/24",)
PORTS = range(30000, 32768)


class WorldClock:
    """The loop's time, a calendar that begins at `WALL_S`, and one seeded generator."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int = 1) -> None:
        self._loop = loop
        self._began_s = loop.time()
        self._random = random.Random(seed)

    def monotonic_s(self) -> float:
        return self._loop.time()

    def wall_s(self) -> float:
        return WALL_S + self._loop.time() - self._began_s

    def random(self) -> random.Random:
        return self._random


class World:
    """One server. `store` may be one that an earlier server left."""

    def __init__(
        self,
        store: Store,
        group: asyncio.TaskGroup,
        clock: WorldClock,
        *,
        networks: Sequence[str] = NETWORKS,
        ports: range = PORTS,
        cache: CacheSettings | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.admission = Admission()
        self.api = Api()
        self.catalog = Catalog(store, group=group, clock=clock, admission=self.admission, cache=cache)
        self.api.add(*(self.catalog.resource(model) for model in builtin_models().values()))
        self.index = ObjectIndex(store, self.api, decode_envelope)
        self.collector = GarbageCollector(self.api, self.index)
        self.namespaces = NamespaceController(self.api, self.index)
        self.content = NamespaceContent(self.api, self.index, AuthorityBundle(self.api, ROOT_CA))
        self.addresses = ServiceAddresses(self.api, store, self.index, clock, networks=networks, ports=ports)
        self.warnings: list[str] = []
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    def plug(self, *plugins: Plugin) -> None:
        """These judge every write from now on."""
        self.admission.plugins = plugins

    def start_controllers(self, *, content: bool = False) -> None:
        """Has the collector and the namespace controller work; on request also what fills namespaces."""
        controllers = [self.collector, self.namespaces, *([self.content] if content else [])]
        self._tasks.append(self._group.create_task(Controllers(self.index, controllers).run()))

    def stop(self) -> None:
        """As a server stops: nothing of it goes on."""
        for task in self._tasks:
            task.cancel()
        self.catalog.caches.stop()

    async def settle(self, for_s: float = 20.0) -> None:
        """Until what happens by itself has happened."""
        await asyncio.sleep(for_s)

    # Requests.

    def context(self, namespace: str = "default", **fields: Any) -> Context:
        """A client's."""
        fields.setdefault("field_manager", "tester")
        return Context(ALICE, namespace, warn=self.warnings.append, **fields)

    def of(self, kind: str, group: str = "") -> Resource:
        """By plural."""
        return self.api.find(group, kind)

    def resource_of(self, obj: Object) -> Resource:
        """The resource of an object."""
        group, _, version = obj["apiVersion"].rpartition("/")
        found = next(one for one in self.api.resources() if one.type.gvk == (group, version, obj["kind"]))
        return found

    async def create(self, obj: Object, **fields: Any) -> Object:
        """POST of a copy, where the object says it belongs."""
        resource = self.resource_of(obj)
        namespace = obj["metadata"].get("namespace", "default") if resource.type.namespaced else ""
        return await resource.create(self.context(namespace, **fields), copy.deepcopy(obj))

    async def update(self, obj: Object, subresource: str = "", **fields: Any) -> Object:
        """PUT of a copy."""
        ctx = self.context(obj["metadata"].get("namespace", ""), **fields)
        found, _ = await self.resource_of(obj).update(ctx, obj["metadata"]["name"], copy.deepcopy(obj), subresource)
        return found

    async def change(self, obj: Object, change: Callable[[Object], object], subresource: str = "", **fields: Any) -> Object:
        """PATCH: `change` works in place on whatever stands there."""

        def changed(live: Object) -> Object:
            change(live)
            return live

        ctx = self.context(obj["metadata"].get("namespace", ""), **fields)
        return await self.resource_of(obj).patch(ctx, obj["metadata"]["name"], changed, patch_text="", subresource=subresource)

    async def delete(self, obj: Object, dry_run: bool = False, **options: Any) -> tuple[int, Object]:
        """DELETE."""
        ctx = self.context(obj["metadata"].get("namespace", ""), dry_run=dry_run)
        return await self.resource_of(obj).delete(ctx, obj["metadata"]["name"], DeleteOptions(**options))

    async def find(self, obj: Object) -> Object | None:
        """GET of the object of that kind, namespace and name; None when there is none."""
        try:
            return await self.resource_of(obj).get_object(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        except StatusError as error:
            assert error.code == 404
            return None


Scenario = Callable[[World], Awaitable[None]]


def run(scenario: Scenario, *, store: MemoryStore | None = None, seed: int = 1, lifecycle: bool = False, **options: Any) -> MemoryStore:
    """Plays a scenario; the store it leaves. With `lifecycle` namespaces are judged as in a whole server."""
    loop = VirtualLoop(seed)
    chosen = store or MemoryStore()

    async def body() -> None:
        clock = WorldClock(loop, seed)
        async with asyncio.TaskGroup() as group:
            world = World(chosen, group, clock, **options)
            if lifecycle:
                world.plug(NamespaceLifecycle(world.api, clock))
            try:
                await scenario(world)
            finally:
                world.stop()

    loop.run_until_complete(asyncio.wait_for(body(), 100_000))
    assert not loop.callback_errors, loop.callback_errors
    return chosen


async def refusal(work: Awaitable[object]) -> StatusError:
    """What the request is refused with."""
    try:
        await work
    except StatusError as error:
        return error
    raise AssertionError("it was not refused")


def config_map(name: str = "a", namespace: str = "default", data: Object | None = None, **metadata: Any) -> Object:
    """A ConfigMap."""
    obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}}
    return {**obj, "data": data} if data else obj


def owner(obj: Object, **fields: Any) -> Object:
    """A reference to an object that is there."""
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"], **fields}


LEASE: Object = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "default"}, "spec": {}}
"""Of a kind whose updates must carry a version, and which an update makes."""


async def allow() -> None:
    """Whoever asks may create what is missing."""
