"""TaintNodesByCondition: a new node takes no pods until somebody says it is ready."""

from __future__ import annotations

from resource_api.registry.admission import AdmissionRequest
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, spec_of

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(PassivePlugin):
    """New nodes."""

    name = "TaintNodesByCondition"

    def handles(self, request: AdmissionRequest) -> bool:
        """Creates of nodes."""
        return is_write_of(request, "", "nodes", "CREATE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Adds the taint once."""
        spec = spec_of(request)
        taints = list(spec.get("taints") or ())
        if not any(taint.get("key") == NOT_READY["key"] and taint.get("effect") == NOT_READY["effect"] for taint in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]
