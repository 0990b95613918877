"""NodeRestriction: a kubelet (`system:node:NAME` in `system:nodes`) changes its own node and the pods bound to it, nothing else.

Built: pods, pod status, evictions, nodes, leases, CSINodes. Not built: the label and taint lists, tokens of pods, resource slices.
"""

from __future__ import annotations

from resource_api.errors import shown
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.requests import User
from resource_api.security.admission.plugin import PassivePlugin, annotation, refused
from resource_api.security.admission.service_account import MIRROR

USER_PREFIX, NODES_GROUP = "system:node:", "system:nodes"
NODE_LEASES = "kube-node-lease"


def node_name(user: User) -> str | None:
    """The node a kubelet speaks for; None for everybody else."""
    return user.name.removeprefix(USER_PREFIX) if user.name.startswith(USER_PREFIX) and NODES_GROUP in user.groups else None


class NodeRestriction(PassivePlugin):
    """Off by default, as upstream; pairs with mode Node."""

    name = "NodeRestriction"

    def handles(self, request: AdmissionRequest) -> bool:
        """Writes of kubelets."""
        return node_name(request.user) is not None

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403."""
        node = node_name(request.user) or ""
        place = (request.type.group, request.type.plural)
        if place == ("", "pods"):
            self._pod(request, node)
        elif place in (("", "nodes"), ("storage.k8s.io", "csinodes")):
            if request.name != node:
                what = "modify node" if request.type.plural == "nodes" else "modify CSINode for node"
                raise refused(request, f"node {shown(node)} is not allowed to {what} {shown(request.name)}")
            if request.type.plural == "nodes" and request.operation == "DELETE":
                raise refused(request, f"node {shown(node)} is not allowed to delete node {shown(request.name)}")
        elif place == ("coordination.k8s.io", "leases"):
            if request.namespace != NODE_LEASES:
                raise refused(request, f"can only access leases in the {shown(NODE_LEASES)} system namespace")
            if request.name != node:
                raise refused(request, f"can only access node lease with the same name as the requesting node: {shown(node)}")

    def _pod(self, request: AdmissionRequest, node: str) -> None:
        pod = request.obj if request.operation == "CREATE" and not request.subresource else request.old
        bound = ((pod or {}).get("spec") or {}).get("nodeName")
        if request.operation == "CREATE" and not request.subresource:
            if pod is None or annotation(pod, MIRROR) is None:
                raise refused(request, f'pod does not have "{MIRROR}" annotation, node {shown(node)} can only create mirror pods')
            if bound != node:
                raise refused(request, f"node {shown(node)} can only create pods with spec.nodeName set to itself")
            return
        if pod is not None and bound != node:
            verb = {"DELETE": "delete pods with", "UPDATE": "update pod status for pods with"}.get(request.operation, "evict pods with")
            raise refused(request, f"node {shown(node)} can only {verb} spec.nodeName set to itself")
        if request.operation == "UPDATE" and request.subresource != "status":
            raise refused(request, f"unexpected subresource {shown(request.subresource)}, only status may be updated")
