"""Rules of certificate requests and trust bundles: the one place outside security/ that opens a certificate, to say that it is one.

Source: the `validation.go` of certificates.
"""

from __future__ import annotations

import base64
import binascii

from cryptography import x509

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.validation.rules import Problems, immutable, part, structs

USAGES = (
    *("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only"),
    *("digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement"),
    *("key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"),
)
CERTIFICATE_S_MIN = 600


def validate_signing_request(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A CertificateSigningRequest; its endpoints decide and issue."""
    if subresource == "approval" and old is not None:
        return _decisions(obj, old)
    if old is not None:
        return _conditions(obj)
    spec = part(obj, "spec")
    problems: Problems = []
    try:
        x509.load_pem_x509_csr(base64.b64decode(str(spec.get("request") or "")))
    except (ValueError, binascii.Error):
        text = "PEM block type must be CERTIFICATE REQUEST"
        problems.append(invalid("spec.request", spec.get("request") or "", text))
    usages = spec.get("usages") or []
    if not usages:
        problems.append(required("spec.usages"))
    seen: set[str] = set()
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            problems.append(not_supported(f"spec.usages[{index}]", usage, USAGES))
        if usage in seen:
            problems.append(duplicate(f"spec.usages[{index}]", usage))
        seen.add(usage)
    problems += signer_name(spec.get("signerName") or "", "spec.signerName")
    expiry_s = spec.get("expirationSeconds")
    if expiry_s is not None and expiry_s < CERTIFICATE_S_MIN:
        text = f"may not specify a duration less than {CERTIFICATE_S_MIN} seconds (10 minutes)"
        problems.append(invalid("spec.expirationSeconds", expiry_s, text))
    return problems + _conditions(obj)


def signer_name(name: str, path: str) -> Problems:
    """`example.com/signer`: a domain of at least two parts and a path."""
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    if not slash:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, text)]
    problems: Problems = []
    for text in names.dns_subdomain(domain):
        problems.append(invalid(path, domain, f'validating label "{domain}": {text}'))
    if "." not in domain and not problems:
        problems.append(invalid(path, name, "should be a domain with at least two segments separated by dots"))
    if not rest:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        problems.append(invalid(path, name, text))
    return problems


def _conditions(obj: Object) -> Problems:
    problems: Problems = []
    seen: set[Json] = set()
    has: dict[str, int] = {}
    for index, condition in enumerate(structs(part(obj, "status"), "conditions")):
        at = f"status.conditions[{index}]"
        kind, status = condition.get("type"), condition.get("status")
        if not kind:
            problems.append(required(f"{at}.type"))
        if not status:
            problems.append(required(f"{at}.status"))
        elif kind in ("Approved", "Denied", "Failed") and status != "True":
            problems.append(not_supported(f"{at}.status", status, ["True"]))
        elif status not in ("False", "True", "Unknown"):
            problems.append(not_supported(f"{at}.status", status, ("False", "True", "Unknown")))
        if kind in seen:
            problems.append(duplicate(f"{at}.type", kind))
        seen.add(kind)
        has[str(kind)] = index
    if "Approved" in has and "Denied" in has:
        at = f"status.conditions[{max(has['Approved'], has['Denied'])}].type"
        last = "Approved" if has["Approved"] > has["Denied"] else "Denied"
        problems.append(invalid(at, last, "Approved and Denied conditions are mutually exclusive"))
    return problems


def _decisions(obj: Object, old: Object) -> Problems:
    """What was decided stays decided."""
    problems = _conditions(obj)
    now = [one for one in structs(part(obj, "status"), "conditions") if one.get("type") in ("Approved", "Denied")]
    for before in structs(part(old, "status"), "conditions"):
        if before.get("type") in ("Approved", "Denied") and not any(one.get("type") == before["type"] for one in now):
            problems.append(forbidden_field("status.conditions", f'updates may not remove a condition of type "{before["type"]}"'))
    return problems


def validate_trust_bundle(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ClusterTrustBundle: certificates, and of a signer's bundle a name that begins with the signer's."""
    spec, name = part(obj, "spec"), str(part(obj, "metadata").get("name") or "")
    signer = spec.get("signerName") or ""
    problems: Problems = []
    if signer:
        problems += signer_name(signer, "spec.signerName")
        start = signer.replace("/", ":") + ":"
        if not name.startswith(start):
            text = f"ClusterTrustBundle for signerName {signer} must be named with prefix {start}"
            problems.append(invalid("metadata.name", name, text))
    elif ":" in name:
        problems.append(invalid("metadata.name", name, 'ClusterTrustBundle without signer name must not have ":" in its name'))
    try:
        if not x509.load_pem_x509_certificates(str(spec.get("trustBundle") or "").encode()):
            raise ValueError
    except ValueError:
        problems.append(invalid("spec.trustBundle", "<value omitted>", "at least one trust anchor must be provided"))
    return problems + (immutable(signer, part(old, "spec").get("signerName"), "spec.signerName") if old is not None else [])
