"""Says of every FlowSchema whether its priority level exists: condition `Dangling` (upstream: flowcontrol's config consumer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkv.clock import Clock
from resource_api.controllers.object_index import Entry, ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import loopback
from resource_api.schema.times import rfc3339

if TYPE_CHECKING:
    from resource_api.registry.api import Api

SCHEMAS, LEVELS = "flowschemas/", "prioritylevelconfigurations/"
GROUP = "flowcontrol.apiserver.k8s.io"
MANAGER = "api-priority-and-fairness-config-consumer-v1"
DANGLING = "Dangling"


class FlowSchemas:
    """Works on names of FlowSchemas. Invariant: `_names` has all there are."""

    def __init__(self, api: Api, index: ObjectIndex, clock: Clock) -> None:
        self._api = api
        self._index = index
        self._clock = clock
        self._names: set[str] = set()
        self.queue = WorkQueue("flow schemas")
        index.listen(self._on_change)

    def _on_change(self, old: Entry | None, new: Entry | None) -> None:
        entry = new or old
        assert entry is not None
        if entry.key.startswith(SCHEMAS):
            name = entry.key.removeprefix(SCHEMAS)
            if new is None:
                self._names.discard(name)
            else:
                self._names.add(name)
                self.queue.add(name)
        elif entry.key.startswith(LEVELS) and (old is None or new is None):
            for name in self._names:
                self.queue.add(name)

    async def reconcile(self, name: str) -> None:
        """Sets the condition when it is another."""
        schemas = self._api.find(GROUP, "flowschemas")
        try:
            schema = await schemas.get_object("", name)
        except StatusError as error:
            if error.code != 404:
                raise
            return
        level = str(schema["spec"]["priorityLevelConfiguration"]["name"])
        wanted = self._condition(level)
        held = next((one for one in _conditions(schema) if one["type"] == DANGLING), {})
        if {**held, "lastTransitionTime": ""} == {**wanted, "lastTransitionTime": ""}:
            return
        if held.get("status") == wanted["status"]:
            wanted["lastTransitionTime"] = held["lastTransitionTime"]

        def change(obj: Object) -> Object:
            others = [one for one in _conditions(obj) if one["type"] != DANGLING]
            return {**obj, "status": {**(obj.get("status") or {}), "conditions": [*others, wanted]}}

        await schemas.patch(loopback(manager=MANAGER), name, change, patch_text="", subresource="status")

    def _condition(self, level: str) -> Object:
        exists = LEVELS + level in self._index.by_key
        said = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" '
        return {
            "type": DANGLING,
            "status": "False" if exists else "True",
            "lastTransitionTime": rfc3339(self._clock.wall_s()),
            "reason": "Found" if exists else "NotFound",
            "message": said + ("and it exists" if exists else "but there is no such object"),
        }


def _conditions(schema: Object) -> list[Object]:
    return list((schema.get("status") or {}).get("conditions") or [])
