"""Mode Node: a kubelet reads what the pods bound to its node refer to, and does otherwise what the role `system:node` says.

Built: secrets, configmaps, claims, volumes and service accounts (tokens included) by reference of a pod on the node; own Node, Lease
and CSINode; everything else of the role without names. Not built: resource claims and slices, volume attachments by node, and whether
a node may read another node's pods by name. References are looked for at each question among the cached pods: right, and linear in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from resource_api.errors import Object
from resource_api.security.admission.node_restriction import node_name
from resource_api.security.authorization import NO_OPINION, Attributes, Decision
from resource_api.security.bootstrap_roles import CLUSTER_ROLES, rule
from resource_api.security.lookup import Lookup, cached
from resource_api.security.rbac import parse_rule

READ_ONLY = frozenset({"get", "list", "watch"})
BY_REFERENCE = frozenset(
    {("", "secrets"), ("", "configmaps"), ("", "persistentvolumeclaims"), ("", "persistentvolumes"), ("", "serviceaccounts")}
)
OWN = frozenset({("", "nodes"), ("coordination.k8s.io", "leases"), ("storage.k8s.io", "csinodes")})


class NodeAuthorizer:
    """See the module."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._rules = tuple(parse_rule(rule(line)) for line in CLUSTER_ROLES["system:node"])

    def authorize(self, attributes: Attributes) -> Decision:
        """No opinion on anybody but kubelets."""
        node = node_name(attributes.user)
        if node is None or attributes.path:
            return NO_OPINION
        _, verb, group, _, resource, subresource, namespace, name, _ = attributes
        if not any(one.matches_resource(verb, group, resource, subresource) for one in self._rules):
            return NO_OPINION
        place = (group, resource)
        if place in BY_REFERENCE:
            if not name:
                return Decision(False, f"No Object name found for user {attributes.user.name}")
            if (resource, namespace, name) not in set(self._references(node)):
                return Decision(False, f"no relationship found between node '{node}' and this object")
        elif place in OWN and verb not in READ_ONLY and verb != "create" and name != node:
            return Decision(False, f"node '{node}' cannot {verb} {resource} of another node")
        return Decision(True)

    def _references(self, node: str) -> Iterator[tuple[str, str, str]]:
        for pod in cached(self._lookup, "", "pods"):
            if (pod.get("spec") or {}).get("nodeName") == node:
                namespace = str(pod["metadata"].get("namespace") or "")
                yield from ((resource, namespace, name) for resource, name in references(pod["spec"]) if name)
                for resource, claim in references(pod["spec"]):
                    if resource == "persistentvolumeclaims":
                        yield from self._volume(namespace, claim)

    def _volume(self, namespace: str, claim: str) -> Iterator[tuple[str, str, str]]:
        found = self._lookup.get_nowait("", "persistentvolumeclaims", namespace, claim)
        volume = (found.object().get("spec") or {}).get("volumeName") if found is not None else None
        if volume:
            yield "persistentvolumes", "", str(volume)


def references(spec: Object) -> Iterator[tuple[str, str]]:
    """What a pod's spec names: (plural of the core group, name)."""
    yield "serviceaccounts", str(spec.get("serviceAccountName") or "")
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", str(secret.get("name") or "")
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from _of_environment(container)
    for volume in spec.get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            secret, config_map = source.get("secret") or {}, source.get("configMap") or {}
            yield "secrets", str(secret.get("secretName") or secret.get("name") or "")
            yield "configmaps", str(config_map.get("name") or "")
        yield "persistentvolumeclaims", str((volume.get("persistentVolumeClaim") or {}).get("claimName") or "")


def _of_environment(container: Object) -> Iterator[tuple[str, str]]:
    for entry in container.get("env") or ():
        source = entry.get("valueFrom") or {}
        yield "secrets", str((source.get("secretKeyRef") or {}).get("name") or "")
        yield "configmaps", str((source.get("configMapKeyRef") or {}).get("name") or "")
    for entry in container.get("envFrom") or ():
        yield "secrets", str((entry.get("secretRef") or {}).get("name") or "")
        yield "configmaps", str((entry.get("configMapRef") or {}).get("name") or "")
