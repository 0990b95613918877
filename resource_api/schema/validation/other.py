"""Rules of certificate requests, flow control, API services, trust bundles and devices.

Sources: the `validation.go` of certificates, flowcontrol, apiregistration, resource and storagemigration.
"""

from __future__ import annotations

import base64
import binascii

from cryptography import x509

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.validation.rules import Problems, each, immutable, needed, one_of, part, port_number, structs, within

USAGES = (
    *("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only"),
    *("digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement"),
    *("key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"),
)
CERTIFICATE_S_MIN = 600
PRECEDENCE_MAX = 10_000


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
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            problems.append(not_supported(f"spec.usages[{index}]", usage, USAGES))
        if usage in usages[:index]:
            problems.append(duplicate(f"spec.usages[{index}]", usage))
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


def validate_flow_schema(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A FlowSchema."""
    if subresource == "status":
        return []
    spec = part(obj, "spec")
    precedence = spec.get("matchingPrecedence") or 0
    problems: Problems = []
    if precedence <= 0:
        problems.append(invalid("spec.matchingPrecedence", precedence, "must be a positive value"))
    if precedence > PRECEDENCE_MAX:
        problems.append(invalid("spec.matchingPrecedence", precedence, f"must not be greater than {PRECEDENCE_MAX}"))
    if precedence == 1 and part(obj, "metadata").get("name") != "exempt":
        problems.append(invalid("spec.matchingPrecedence", precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
    method = part(spec, "distinguisherMethod").get("type")
    if spec.get("distinguisherMethod") is not None and method not in ("ByNamespace", "ByUser"):
        problems.append(not_supported("spec.distinguisherMethod.type", method or "", ("ByNamespace", "ByUser")))
    name = part(spec, "priorityLevelConfiguration").get("name")
    at = "spec.priorityLevelConfiguration.name"
    problems += each(at, name, names.dns_subdomain(name)) if name else [required(at, "must reference a priority level")]
    for index, rule in enumerate(structs(spec, "rules")):
        problems += _flow_rule(rule, f"spec.rules[{index}]")
    return problems


def _flow_rule(rule: Object, path: str) -> Problems:
    problems: Problems = []
    if not rule.get("subjects"):
        problems.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(structs(rule, "subjects")):
        at = f"{path}.subjects[{index}]"
        kinds = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}
        kind = subject.get("kind") or ""
        if kind not in kinds:
            problems.append(not_supported(f"{at}.kind", kind, ("Group", "ServiceAccount", "User")))
        elif not isinstance(subject.get(kinds[kind]), dict):
            problems.append(required(f"{at}.{kinds[kind]}", f"{kinds[kind]} is required when subject kind is '{kind}'"))
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        problems.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for index, one in enumerate(structs(rule, "resourceRules")):
        at = f"{path}.resourceRules[{index}]"
        for field, noun in (("verbs", "value"), ("apiGroups", "value"), ("resources", "value")):
            problems += needed(one, field, at, f"{field} must contain at least one {noun}")
        if not one.get("namespaces") and not one.get("clusterScope"):
            problems.append(required(f"{at}.namespaces", "resource rules that are not cluster scoped must supply at least one namespace"))
    return problems


def validate_priority_level(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A PriorityLevelConfiguration: exempt from queuing, or limited in one of two ways."""
    if subresource == "status":
        return []
    spec = part(obj, "spec")
    kind, limited, exempt = spec.get("type"), spec.get("limited"), spec.get("exempt")
    if kind == "Exempt":
        return [forbidden_field("spec.limited", "must be nil if the type is not Limited")] if limited is not None else []
    if kind != "Limited":
        return [not_supported("spec.type", kind or "", ("Exempt", "Limited"))]
    problems: Problems = [forbidden_field("spec.exempt", "must be nil if the type is Limited")] if exempt is not None else []
    if not isinstance(limited, dict):
        return [*problems, required("spec.limited", "must not be empty when type is Limited")]
    shares = limited.get("nominalConcurrencyShares") or 0
    if shares < 0:
        problems.append(invalid("spec.limited.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if limited.get("lendablePercent") is not None:
        problems += within(limited["lendablePercent"], "spec.limited.lendablePercent", 0, 100)
    response = part(limited, "limitResponse")
    at = "spec.limited.limitResponse"
    if response.get("type") not in ("Queue", "Reject"):
        problems.append(not_supported(f"{at}.type", response.get("type") or "", ("Queue", "Reject")))
    if response.get("type") == "Reject" and response.get("queuing") is not None:
        problems.append(forbidden_field(f"{at}.queuing", "must be nil if limited.limitResponse.type is not Limited"))
    if response.get("type") == "Queue":
        if not isinstance(response.get("queuing"), dict):
            problems.append(required(f"{at}.queuing", "must not be empty if limited.limitResponse.type is Limited"))
        else:
            queuing = part(response, "queuing")
            for field in ("queueLengthLimit", "queues", "handSize"):
                if (queuing.get(field) or 0) <= 0:
                    problems.append(invalid(f"{at}.queuing.{field}", queuing.get(field) or 0, "must be positive"))
    return problems


def validate_api_service(obj: Object, old: Object | None, subresource: str) -> Problems:
    """An APIService is named after what it serves."""
    if subresource == "status":
        return []
    spec = part(obj, "spec")
    group, version = spec.get("group") or "", spec.get("version") or ""
    name = str(part(obj, "metadata").get("name") or "")
    problems: Problems = []
    if name != f"{version}.{group}":
        problems.append(invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{version}.{group}"'))
    if group:
        problems += each("spec.group", group, names.dns_subdomain(group))
    elif version != "v1":
        problems.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    problems += each("spec.version", version, names.dns_1035_label(version))
    for field in ("groupPriorityMinimum", "versionPriority"):
        high = 20000 if field == "groupPriorityMinimum" else 1000
        value = spec.get(field) or 0
        if not 0 < value <= high:
            problems.append(invalid(f"spec.{field}", value, f"must be positive and less than {high}"))
    service = spec.get("service")
    if isinstance(service, dict):
        problems += needed(service, "namespace", "spec.service") + needed(service, "name", "spec.service")
        problems += port_number(service.get("port"), "spec.service.port")
        if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
            text = "may not be true if caBundle is present"
            problems.append(invalid("spec.insecureSkipTLSVerify", True, text))
    else:
        if spec.get("caBundle"):
            problems.append(invalid("spec.caBundle", f"{len(spec['caBundle'])} bytes", "local APIServices may not have a caBundle"))
        if spec.get("insecureSkipTLSVerify"):
            problems.append(invalid("spec.insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify"))
    return problems


def validate_resource_claim(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ResourceClaim: what it asks for never changes."""
    if subresource == "status":
        return []
    problems = _device_claim(part(part(obj, "spec"), "devices"), "spec.devices")
    return problems + (immutable(obj.get("spec"), old.get("spec"), "spec") if old is not None else [])


def validate_claim_template(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ResourceClaimTemplate: the same, for claims to come."""
    devices = part(part(part(obj, "spec"), "spec"), "devices")
    problems = _device_claim(devices, "spec.spec.devices")
    return problems + (immutable(obj.get("spec"), old.get("spec"), "spec") if old is not None else [])


def _device_claim(devices: Object, path: str) -> Problems:
    problems: Problems = []
    seen: set[Json] = set()
    for index, request in enumerate(structs(devices, "requests")):
        at = f"{path}.requests[{index}]"
        name = request.get("name")
        problems += each(f"{at}.name", name, names.dns_label(name)) if name else [required(f"{at}.name")]
        if name in seen:
            problems.append(duplicate(f"{at}.name", name))
        seen.add(name)
        exactly = request.get("exactly")
        if exactly is None and not request.get("firstAvailable"):
            problems.append(required(at, "exactly one of `exactly` or `firstAvailable` is required"))
        elif exactly is not None and request.get("firstAvailable"):
            problems.append(invalid(at, "", "exactly one of `exactly` or `firstAvailable` is required"))
        if isinstance(exactly, dict):
            problems += needed(exactly, "deviceClassName", f"{at}.exactly")
            modes = ("All", "ExactCount")
            problems += one_of(exactly.get("allocationMode"), f"{at}.exactly.allocationMode", modes)
    return problems
