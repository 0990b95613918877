"""Strategies of pods, namespaces, Services and nodes' neighbours in the core group, and of certificate signing requests.

Sources: `pkg/registry/core/{pod,namespace,service}/strategy.go`, `pkg/registry/certificates/certificates/strategy.go`.
"""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.registry.requests import Context, DeleteOptions
from resource_api.registry.strategies.table import BuiltinStrategy, keep
from resource_api.schema.defaults.defaulter import items, struct
from resource_api.schema.json_values import copied
from resource_api.schema.service_quality import quality_of_service

RESIZABLE = ("containers", "initContainers")
NAMESPACE_FINALIZER = "kubernetes"


class PodStrategy(BuiltinStrategy):
    """Pods: graceful deletion, quality of service, three subresources."""

    def created(self, ctx: Context, obj: Object) -> None:
        """A pod starts pending, with its class of service."""
        obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(obj)}

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """`status` writes the status; `ephemeralcontainers` and `resize` each their part of the spec; what `binding` did stands."""
        if subresource == "binding":
            return
        if subresource == "status":
            super().prepare_subresource(ctx, subresource, obj, old)
            keep(obj["metadata"], old["metadata"], "ownerReferences")
            return
        asked = obj.get("spec") or {}
        metadata = obj["metadata"]
        version = metadata.get("resourceVersion")
        for field in ("spec", "status"):
            keep(obj, old, field)
        obj["metadata"] = copied(old["metadata"])
        if version:
            obj["metadata"]["resourceVersion"] = version
        if metadata.get("managedFields") is not None:
            obj["metadata"]["managedFields"] = metadata["managedFields"]
        if subresource == "ephemeralcontainers":
            keep(obj["spec"], asked, "ephemeralContainers")
        elif subresource == "resize":
            _take_resources(obj["spec"], asked)
        self.default(obj)
        self._count(obj, old)

    def grace_period_s(self, obj: Object, options: DeleteOptions) -> int:
        """As asked, else the pod's own; none for a pod that runs nowhere or has ended."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        period = options.grace_period_s
        if period is None:
            period = spec.get("terminationGracePeriodSeconds")
            period = 30 if period is None else period
        if not spec.get("nodeName") or status.get("phase") in ("Failed", "Succeeded"):
            return 0
        return 1 if period < 0 else int(period)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Environment variables named twice, besides what all kinds warn of."""
        return super().warnings(obj, old) + ([] if old is not None else pod_warnings(obj.get("spec") or {}, "spec"))


def _take_resources(spec: Object, asked: Object) -> None:
    """Resources and resize policies of the containers of the same name."""
    for group in RESIZABLE:
        wanted = {one.get("name"): one for one in items(asked, group)}
        for container in items(spec, group):
            if container.get("name") in wanted:
                for field in ("resources", "resizePolicy"):
                    keep(container, wanted[container["name"]], field)
    if "resources" in asked:
        keep(spec, asked, "resources")


def pod_warnings(spec: Object, path: str) -> list[str]:
    """What a pod spec is warned of."""
    texts = []
    for group in ("containers", "initContainers"):
        for index, container in enumerate(items(spec, group)):
            seen: set[str] = set()
            for at, variable in enumerate(items(container, "env")):
                name = str(variable.get("name"))
                if name in seen and not _refers(str(variable.get("value") or ""), name):
                    texts.append(
                        f'{path}.{group}[{index}].env[{at}]: hides previous definition of "{name}", which may be dropped when using apply'
                    )
                seen.add(name)
    return texts


def _refers(value: str, name: str) -> bool:
    return f"$({name})" in value


class NamespaceStrategy(BuiltinStrategy):
    """Namespaces have finalizers of their own in the spec, which only `finalize` takes away."""

    def created(self, ctx: Context, obj: Object) -> None:
        """Active, and held until its content is gone."""
        finalizers = struct(obj, "spec").setdefault("finalizers", [])
        if NAMESPACE_FINALIZER not in finalizers:
            finalizers.append(NAMESPACE_FINALIZER)

    def updated(self, ctx: Context, obj: Object, old: Object) -> None:
        """The finalizers of the spec are not the client's."""
        keep(struct(obj, "spec"), old.get("spec") or {}, "finalizers")

    def owned_by(self, subresource: str) -> tuple[str, ...]:
        """`finalize` owns the spec."""
        return ("spec",) if subresource == "finalize" else ("status",)

    def finalizers(self, obj: Object) -> list[str]:
        """Those of both kinds."""
        return super().finalizers(obj) + list((obj.get("spec") or {}).get("finalizers") or [])

    def on_marked(self, obj: Object) -> None:
        """It shows that it ends; it has no grace, not even none (upstream marks namespaces in a way of its own)."""
        struct(obj, "status")["phase"] = "Terminating"
        obj["metadata"].pop("deletionGracePeriodSeconds", None)


class ServiceStrategy(BuiltinStrategy):
    """Addresses and ports a Service was given stay unless the client names others or the type needs none."""

    def updated(self, ctx: Context, obj: Object, old: Object) -> None:
        """Takes over what was allocated, drops what the type has no use for."""
        spec, before = struct(obj, "spec"), old.get("spec") or {}
        if _needs_address(spec) and _needs_address(before):
            if not spec.get("clusterIP"):
                for field in ("clusterIP", "clusterIPs"):
                    if not spec.get(field):
                        keep(spec, before, field)
            for field in ("ipFamilies", "ipFamilyPolicy"):
                if not spec.get(field):
                    keep(spec, before, field)
        elif not _needs_address(spec) and _needs_address(before):
            _drop_same(spec, before, ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"))
        self._keep_ports(spec, before)
        if not _is_external(spec) and not spec.get("externalIPs"):
            _drop_same(spec, before, ("externalTrafficPolicy",))
        if spec.get("type") != "LoadBalancer":
            _drop_same(spec, before, ("allocateLoadBalancerNodePorts", "healthCheckNodePort"))
            if spec.get("loadBalancerClass") == before.get("loadBalancerClass"):
                spec.pop("loadBalancerClass", None)
        elif not spec.get("healthCheckNodePort") and spec.get("externalTrafficPolicy") == "Local":
            keep(spec, before, "healthCheckNodePort")

    def _keep_ports(self, spec: Object, before: Object) -> None:
        given = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in items(before, "ports")}
        for port in items(spec, "ports"):
            had = given.get((port.get("protocol"), port.get("port")))
            if _is_external(spec) and not port.get("nodePort") and had:
                used = {one.get("nodePort") for one in items(spec, "ports")}
                if had not in used:
                    port["nodePort"] = had
            elif not _is_external(spec) and port.get("nodePort") == had and had:
                port.pop("nodePort")

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """The status endpoint leaves the spec alone."""
        super().prepare_subresource(ctx, subresource, obj, old)
        self.default(obj)


def _needs_address(spec: Object) -> bool:
    return bool(spec.get("type", "ClusterIP") != "ExternalName")


def _is_external(spec: Object) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _drop_same(spec: Object, before: Object, fields: tuple[str, ...]) -> None:
    """Values the client did not change but only sent back go; its own stay, for validation to refuse."""
    for field in fields:
        if spec.get(field) == before.get(field):
            spec.pop(field, None)


APPROVALS = ("Approved", "Denied")


class SigningRequestStrategy(BuiltinStrategy):
    """Who asks is written by the server; approval and issuance are two endpoints."""

    def created(self, ctx: Context, obj: Object) -> None:
        """The user is the one of the request."""
        spec = struct(obj, "spec")
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        spec.update(ctx.user.info())

    def updated(self, ctx: Context, obj: Object, old: Object) -> None:
        """The request itself never changes."""
        keep(obj, old, "spec")

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """`approval` writes its conditions, `status` everything else of the status."""
        asked = obj.get("status") or {}
        super().prepare_subresource(ctx, "status", obj, old)
        before = old.get("status") or {}
        if subresource == "approval":
            obj["status"] = copied(before)
            sent = items(asked, "conditions")
            decided = [one for one in sent if one.get("type") in APPROVALS]
            kept = [one for one in items(before, "conditions") if one.get("type") not in APPROVALS]
            obj["status"]["conditions"] = _in_order(sent, decided + kept)
            _stamp(obj["status"], before, ctx.now)
            return
        decided = [one for one in items(before, "conditions") if one.get("type") in APPROVALS]
        others = [one for one in items(asked, "conditions") if one.get("type") not in APPROVALS]
        obj["status"] = {**asked}
        if decided or others:
            obj["status"]["conditions"] = _in_order(items(asked, "conditions"), decided + others)


def _in_order(order: list[Object], conditions: list[Object]) -> list[Object]:
    """By the client's order; what it did not send comes last."""
    place = {one.get("type"): index for index, one in enumerate(order)}
    return sorted(conditions, key=lambda one: place.get(one.get("type"), len(place)))


def _stamp(status: Object, before: Object, now: str) -> None:
    """A condition that was just updated says so; one whose status stays keeps the time of its transition."""
    had = {(one.get("type"), one.get("status")): one for one in items(before, "conditions")}
    for condition in items(status, "conditions"):
        earlier = had.get((condition.get("type"), condition.get("status")), {})
        for field in ("lastUpdateTime", "lastTransitionTime"):
            if not condition.get(field):
                condition[field] = earlier.get(field) or now


class VolumeStrategy(BuiltinStrategy):
    """PersistentVolumes: since when they are in their phase."""

    def created(self, ctx: Context, obj: Object) -> None:
        """A volume starts pending."""
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": ctx.now}

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """Who changes the phase need not say when."""
        super().prepare_subresource(ctx, subresource, obj, old)
        status, before = struct(obj, "status"), old.get("status") or {}
        field = "lastPhaseTransitionTime"
        if status.get("phase") != before.get("phase") and status.get(field) in (None, before.get(field)):
            status[field] = ctx.now
