"""Rules of Ingresses, IngressClasses, NetworkPolicies, IPAddresses and ServiceCIDRs.

Source: `pkg/apis/networking/validation/validation.go`.
"""

from __future__ import annotations

import ipaddress

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required, too_many
from resource_api.schema import names
from resource_api.schema.validation.rules import (
    Problems,
    address_texts,
    each,
    immutable,
    label_selector,
    needed,
    network,
    part,
    port_number,
    port_number_or_name,
    structs,
)

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")


def validate_ingress(obj: Object, old: Object | None, subresource: str) -> Problems:
    """An Ingress."""
    if subresource == "status":
        return []
    spec = part(obj, "spec")
    problems: Problems = []
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        text = "either `defaultBackend` or `rules` must be specified"
        problems.append(invalid("spec", spec.get("rules"), text))
    for index, tls in enumerate(structs(spec, "tls")):
        for place, host in enumerate(tls.get("hosts") or ()):
            problems += _host(host, f"spec.tls[{index}].hosts[{place}]")
        if tls.get("secretName"):
            problems += each(f"spec.tls[{index}].secretName", tls["secretName"], names.dns_subdomain(tls["secretName"]))
    if spec.get("defaultBackend") is not None:
        problems += _backend(part(spec, "defaultBackend"), "spec.defaultBackend")
    for index, rule in enumerate(structs(spec, "rules")):
        problems += _rule(rule, f"spec.rules[{index}]")
    name = spec.get("ingressClassName")
    if name is not None:
        problems += each("spec.ingressClassName", name, names.dns_subdomain(name))
        if old is None and CLASS_ANNOTATION in (part(obj, "metadata").get("annotations") or {}):
            text = "can not be set when the class field is also set"
            given = part(obj, "metadata")["annotations"][CLASS_ANNOTATION]
            problems.append(invalid(f"metadata.annotations[{CLASS_ANNOTATION}]", given, text))
    return problems


def _host(host: str, path: str) -> Problems:
    return each(path, host, names.wildcard_subdomain(host) if "*" in host else names.dns_subdomain(host))


def _rule(rule: Object, path: str) -> Problems:
    problems: Problems = []
    host = rule.get("host")
    if host:
        if not address_texts(host):
            problems.append(invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        problems += _host(host, f"{path}.host")
    http = rule.get("http")
    if not isinstance(http, dict):
        return problems
    paths = structs(http, "paths")
    if not paths:
        problems.append(required(f"{path}.http.paths"))
    for index, one in enumerate(paths):
        problems += _path(one, f"{path}.http.paths[{index}]")
    return problems


def _path(one: Object, path: str) -> Problems:
    kind, value = one.get("pathType"), one.get("path") or ""
    problems: Problems = []
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified"), *_backend(part(one, "backend"), f"{path}.backend")]
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            problems.append(invalid(f"{path}.path", value, "must be an absolute path"))
        for bad in _BAD_SEQUENCES:
            if bad in value:
                problems.append(invalid(f"{path}.path", value, f"must not contain '{bad}'"))
        for bad in _BAD_ENDS:
            if value.endswith(bad):
                problems.append(invalid(f"{path}.path", value, f"cannot end with '{bad}'"))
    elif kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            problems.append(invalid(f"{path}.path", value, "must be an absolute path"))
    else:
        problems.append(not_supported(f"{path}.pathType", kind, PATH_TYPES))
    return problems + _backend(part(one, "backend"), f"{path}.backend")


def _backend(backend: Object, path: str) -> Problems:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if isinstance(resource, dict):
        return needed(resource, "kind", f"{path}.resource") + needed(resource, "name", f"{path}.resource")
    if not isinstance(service, dict):
        return [required(path, "port name or number is required")] if not backend else []
    problems: Problems = []
    name, at = service.get("name"), f"{path}.service"
    problems += each(f"{at}.name", name, names.dns_1035_label(name)) if name else [required(f"{at}.name")]
    port = part(service, "port")
    if port.get("name"):
        if port.get("number"):
            problems.append(invalid(path, "", "cannot set both port name & port number"))
        problems += each(f"{at}.port.name", port["name"], names.port_name(port["name"]))
    elif not port.get("number"):
        problems.append(required(path, "port name or number is required"))
    else:
        problems += port_number(port["number"], f"{at}.port.number")
    return problems


def validate_ingress_class(obj: Object, old: Object | None, subresource: str) -> Problems:
    """An IngressClass: its controller is fixed."""
    spec = part(obj, "spec")
    controller = spec.get("controller") or ""
    problems: Problems = []
    if old is not None:
        problems += immutable(controller, part(old, "spec").get("controller"), "spec.controller")
    elif "/" not in controller:
        problems.append(invalid("spec.controller", controller, 'must be a domain-prefixed path (such as "acme.io/foo")'))
    parameters = spec.get("parameters")
    if isinstance(parameters, dict):
        problems += needed(parameters, "kind", "spec.parameters") + needed(parameters, "name", "spec.parameters")
        scope, namespace = parameters.get("scope"), parameters.get("namespace")
        if scope not in ("Cluster", "Namespace"):
            problems.append(not_supported("spec.parameters.scope", scope, ("Cluster", "Namespace")))
        elif scope == "Namespace" and not namespace:
            problems.append(required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'"))
        elif scope == "Cluster" and namespace is not None:
            problems.append(forbidden_field("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'"))
    return problems


def validate_network_policy(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A NetworkPolicy."""
    spec = part(obj, "spec")
    problems = label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(structs(spec, direction)):
            at = f"spec.{direction}[{index}]"
            for place, port in enumerate(structs(rule, "ports")):
                problems += _policy_port(port, f"{at}.ports[{place}]")
            for place, peer in enumerate(structs(rule, side)):
                problems += _peer(peer, f"{at}.{side}[{place}]")
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        problems.append(invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes"))
        return problems
    for index, kind in enumerate(kinds):
        if kind not in ("Egress", "Ingress"):
            problems.append(not_supported(f"spec.policyTypes[{index}]", kind, ("Egress", "Ingress")))
    return problems


def _policy_port(port: Object, path: str) -> Problems:
    problems: Problems = []
    protocol = port.get("protocol")
    if protocol not in (None, "TCP", "UDP", "SCTP"):
        problems.append(not_supported(f"{path}.protocol", protocol, ("SCTP", "TCP", "UDP")))
    number, end = port.get("port"), port.get("endPort")
    if number is not None:
        problems += port_number_or_name(number, f"{path}.port")
        if isinstance(number, int) and end is not None:
            if end < number:
                problems.append(invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
            problems += port_number(end, f"{path}.endPort")
        elif end is not None:
            problems.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
    elif end is not None:
        problems.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    return problems


def _peer(peer: Object, path: str) -> Problems:
    problems: Problems = []
    selectors = [field for field in ("podSelector", "namespaceSelector") if peer.get(field) is not None]
    for field in selectors:
        problems += label_selector(peer[field], f"{path}.{field}")
    block = peer.get("ipBlock")
    if isinstance(block, dict):
        problems += _ip_block(block, f"{path}.ipBlock")
    if selectors and block is not None:
        problems.append(forbidden_field(path, "may not specify both ipBlock and another peer"))
    elif not selectors and block is None:
        problems.append(required(path, "must specify a peer"))
    return problems


def _ip_block(block: Object, path: str) -> Problems:
    cidr = block.get("cidr")
    if not cidr:
        return [required(f"{path}.cidr")]
    problems = network(cidr, f"{path}.cidr")
    if problems:
        return problems
    outer = ipaddress.ip_network(cidr, strict=False)
    for index, text in enumerate(block.get("except") or ()):
        at = f"{path}.except[{index}]"
        wrong = network(text, at)
        problems += wrong
        if wrong:
            continue
        inner = ipaddress.ip_network(text, strict=False)
        if inner.version != outer.version or inner.prefixlen <= outer.prefixlen or inner.network_address not in outer:
            problems.append(invalid(at, text, f'must be a strict subset of `cidr`: "{cidr}"'))
    return problems


def validate_ip_address(obj: Object, old: Object | None, subresource: str) -> Problems:
    """An IPAddress names what it belongs to."""
    parent = part(obj, "spec").get("parentRef")
    if not isinstance(parent, dict):
        return [required("spec.parentRef")]
    problems: Problems = []
    for field in ("resource", "name"):
        problems += needed(parent, field, "spec.parentRef")
    if old is not None:
        problems += immutable(parent, part(old, "spec").get("parentRef"), "spec.parentRef")
    return problems


def validate_service_cidr(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A ServiceCIDR: one network, or one of each family; fixed, but for a second family."""
    cidrs: list[str] = part(obj, "spec").get("cidrs") or []
    if not cidrs:
        return [required("spec.cidrs", "at least one CIDR required")]
    if len(cidrs) > 2:
        return [too_many("spec.cidrs", len(cidrs), 2)]
    problems: Problems = []
    versions: list[Json] = []
    for index, text in enumerate(cidrs):
        wrong = network(text, f"spec.cidrs[{index}]")
        problems += wrong
        if not wrong:
            versions.append(ipaddress.ip_network(text, strict=False).version)
    if len(versions) == 2 and versions[0] == versions[1]:
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        problems.append(invalid("spec.cidrs", cidrs, text))
    if old is not None and cidrs[: len(part(old, "spec").get("cidrs") or [])] != part(old, "spec").get("cidrs"):
        problems.append(invalid("spec.cidrs", cidrs, "field is immutable"))
    if len(set(cidrs)) < len(cidrs):
        problems.append(duplicate("spec.cidrs[1]", cidrs[1]))
    return problems
