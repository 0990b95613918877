"""DefaultTolerationSeconds: pods stay five minutes on nodes that are not ready or out of reach."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.registry.admission import AdmissionRequest
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, spec_of

SECONDS = 300
KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(PassivePlugin):
    """Pods when made and changed."""

    name = "DefaultTolerationSeconds"

    def handles(self, request: AdmissionRequest) -> bool:
        """Pods."""
        return is_write_of(request, "", "pods", "CREATE", "UPDATE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Adds what no toleration covers."""
        spec = spec_of(request)
        tolerations = list(spec.get("tolerations") or ())
        missing = [key for key in KEYS if not any(_covers(one, key) for one in tolerations)]
        if missing:
            added = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS} for key in missing]
            spec["tolerations"] = [*tolerations, *added]


def _covers(toleration: Object, key: str) -> bool:
    return toleration.get("key") in (None, "", key) and toleration.get("effect") in (None, "", "NoExecute")
