"""DefaultIngressClass: an Ingress that names no class gets the default one."""

from __future__ import annotations

from resource_api.registry.admission import AdmissionRequest
from resource_api.security.admission.plugin import PassivePlugin, annotation, is_write_of, newest, spec_of
from resource_api.security.lookup import Lookup, cached

GROUP = "networking.k8s.io"
IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
OLD_ANNOTATION = "kubernetes.io/ingress.class"


class DefaultIngressClass(PassivePlugin):
    """New Ingresses; the newest class when several are marked."""

    name = "DefaultIngressClass"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """Creates of Ingresses."""
        return is_write_of(request, GROUP, "ingresses", "CREATE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Names the class."""
        assert request.obj is not None
        spec = spec_of(request)
        if spec.get("ingressClassName") is not None or annotation(request.obj, OLD_ANNOTATION) is not None:
            return
        classes = cached(self._lookup, GROUP, "ingressclasses")
        found = newest([one for one in classes if annotation(one, IS_DEFAULT) == "true"])
        if found is not None:
            spec["ingressClassName"] = found["metadata"]["name"]
