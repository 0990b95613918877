"""Rules of flow control, API services and devices.

Sources: the `validation.go` of flowcontrol, apiregistration, resource and storagemigration.
"""

from __future__ import annotations

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.validation.rules import Problems, each, immutable, needed, one_of, part, port_number, structs, within

PRECEDENCE_MAX = 10_000


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
