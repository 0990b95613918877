"""Writes the objects every cluster has: roles and bindings, flow control, priority classes. Runs once at each start, before requests.

An object that is there is completed, not replaced: missing rules, subjects, labels and annotations are added, what somebody added
stays; one annotated `autoupdate: "false"` is left alone. Two servers may do this at once. Namespaces are made by who composes the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from resource_api.errors import Object, StatusError, UndecodableError
from resource_api.registry.requests import DeleteOptions, loopback
from resource_api.schema.json_values import copied
from resource_api.security import bootstrap_roles as table
from resource_api.security.escalation import outdated_aggregates, uncovered
from resource_api.security.flow_control import AUTO_UPDATE, flow_schemas, priority_levels
from resource_api.security.lookup import Found, Lookup, get_or_none
from resource_api.security.rbac import RBAC_GROUP

log = logging.getLogger("resource_api")

RECONCILE = "rbac.authorization.kubernetes.io/autoupdate"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ATTEMPTS_MAX = 5
"""How often a write that met another one is tried again."""

AT_ONCE_MAX = 32
"""Writes on their way together: enough that several share an fsync."""

Complete = Callable[[Object, Object], Object]
"""(what is there, what should be) -> what to write; the first itself when nothing is to be written."""


class Wanted(NamedTuple):
    """Objects of one resource and how one that is there is completed."""

    group: str
    plural: str
    objects: Sequence[Object]
    complete: Complete


def _object(kind: str, name: str, namespace: str = "", labels: dict[str, str] | None = None) -> Object:
    metadata: Object = {"name": name, "labels": {**LABELS, **(labels or {})}, "annotations": {RECONCILE: "true"}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": f"{RBAC_GROUP}/v1", "kind": kind, "metadata": metadata}


def cluster_roles() -> list[Object]:
    """All ClusterRoles; `admin`, `edit` and `view` without rules, which aggregation fills in."""
    roles = []
    for name, lines in table.CLUSTER_ROLES.items():
        carries = table.CARRIES.get(name)
        labels = {table.AGGREGATE + carries: "true"} if carries else None
        roles.append({**_object("ClusterRole", name, labels=labels), "rules": [table.rule(line) for line in lines]})
    for name, (collects, carries) in table.AGGREGATED.items():
        selector = {"matchLabels": {table.AGGREGATE + collects: "true"}}
        role = _object("ClusterRole", name, labels={table.AGGREGATE + carries: "true"} if carries else None)
        roles.append({**role, "aggregationRule": {"clusterRoleSelectors": [selector]}, "rules": []})
    for name, lines in table.CONTROLLER_ROLES.items():
        roles.append({**_object("ClusterRole", f"system:controller:{name}"), "rules": [table.rule(line) for line in lines]})
    return roles


def cluster_role_bindings() -> list[Object]:
    """All ClusterRoleBindings; each is called as its role."""
    wanted = dict(table.CLUSTER_BINDINGS)
    wanted |= {f"system:controller:{name}": (f"ServiceAccount kube-system/{name}",) for name in table.CONTROLLER_ROLES}
    return [_binding("ClusterRoleBinding", name, "", "ClusterRole", name, subjects) for name, subjects in wanted.items()]


def _binding(kind: str, name: str, namespace: str, role_kind: str, role: str, subjects: Iterable[str]) -> Object:
    binding = _object(kind, name, namespace)
    binding["roleRef"] = {"apiGroup": RBAC_GROUP, "kind": role_kind, "name": role}
    said = [table.subject(subject) for subject in subjects]
    return {**binding, "subjects": said} if said else binding


def roles() -> list[Object]:
    """Roles of kube-system and kube-public."""
    return [
        {**_object("Role", name, namespace), "rules": [table.rule(line) for line in lines]}
        for (namespace, name), lines in table.NAMESPACE_ROLES.items()
    ]


def role_bindings() -> list[Object]:
    """RoleBindings of kube-system and kube-public."""
    return [
        _binding("RoleBinding", name, namespace, "Role", role, subjects)
        for (namespace, name), (role, subjects) in table.NAMESPACE_BINDINGS.items()
    ]


def priority_classes() -> list[Object]:
    """The two system classes."""
    texts = {
        "system-node-critical": (2000001000, "Used for system critical pods that must not be moved from their current node."),
        "system-cluster-critical": (
            2000000000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    }
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": text,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        for name, (value, text) in texts.items()
    ]


def _protected(there: Object) -> bool:
    return bool(((there["metadata"].get("annotations") or {}).get(RECONCILE, "true")) == "false")


def _metadata(there: Object, wanted: Object) -> Object:
    metadata = dict(there["metadata"])
    for field in ("labels", "annotations"):
        merged = {**wanted["metadata"][field], **(metadata.get(field) or {})}
        if merged != (metadata.get(field) or {}):
            metadata[field] = merged
    return metadata


def complete_role(there: Object, wanted: Object) -> Object:
    """Rules that are not covered are added; an aggregated role gets its missing selectors."""
    if _protected(there):
        return there
    result = {**there, "metadata": _metadata(there, wanted)}
    if "aggregationRule" in wanted:
        have = (there.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        missing = [selector for selector in wanted["aggregationRule"]["clusterRoleSelectors"] if selector not in have]
        if missing:
            result["aggregationRule"] = {"clusterRoleSelectors": [*have, *missing]}
    else:
        held = there.get("rules") or []
        missing = [rule for rule in wanted["rules"] if uncovered(held, [rule])]
        if missing:
            result["rules"] = [*held, *missing]
    return there if result == there else result


def complete_binding(there: Object, wanted: Object) -> Object:
    """Subjects that are missing are added; a binding to another role is returned as it should be, for it must be made anew."""
    if _protected(there):
        return there
    if there.get("roleRef") != wanted["roleRef"]:
        return wanted
    held = there.get("subjects") or []
    missing = [subject for subject in wanted.get("subjects") or () if subject not in held]
    result = {**there, "metadata": _metadata(there, wanted)}
    if missing:
        result["subjects"] = [*held, *missing]
    return there if result == there else result


def complete_flow(there: Object, wanted: Object) -> Object:
    """The spec is set back unless the annotation says somebody owns it."""
    owned = (there["metadata"].get("annotations") or {}).get(AUTO_UPDATE) == "false"
    return there if owned or _contains(there.get("spec"), wanted["spec"]) else {**there, "spec": wanted["spec"]}


def _contains(there: object, wanted: object) -> bool:
    """Whether everything wanted stands there; defaults the server filled in do not count."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_contains(there.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_contains, there, wanted))
    return there == wanted or (not wanted and not there)


def _keep(there: Object, wanted: Object) -> Object:
    return there


def everything() -> list[Wanted]:
    """All objects, in the order they are written."""
    flow = "flowcontrol.apiserver.k8s.io"
    return [
        Wanted(RBAC_GROUP, "clusterroles", cluster_roles(), complete_role),
        Wanted(RBAC_GROUP, "clusterrolebindings", cluster_role_bindings(), complete_binding),
        Wanted(RBAC_GROUP, "roles", roles(), complete_role),
        Wanted(RBAC_GROUP, "rolebindings", role_bindings(), complete_binding),
        Wanted(flow, "prioritylevelconfigurations", priority_levels(), complete_flow),
        Wanted(flow, "flowschemas", flow_schemas(), complete_flow),
        Wanted("scheduling.k8s.io", "priorityclasses", priority_classes(), _keep),
    ]


async def reconcile_bootstrap(lookup: Lookup) -> int:
    """Makes everything be there; how many writes that took. The namespaces kube-system and kube-public must exist.

    What is there is listed once per kind; writes are on their way together, because on an empty store nearly all of the time is the
    disk's: 156 objects one after the other took 0.69 s, together 0.25 s. Raises an ExceptionGroup of StatusErrors.
    """
    writes: list[int] = []
    turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def one(wanted: Wanted, obj: Object, there: Object | None) -> None:
        async with turns:
            try:
                writes.append(await _reconcile(lookup, wanted, obj, there))
            except UndecodableError as error:
                # Damaged: whoever mends it starts the server anew.
                log.error("a bootstrap object is not brought in order", extra={"fields": {"error": str(error)}})

    async with asyncio.TaskGroup() as group:
        for wanted in everything():
            held = {_identity(obj): obj for obj in await lookup.find(wanted.group, wanted.plural).readable_objects()}
            for obj in wanted.objects:
                there = held.get(_identity(obj))
                if there is None or wanted.complete(there, obj) is not there:
                    group.create_task(one(wanted, obj, there), name=f"bootstrap {wanted.plural} {obj['metadata']['name']}")
    return sum(writes) + await aggregate_cluster_roles(lookup)


def _identity(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


async def _reconcile(lookup: Lookup, wanted: Wanted, obj: Object, there: Object | None) -> int:
    """`there` is what was listed; whatever met another write reads again."""
    resource = lookup.find(wanted.group, wanted.plural)
    namespace, name = _identity(obj)
    ctx = loopback(namespace)
    for attempt in range(ATTEMPTS_MAX):
        if attempt:
            there = await get_or_none(lookup, wanted.group, wanted.plural, namespace, name)
        try:
            if there is None:
                await resource.create(ctx, copied(obj))
                return 1
            result = wanted.complete(there, obj)
            if result is there:
                return 0
            if result is obj:
                # roleRef cannot be changed.
                await resource.delete(ctx, name, DeleteOptions(precondition_uid=there["metadata"].get("uid")))
                continue
            await resource.update(ctx, name, copied(result))
            return 1
        except StatusError as error:
            if error.code not in (404, 409) or attempt == ATTEMPTS_MAX - 1:
                raise
    return 0


async def aggregate_cluster_roles(lookup: Lookup) -> int:
    """Brings every aggregated ClusterRole up to date, by what the store has now; how many writes. Raises StatusError.

    Whatever met another server's write, or anybody's, begins anew with what is there then.
    """
    resource = lookup.find(RBAC_GROUP, "clusterroles")
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return await _aggregate(resource)
        except StatusError as error:
            if error.code not in (404, 409):
                raise
    return await _aggregate(resource)


async def _aggregate(resource: Found) -> int:
    objects = await resource.readable_objects()
    writes = 0
    for _ in range(len(objects) + 1):
        changed = outdated_aggregates(objects)
        if not changed:
            break
        written = {}
        for role in changed:
            name = role["metadata"]["name"]
            written[name], _ = await resource.update(loopback(), name, copied(role))
            writes += 1
        objects = [written.get(obj["metadata"]["name"], obj) for obj in objects]
    return writes
