"""NodeDeclaredFeatureValidator: a change of a bound pod that needs a feature of the kubelet is refused unless its node declares it.

The features and what needs them are those of upstream's `nodedeclaredfeatures` library at 1.37 that updates can ask for; the others are the
scheduler's business.
"""

from __future__ import annotations

from resource_api.errors import Object, shown
from resource_api.registry.admission import AdmissionRequest
from resource_api.schema.quantity import amount
from resource_api.security.admission.plugin import PassivePlugin, refused
from resource_api.security.admission.pod_placement import node_of
from resource_api.security.lookup import Lookup

POD_LEVEL = "InPlacePodLevelResourcesVerticalScaling"
INIT_CONTAINERS = "InPlacePodVerticalScalingInitContainers"
MEMORY_VOLUMES = "InPlacePodVerticalScalingMemoryBackedVolumes"


class NodeDeclaredFeatureValidator(PassivePlugin):
    """Nodes say in `status.declaredFeatures` what they can."""

    name = "NodeDeclaredFeatureValidator"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """Changes of pods, and their resizing."""
        is_pod = (request.type.group, request.type.plural) == ("", "pods")
        return is_pod and request.operation == "UPDATE" and request.subresource in ("", "resize")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403."""
        spec, old = ((obj or {}).get("spec") or {} for obj in (request.obj, request.old))
        name = spec.get("nodeName")
        if not name or spec == old:
            return
        needed = needed_features(spec, old)
        if not needed:
            return
        node = await node_of(self._lookup, spec)
        if node is None:
            raise refused(request, f"node {shown(name)} not found")
        declared = (node.get("status") or {}).get("declaredFeatures") or ()
        missing = [feature for feature in needed if feature not in declared]
        if missing:
            raise refused(request, f"pod update requires features {', '.join(missing)} which are not available on node {shown(name)}")


def needed_features(spec: Object, old: Object) -> list[str]:
    """What a node must be able to do for a pod to become this one, in order of their names."""
    needed = []
    if spec.get("resources") != old.get("resources"):
        needed.append(POD_LEVEL)
    inits, before = spec.get("initContainers") or [], old.get("initContainers") or []
    if any(
        one.get("restartPolicy") != "Always" and (one.get("resources") or {}) != (other.get("resources") or {})
        for one, other in zip(before, inits, strict=False)
    ):
        needed.append(INIT_CONTAINERS)
    volumes, there = spec.get("volumes") or [], old.get("volumes") or []
    if len(volumes) == len(there) and any(_is_resized(*pair) for pair in zip(volumes, there, strict=True)):
        needed.append(MEMORY_VOLUMES)
    return needed


def _is_resized(volume: Object, old: Object) -> bool:
    new, before = volume.get("emptyDir") or {}, old.get("emptyDir") or {}
    if volume.get("name") != old.get("name") or new.get("medium") != "Memory" or None in (new.get("sizeLimit"), before.get("sizeLimit")):
        return False
    return amount(new["sizeLimit"]) != amount(before["sizeLimit"])
