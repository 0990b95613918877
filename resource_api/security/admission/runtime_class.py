"""RuntimeClass: a pod's class exists and adds its overhead and its wishes for nodes."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.registry.admission import AdmissionRequest
from resource_api.schema.quantity import QuantityError, amount
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, refused, spec_of
from resource_api.security.lookup import Lookup, cached_or_newest


class RuntimeClass(PassivePlugin):
    """New pods."""

    name = "RuntimeClass"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """Creates of pods."""
        return is_write_of(request, "", "pods", "CREATE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Takes overhead, node selector and tolerations from the class."""
        spec = spec_of(request)
        found = await self._class(request, spec)
        if found is None:
            return
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and not _equal(spec["overhead"], overhead):
                raise refused(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = dict(overhead)
        scheduling = found.get("scheduling") or {}
        selector = dict(spec.get("nodeSelector") or {})
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.setdefault(key, value) != value:
                raise refused(
                    request,
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}",
                )
        if selector:
            spec["nodeSelector"] = selector
        added = [one for one in scheduling.get("tolerations") or () if one not in (spec.get("tolerations") or ())]
        if added:
            spec["tolerations"] = [*(spec.get("tolerations") or ()), *added]

    async def validate(self, request: AdmissionRequest) -> None:
        """Overhead comes from a class and nowhere else."""
        spec = spec_of(request)
        if not spec.get("overhead"):
            return
        found = await self._class(request, spec)
        if found is None or not (found.get("overhead") or {}).get("podFixed"):
            raise refused(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")

    async def _class(self, request: AdmissionRequest, spec: Object) -> Object | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        found = await cached_or_newest(self._lookup, "node.k8s.io", "runtimeclasses", "", name)
        if found is None:
            raise refused(request, f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _equal(one: Object, other: Object) -> bool:
    try:
        return one.keys() == other.keys() and all(amount(one[name]) == amount(other[name]) for name in one)
    except QuantityError:
        return False
