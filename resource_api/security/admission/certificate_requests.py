"""Who may speak for a signer: CertificateApproval, CertificateSigning, ClusterTrustBundleAttest; and CertificateSubjectRestriction."""

from __future__ import annotations

from cryptography.x509.oid import NameOID

from resource_api.errors import Object, shown
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.requests import MASTERS
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, refused
from resource_api.security.authorization import Attributes, Authorizer
from resource_api.security.signers import CLIENT_SIGNER
from resource_api.security.signing import GROUP, PLURAL, UnsignableError, parse_request


def may(authorizer: Authorizer, request: AdmissionRequest, verb: str, signer: str) -> bool:
    """Whether the user has the verb on the signer, by its name or by all of its domain."""
    names = (signer, signer.split("/", 1)[0] + "/*")
    asked = (Attributes(request.user, verb, GROUP, "*", "signers", "", "", name) for name in names)
    return any(authorizer.authorize(one).allowed for one in asked)


def _signer(csr: Object | None) -> str:
    return str(((csr or {}).get("spec") or {}).get("signerName") or "")


class CertificateApproval(PassivePlugin):
    """Approving and denying need `approve` on the signer."""

    name = "CertificateApproval"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, request: AdmissionRequest) -> bool:
        """`…/approval`."""
        return is_write_of(request, GROUP, PLURAL, "UPDATE", subresource="approval")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403."""
        signer = _signer(request.old)
        if not may(self._authorizer, request, "approve", signer):
            raise refused(request, f"user not permitted to approve requests with signerName {shown(signer)}")


class CertificateSigning(PassivePlugin):
    """Writing a certificate, or that there will be none, needs `sign` on the signer."""

    name = "CertificateSigning"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, request: AdmissionRequest) -> bool:
        """`…/status`."""
        return is_write_of(request, GROUP, PLURAL, "UPDATE", subresource="status")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403."""
        old, new = (((csr or {}).get("status") or {}) for csr in (request.old, request.obj))
        if old.get("certificate") == new.get("certificate") and old.get("conditions") == new.get("conditions"):
            return
        signer = _signer(request.old)
        if not may(self._authorizer, request, "sign", signer):
            raise refused(request, f"user not permitted to sign requests with signerName {shown(signer)}")


class ClusterTrustBundleAttest(PassivePlugin):
    """Saying what a signer's roots are needs `attest` on the signer."""

    name = "ClusterTrustBundleAttest"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def handles(self, request: AdmissionRequest) -> bool:
        """New and changed bundles."""
        return is_write_of(request, GROUP, "clustertrustbundles", "CREATE", "UPDATE")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403. Whoever only collects garbage, or stores the bundle anew, says nothing of it."""
        assert request.obj is not None
        signer = _signer(request.obj)
        if not signer or (request.old is not None and _without_garbage(request.obj) == _without_garbage(request.old)):
            return
        if not may(self._authorizer, request, "attest", signer):
            raise refused(request, f"user not permitted to attest for signerName {shown(signer)}")


def _without_garbage(obj: Object) -> Object:
    """Everything that is not for the garbage collector and the store."""
    left = ("ownerReferences", "finalizers", "resourceVersion", "managedFields", "generation")
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name not in left}}


class CertificateSubjectRestriction(PassivePlugin):
    """Nobody asks for a certificate of the group that may do everything."""

    name = "CertificateSubjectRestriction"

    def handles(self, request: AdmissionRequest) -> bool:
        """New requests."""
        return is_write_of(request, GROUP, PLURAL, "CREATE")

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403."""
        assert request.obj is not None
        if _signer(request.obj) != CLIENT_SIGNER:
            return
        try:
            subject = parse_request(request.obj).subject
        except UnsignableError as error:
            raise refused(request, f"could not parse certificate signing request: {error}") from error
        if any(one.value == MASTERS for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
            raise refused(request, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
