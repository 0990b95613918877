"""Signs approved CertificateSigningRequests of the `kubernetes.io` signers, as kube-controller-manager does; others stay pending.

One authority signs for all of them. Source: certificates.k8s.io/v1 documentation of the signers; `signers` has their rules.
"""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from raftkv.clock import Clock
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import loopback
from resource_api.schema.times import rfc3339
from resource_api.security.certificates import LEAF_DAYS, Authority, key_usage
from resource_api.security.lookup import Lookup
from resource_api.security.signers import EXTENDED, KEY_BITS, SIGNERS

GROUP, PLURAL = "certificates.k8s.io", "certificatesigningrequests"
LIFETIME_MIN_S = 600


class UnsignableError(Exception):
    """Why a request cannot be signed; it gets a `Failed` condition with this text."""


def parse_request(csr: Object) -> x509.CertificateSigningRequest:
    """`spec.request`, its signature checked. Raises UnsignableError."""
    try:
        request = x509.load_pem_x509_csr(base64.b64decode((csr.get("spec") or {}).get("request") or "", validate=True))
        if not request.is_signature_valid:
            raise UnsignableError("the request's signature is not valid")
    except (ValueError, binascii.Error, TypeError) as error:
        raise UnsignableError(f"unable to parse csr: {error}") from error
    return request


def is_approved(csr: Object) -> bool:
    """Approved, neither denied nor failed, and for one of our signers without a certificate yet."""
    status = csr.get("status") or {}
    kinds = {condition.get("type") for condition in status.get("conditions") or () if condition.get("status", "True") == "True"}
    waits = (csr.get("spec") or {}).get("signerName") in SIGNERS and not status.get("certificate")
    return waits and "Approved" in kinds and not kinds & {"Denied", "Failed"}


def sign(csr: Object, authority: Authority) -> bytes:
    """The certificate, PEM. Raises UnsignableError."""
    spec = csr["spec"]
    usages: list[str] = spec.get("usages") or []
    request = parse_request(csr)
    if fault := SIGNERS[spec["signerName"]](request, usages):
        raise UnsignableError(fault)
    key = request.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise UnsignableError("the key is of a kind that is not signed")
    lives_s = min(max(int(spec.get("expirationSeconds") or LEAF_DAYS * 86400), LIFETIME_MIN_S), LEAF_DAYS * 86400)
    builder = authority.builder(request.subject, lives_s).public_key(key)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    bits = {KEY_BITS[usage]: True for usage in usages if usage in KEY_BITS}
    if not bits.get("key_agreement"):
        # They say what an agreed key is for, and nothing without one.
        bits = {name: on for name, on in bits.items() if name not in ("encipher_only", "decipher_only")}
    if bits:
        # A key usage without any bit is none: OpenSSL refuses such a certificate, and Go leaves the extension out as well.
        builder = builder.add_extension(key_usage(**bits), critical=True)
    purposes = list(dict.fromkeys(EXTENDED[usage] for usage in usages if usage in EXTENDED))
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    else:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(authority.pair.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def signed(csr: Object, authority: Authority, clock: Clock) -> Object:
    """The request with its certificate, or with the condition that says why it has none."""
    status = dict(csr.get("status") or {})
    try:
        status["certificate"] = base64.b64encode(sign(csr, authority)).decode()
    except UnsignableError as error:
        now = rfc3339(clock.wall_s())
        failed = {
            "type": "Failed",
            "status": "True",
            "reason": "SignerValidationFailure",
            "message": str(error),
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status["conditions"] = [*(status.get("conditions") or ()), failed]
    return {**csr, "status": status}


async def sign_approved(lookup: Lookup, authority: Authority, clock: Clock, csr: Object) -> bool:
    """What a controller does with each request it sees: writes the certificate of an approved one. Whether something was written."""
    if not is_approved(csr):
        return False
    try:
        await lookup.find(GROUP, PLURAL).update(loopback(), csr["metadata"]["name"], signed(csr, authority, clock), subresource="status")
    except StatusError as error:
        if error.code not in (404, 409):
            raise
        # Somebody changed or removed it: the change is seen again.
        return False
    return True
