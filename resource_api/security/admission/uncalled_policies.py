"""Admission webhooks and policies can be written, but this server calls none of them: whoever writes one is told."""

from __future__ import annotations

from resource_api.registry.admission import AdmissionRequest
from resource_api.security.admission.plugin import PassivePlugin

GROUP = "admissionregistration.k8s.io"


class UncalledPolicies(PassivePlugin):
    """Every kind of `admissionregistration.k8s.io`."""

    name = "UncalledPolicies"

    def handles(self, request: AdmissionRequest) -> bool:
        """Made and changed."""
        return request.type.group == GROUP and request.operation in ("CREATE", "UPDATE") and not request.subresource

    async def validate(self, request: AdmissionRequest) -> None:
        """A warning, no refusal: tools that install such objects go on working."""
        request.warn(f"{request.type.kind} is stored, but this server does not call admission webhooks and policies yet: it has no effect")
