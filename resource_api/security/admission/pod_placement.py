"""PodTopologyLabels and PodResizeValidator: what a pod takes over from its node, and what it may ask of it."""

from __future__ import annotations

from resource_api.errors import Cause, Object
from resource_api.registry.admission import AdmissionRequest
from resource_api.schema.quantity import NANO, amount
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, refused, spec_of
from resource_api.security.admission.pod_resources import pod_totals
from resource_api.security.lookup import Lookup, cached_or_newest

TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
SYSTEM_LABEL = "kubernetes.io/os"

MILLI = NANO // 1000


async def node_of(lookup: Lookup, spec: Object) -> Object | None:
    """The node a pod is on, where both are known."""
    name = spec.get("nodeName")
    return await cached_or_newest(lookup, "", "nodes", "", name) if name else None


class PodTopologyLabels(PassivePlugin):
    """A pod has its node's zone and region as labels: those of its own stay when it is made with a node, not when it is bound."""

    name = "PodTopologyLabels"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """New pods, and pods that get their node."""
        is_binding = is_write_of(request, "", "pods", "CREATE", "UPDATE", subresource="binding")
        return is_binding or is_write_of(request, "", "pods", "CREATE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Copies them."""
        assert request.obj is not None
        node = await node_of(self._lookup, spec_of(request))
        found = ((node or {}).get("metadata") or {}).get("labels") or {}
        copied = {name: found[name] for name in TOPOLOGY_LABELS if name in found}
        if copied:
            metadata = request.obj["metadata"]
            own = metadata.get("labels") or {}
            metadata["labels"] = {**own, **copied} if request.subresource else {**copied, **own}


class PodResizeValidator(PassivePlugin):
    """A running pod asks for no more than its node has, on Linux."""

    name = "PodResizeValidator"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """`…/resize`."""
        return is_write_of(request, "", "pods", "UPDATE", subresource="resize")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403 with the cause NodeCapacity or UnsupportedPlatform."""
        spec = spec_of(request)
        name = spec.get("nodeName")
        if not name or spec == (request.old or {}).get("spec"):
            return
        node = await node_of(self._lookup, spec)
        if node is None:
            raise refused(request, f'node "{name}" not found')
        problems = _too_large(spec, (node.get("status") or {}).get("allocatable") or {})
        if problems:
            text = "Node didn't have enough allocatable resources: " + "; ".join(problems)
            raise refused(request, text, [Cause("NodeCapacity", "", "")])
        system = (node["metadata"].get("labels") or {}).get(SYSTEM_LABEL, "")
        if system != "linux":
            text = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
            raise refused(request, text, [Cause("UnsupportedPlatform", "", "")])


def _too_large(spec: Object, allocatable: Object) -> list[str]:
    asked = pod_totals(spec, "requests")
    problems = []
    for resource, unit in (("cpu", MILLI), ("memory", NANO)):
        wanted, there = (-(-amount(one.get(resource, "0")) // unit) for one in (asked, allocatable))
        if wanted > there:
            problems.append(f"{resource}, requested: {wanted}, allocatable: {there}")
    return problems
