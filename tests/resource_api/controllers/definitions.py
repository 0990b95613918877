"""Definitions on a store in memory, on virtual time: the resources, the controller, and definitions to give it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable

from jepsen_like.sim.loop import VirtualLoop
from resource_api.controllers.crd import GROUP, PLURAL, DefinitionController
from resource_api.controllers.object_index import ObjectIndex
from resource_api.errors import Object
from resource_api.registry.admission import Admission
from resource_api.registry.api import Api
from resource_api.registry.builtin import builtin_models
from resource_api.registry.catalog import Catalog
from resource_api.registry.definitions import default_definition
from resource_api.registry.requests import loopback
from resource_api.registry.resource import Resource
from tests.client.scripted import LoopClock
from tests.support.memory_store import MemoryStore

DEFINITIONS = (GROUP, "v1", PLURAL)


def definition(plural: str = "widgets", kind: str = "Widget", group: str = "example.com", **names: object) -> Object:
    """A definition with one version, complete."""
    spec_schema = {
        "type": "object",
        "properties": {"size": {"type": "integer", "default": 1, "maximum": 9}, "replicas": {"type": "integer"}},
    }
    props = {
        "type": "object",
        "properties": {"spec": spec_schema, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": props}, "subresources": {"status": {}}}
    crd: Object = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind, **names}, "versions": [version]},
    }
    default_definition(crd)
    return copy.deepcopy(crd)


def widget(name: str, **fields: object) -> Object:
    """An object of the definition above."""
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, "namespace": "default"}, **fields}


class World:
    """What a scenario works with."""

    def __init__(self, api: Api, controller: DefinitionController, index: ObjectIndex, store: MemoryStore) -> None:
        self.api = api
        self.controller = controller
        self.index = index
        self.store = store
        self.context = loopback("default")

    @property
    def definitions(self) -> Resource:
        """The definitions' resource."""
        return self.api.find(GROUP, PLURAL)

    async def settle(self) -> None:
        """Until nothing more happens by itself."""
        for _ in range(40):
            await asyncio.sleep(0.01)

    async def define(self, crd: Object) -> Object:
        """Creates a definition and waits for what becomes of it."""
        await self.definitions.create(loopback(), crd)
        await self.settle()
        return await self.definitions.get_object("", crd["metadata"]["name"])

    @property
    def widgets(self) -> Resource:
        """The resource of the definition above."""
        return self.api.find("example.com", "widgets")


def run(scenario: Callable[[World], Awaitable[None]], store: MemoryStore | None = None) -> MemoryStore:
    """Plays a scenario; the store it leaves."""
    loop = VirtualLoop(0)
    chosen = store or MemoryStore()

    async def body() -> None:
        clock = LoopClock(loop)
        async with asyncio.TaskGroup() as group:
            api = Api()
            catalog = Catalog(chosen, group=group, clock=clock, admission=Admission())
            models = builtin_models()
            for model in (models["", "v1", "namespaces"], models[DEFINITIONS]):
                api.add(catalog.resource(model))
            index = ObjectIndex(chosen, api)
            controller = DefinitionController(api, index, catalog, clock)
            await controller.load()
            tasks = [group.create_task(index.run())]
            tasks += [group.create_task(controller.queue.work(controller.reconcile)) for _ in range(2)]
            try:
                await scenario(World(api, controller, index, chosen))
            finally:
                for task in tasks:
                    task.cancel()
                catalog.caches.stop()

    loop.run_until_complete(asyncio.wait_for(body(), 10_000))
    return chosen
