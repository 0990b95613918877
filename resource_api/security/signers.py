"""The signers of `kubernetes.io`: what each asks of a request, in upstream's words, and what usages mean in a certificate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING_SIGNER = "kubernetes.io/kubelet-serving"
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"

NODES_GROUP, NODE_PREFIX = "system:nodes", "system:node:"
SIGNATURE, ENCIPHERMENT = "digital signature", "key encipherment"

KEY_BITS: Mapping[str, str] = {
    "signing": "digital_signature",
    SIGNATURE: "digital_signature",
    "content commitment": "content_commitment",
    ENCIPHERMENT: "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
"""Usages that are bits of the key usage."""

EXTENDED: Mapping[str, ObjectIdentifier] = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": ObjectIdentifier("2.16.840.1.113730.4.1"),
}
"""Usages that are purposes."""

Rule = Callable[[x509.CertificateSigningRequest, Collection[str]], str]
"""Why a request with these usages is not signed; empty when it is."""


def _client(request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    for usage in usages:
        if usage not in (SIGNATURE, ENCIPHERMENT, "client auth"):
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def _kubelet_client(request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    names = _alternatives(request)
    if _named(request, NameOID.ORGANIZATION_NAME) != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    for sort, kind in (("DNS", x509.DNSName), ("Email", x509.RFC822Name), ("IP", x509.IPAddress), ("URI", x509.UniformResourceIdentifier)):
        if names.get_values_for_type(kind):
            return f"{sort} subjectAltNames are not allowed"
    return _not_a_node(request) or _unlike(usages, "client auth")


def _kubelet_serving(request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    names = _alternatives(request)
    if _named(request, NameOID.ORGANIZATION_NAME) != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    if not names.get_values_for_type(x509.DNSName) and not names.get_values_for_type(x509.IPAddress):
        return "DNS or IP subjectAltName is required"
    if names.get_values_for_type(x509.RFC822Name):
        return "Email subjectAltNames are not allowed"
    if names.get_values_for_type(x509.UniformResourceIdentifier):
        return "URI subjectAltNames are not allowed"
    return _unlike(usages, "server auth") or _not_a_node(request)


def _legacy(request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    return ""


SIGNERS: Mapping[str, Rule] = {
    CLIENT_SIGNER: _client,
    KUBELET_CLIENT_SIGNER: _kubelet_client,
    KUBELET_SERVING_SIGNER: _kubelet_serving,
    LEGACY_SIGNER: _legacy,
}
"""`legacy-unknown` takes everything; requests for it cannot be made in v1, only found."""


def _named(request: x509.CertificateSigningRequest, oid: ObjectIdentifier) -> list[str]:
    return [str(one.value) for one in request.subject.get_attributes_for_oid(oid)]


def _alternatives(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _not_a_node(request: x509.CertificateSigningRequest) -> str:
    # Of several names Go knows the last.
    name = [""] + _named(request, NameOID.COMMON_NAME)
    return "" if name[-1].startswith(NODE_PREFIX) else f"subject common name does not begin with {NODE_PREFIX}"


def _unlike(usages: Collection[str], purpose: str) -> str:
    """Both key usages and the purpose, or without the one that only RSA keys can have."""
    whole = {purpose, SIGNATURE, ENCIPHERMENT}
    return "" if set(usages) in (whole, whole - {ENCIPHERMENT}) else f"usages did not match [{' '.join(sorted(whole))}]"
