"""Strategies of Jobs and DaemonSets. Sources: `pkg/registry/batch/job/strategy.go`, `pkg/registry/apps/daemonset/strategy.go`."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.registry.requests import Context
from resource_api.registry.strategies.table import BuiltinStrategy
from resource_api.schema.defaults.defaulter import struct

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
LEGACY_CONTROLLER_UID = "controller-uid"
LEGACY_JOB_NAME = "job-name"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class JobStrategy(BuiltinStrategy):
    """A Job selects its pods by its own uid, unless it says that it does so itself."""

    def created(self, ctx: Context, obj: Object) -> None:
        """Writes the selector, and the labels it selects into the template."""
        spec = struct(obj, "spec")
        if spec.get("manualSelector"):
            return
        metadata = obj["metadata"]
        uid, name = str(metadata.get("uid") or ""), str(metadata.get("name") or "")
        labels = struct(struct(struct(spec, "template"), "metadata"), "labels")
        for key, value in ((LEGACY_JOB_NAME, name), (JOB_NAME, name), (LEGACY_CONTROLLER_UID, uid), (CONTROLLER_UID, uid)):
            labels.setdefault(key, value)
        selector = struct(spec, "selector")
        struct(selector, "matchLabels").setdefault(CONTROLLER_UID, uid)


class DaemonSetStrategy(BuiltinStrategy):
    """DaemonSets count the changes of their template in an annotation, as releases before apps/v1 did in a field."""

    def created(self, ctx: Context, obj: Object) -> None:
        """The first template."""
        struct(obj["metadata"], "annotations")[TEMPLATE_GENERATION] = "1"

    def updated(self, ctx: Context, obj: Object, old: Object) -> None:
        """One more when the template changed."""
        before = (old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "1")
        count = int(before) if before.isdecimal() and len(before) < 19 else 1
        if (obj.get("spec") or {}).get("template") != (old.get("spec") or {}).get("template"):
            count += 1
        struct(obj["metadata"], "annotations")[TEMPLATE_GENERATION] = str(count)
