"""Rules of Services, Endpoints and EndpointSlices.

Sources: `pkg/apis/core/validation/validation.go`, `pkg/apis/discovery/validation/validation.go`.
"""

from __future__ import annotations

import ipaddress

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required
from resource_api.schema import names
from resource_api.schema.metadata import validate_labels
from resource_api.schema.validation.rules import (
    Problems,
    address,
    address_texts,
    each,
    immutable,
    network,
    one_of,
    part,
    port_number,
    port_number_or_name,
    structs,
    within,
)

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
POLICIES = ("Cluster", "Local")
AFFINITY_S_MAX = 86_400


def validate_service(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Service."""
    if subresource == "status":
        return _load_balancer(part(part(obj, "status"), "loadBalancer"))
    spec = part(obj, "spec")
    problems = _changes(spec, part(old, "spec")) if old is not None else []
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and spec.get("type") != "ExternalName":
        problems.append(required("spec.ports"))
    problems += _type_rules(spec)
    problems += _ports(spec)
    problems += validate_labels(spec.get("selector"), "spec.selector")
    problems += _affinity(spec)
    problems += _addresses(spec)
    for index, external in enumerate(spec.get("externalIPs") or ()):
        at = f"spec.externalIPs[{index}]"
        texts = address_texts(external)
        problems += each(at, external, texts) or _not_special(external, at)
    problems += one_of(spec.get("type"), "spec.type", TYPES)
    problems += _external_traffic(spec)
    if spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer"):
        problems += one_of(spec.get("internalTrafficPolicy"), "spec.internalTrafficPolicy", POLICIES)
    problems += one_of(spec.get("trafficDistribution"), "spec.trafficDistribution", TRAFFIC, optional=True)
    return problems


TRAFFIC = ("PreferClose", "PreferSameNode", "PreferSameZone")


def _type_rules(spec: Object) -> Problems:
    kind, ip = spec.get("type"), spec.get("clusterIP")
    problems: Problems = []
    if kind == "LoadBalancer":
        for index, port in enumerate(structs(spec, "ports")):
            if port.get("port") == 10250:
                text = "may not expose port 10250 externally since it is used by kubelet"
                problems.append(invalid(f"spec.ports[{index}]", 10250, text))
    if kind in ("LoadBalancer", "NodePort") and ip == "None":
        problems.append(invalid("spec.clusterIPs[0]", ip, f"may not be set to 'None' for {kind} services"))
    if kind == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(field) or (field == "clusterIPs" and ip):
                problems.append(forbidden_field(f"spec.{field}", "may not be set for ExternalName services"))
        name = str(spec.get("externalName") or "").removesuffix(".")
        if name:
            problems += each("spec.externalName", name, names.dns_subdomain(name))
        else:
            problems.append(required("spec.externalName"))
    return problems


def _ports(spec: Object) -> Problems:
    problems: Problems = []
    ports = structs(spec, "ports")
    seen_names: set[str] = set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        name = port.get("name")
        if name:
            problems += each(f"{at}.name", name, names.dns_label(name))
            if name in seen_names:
                problems.append(duplicate(f"{at}.name", name))
            seen_names.add(name)
        elif len(ports) > 1:
            problems.append(required(f"{at}.name"))
        problems += port_number(port.get("port"), f"{at}.port")
        problems += one_of(port.get("protocol"), f"{at}.protocol", PROTOCOLS)
        problems += port_number_or_name(port.get("targetPort"), f"{at}.targetPort")
        if port.get("appProtocol"):
            problems += each(f"{at}.appProtocol", port["appProtocol"], names.qualified_name(port["appProtocol"]))
        if spec.get("type") == "ClusterIP" and port.get("nodePort"):
            problems.append(forbidden_field(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'"))
    return problems + _repeated_ports(ports)


def _repeated_ports(ports: list[Object]) -> Problems:
    problems: Problems = []
    seen: set[tuple[Json, Json]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("nodePort"))
        if port.get("nodePort"):
            if key in seen:
                problems.append(duplicate(f"spec.ports[{index}].nodePort", port["nodePort"]))
            seen.add(key)
    seen = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            shown = {"name": "", "protocol": key[0], "port": key[1], "targetPort": 0}
            problems.append(duplicate(f"spec.ports[{index}]", {name: value for name, value in shown.items() if value != ""}))
        seen.add(key)
    return problems


def _affinity(spec: Object) -> Problems:
    problems = one_of(spec.get("sessionAffinity"), "spec.sessionAffinity", ("ClientIP", "None"))
    config = spec.get("sessionAffinityConfig")
    if spec.get("sessionAffinity") == "ClientIP":
        timeout_s = part(config, "clientIP").get("timeoutSeconds")
        at = "spec.sessionAffinityConfig"
        if timeout_s is None:
            problems.append(required(at, "when session affinity type is ClientIP"))
        elif not 0 < timeout_s <= AFFINITY_S_MAX:
            text = f"must be greater than 0 and less than {AFFINITY_S_MAX}"
            problems.append(invalid(f"{at}.clientIP.timeoutSeconds", timeout_s, text))
    elif config is not None and spec.get("sessionAffinity") == "None":
        problems.append(forbidden_field("spec.sessionAffinityConfig", "must not be set when session affinity is None"))
    return problems


def _addresses(spec: Object) -> Problems:
    """Cluster addresses and families; what was not given yet is allocated later."""
    problems: Problems = []
    if spec.get("type") == "ExternalName":
        return problems
    ips: list[str] = spec.get("clusterIPs") or []
    first = spec.get("clusterIP") or ""
    if first and ips and ips[0] != first:
        problems.append(invalid("spec.clusterIPs", ips, "first value must match `clusterIP`"))
    ips = ips or ([first] if first else [])
    if len(ips) > 1 and "None" in ips:
        problems.append(invalid("spec.clusterIPs", ips, "'None' must be the first and only value"))
        return problems
    for index, ip in enumerate(ips):
        if ip and ip != "None":
            problems += address(ip, f"spec.clusterIPs[{index}]")
    families = spec.get("ipFamilies") or []
    seen: set[str] = set()
    for index, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            problems.append(not_supported(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6")))
        if family in seen:
            problems.append(duplicate(f"spec.ipFamilies[{index}]", family))
        seen.add(family)
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    return problems + one_of(spec.get("ipFamilyPolicy"), "spec.ipFamilyPolicy", policies, optional=True)


def _external_traffic(spec: Object) -> Problems:
    problems: Problems = []
    external = spec.get("type") in ("LoadBalancer", "NodePort") or (spec.get("type") == "ClusterIP" and spec.get("externalIPs"))
    policy, at = spec.get("externalTrafficPolicy"), "spec.externalTrafficPolicy"
    if not external:
        if policy:
            text = "may only be set for externally-accessible services"
            problems.append(invalid(at, policy, text))
    else:
        problems += one_of(policy, at, POLICIES)
    port = spec.get("healthCheckNodePort") or 0
    if port and not (spec.get("type") == "LoadBalancer" and policy == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        problems.append(invalid("spec.healthCheckNodePort", port, text))
    if spec.get("type") != "LoadBalancer":
        only = "may only be used when `type` is 'LoadBalancer'"
        for field in ("loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(field) not in (None, []):
                name = "LoadBalancerSourceRanges" if field == "loadBalancerSourceRanges" else field
                problems.append(forbidden_field(f"spec.{name}", only))
    else:
        for index, value in enumerate(spec.get("loadBalancerSourceRanges") or ()):
            problems += network(value.strip(), f"spec.loadBalancerSourceRanges[{index}]")
    return problems


def _changes(spec: Object, old: Object) -> Problems:
    """What stays while the Service needs it."""
    problems = _address_change(spec, old)
    had = old.get("healthCheckNodePort")
    if had and all(one.get("type") == "LoadBalancer" and one.get("externalTrafficPolicy") == "Local" for one in (spec, old)):
        problems += immutable(spec.get("healthCheckNodePort"), had, "spec.healthCheckNodePort")
    return problems


def _address_change(spec: Object, old: Object) -> Problems:
    """A cluster address stays while the Service has one."""
    if "ExternalName" in (spec.get("type"), old.get("type")):
        return []
    before: list[str] = old.get("clusterIPs") or ([old["clusterIP"]] if old.get("clusterIP") else [])
    if not before:
        return []
    first = spec.get("clusterIP")
    now: list[str] = spec.get("clusterIPs") or ([first] if first == before[0] else [])
    if not now:
        problems = [invalid("spec.clusterIPs[0]", spec.get("clusterIPs"), "primary clusterIP can not be unset")]
        return [*problems, required("spec.clusterIPs")] if first else problems
    if (spec.get("clusterIP") or now[0]) != before[0] or now[0] != before[0]:
        return [invalid("spec.clusterIPs[0]", now, "may not change once set")]
    problems = []
    if len(before) > 1 and len(now) > 1 and before[1] != now[1]:
        problems.append(invalid("spec.clusterIPs[1]", now, "may not change once set"))
    return problems


def _not_special(value: str, path: str) -> Problems:
    ip = ipaddress.ip_address(value)
    for special, text in (
        (ip.is_unspecified, f"may not be unspecified ({ip})"),
        (ip.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (ip.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (ip.is_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ):
        if special:
            return [invalid(path, value, text)]
    return []


def _load_balancer(status: Object) -> Problems:
    problems: Problems = []
    for index, ingress in enumerate(structs(status, "ingress")):
        at = f"status.loadBalancer.ingress[{index}]"
        if ingress.get("ip"):
            problems += address(ingress["ip"], f"{at}.ip")
        elif ingress.get("ipMode") is not None:
            problems.append(forbidden_field(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        hostname = ingress.get("hostname")
        if hostname:
            problems += each(f"{at}.hostname", hostname, names.dns_subdomain(hostname))
            if not address_texts(hostname):
                problems.append(invalid(f"{at}.hostname", hostname, "must be a DNS name, not an IP address"))
    return problems


def validate_endpoints(obj: Object, old: Object | None, subresource: str) -> Problems:
    """Endpoints."""
    problems: Problems = []
    for index, subset in enumerate(structs(obj, "subsets")):
        at = f"subsets[{index}]"
        ready, other, ports = structs(subset, "addresses"), structs(subset, "notReadyAddresses"), structs(subset, "ports")
        if not ready and not other:
            problems.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
        for field, values in (("addresses", ready), ("notReadyAddresses", other)):
            for place, one in enumerate(values):
                problems += _endpoint(one, f"{at}.{field}[{place}]")
        for place, port in enumerate(ports):
            problems += _endpoint_port(port, f"{at}.ports[{place}]", name_needed=len(ports) > 1)
    return problems


def _endpoint(one: Object, path: str) -> Problems:
    ip = one.get("ip") or ""
    problems = address(ip, f"{path}.ip") or _not_special(ip, f"{path}.ip")
    if one.get("hostname"):
        problems += each(f"{path}.hostname", one["hostname"], names.dns_label(one["hostname"]))
    if one.get("nodeName"):
        problems += each(f"{path}.nodeName", one["nodeName"], names.dns_subdomain(one["nodeName"]))
    return problems


def _endpoint_port(port: Object, path: str, *, name_needed: bool) -> Problems:
    problems: Problems = []
    name = port.get("name") or ""
    if name_needed and not name:
        problems.append(required(f"{path}.name"))
    elif name:
        problems += each(f"{path}.name", name, names.dns_label(name))
    problems += port_number(port.get("port"), f"{path}.port")
    return problems + one_of(port.get("protocol"), f"{path}.protocol", PROTOCOLS)


def validate_endpoint_slice(obj: Object, old: Object | None, subresource: str) -> Problems:
    """An EndpointSlice."""
    kind = obj.get("addressType")
    problems = one_of(kind, "addressType", ("FQDN", "IPv4", "IPv6"))
    for index, endpoint in enumerate(structs(obj, "endpoints")):
        at = f"endpoints[{index}]"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            problems.append(required(f"{at}.addresses", "must contain at least 1 address"))
        for place, value in enumerate(addresses):
            problems += _slice_address(kind, value, f"{at}.addresses[{place}]")
        if endpoint.get("nodeName"):
            problems += each(f"{at}.nodeName", endpoint["nodeName"], names.dns_subdomain(endpoint["nodeName"]))
        if endpoint.get("hostname"):
            problems += each(f"{at}.hostname", endpoint["hostname"], names.dns_label(endpoint["hostname"]))
    problems += _slice_ports(obj)
    return problems + (immutable(kind, old.get("addressType"), "addressType") if old is not None else [])


def _slice_address(kind: Json, value: str, path: str) -> Problems:
    if kind == "FQDN":
        return each(path, value, names.dns_subdomain(value))
    if address_texts(value):
        return address(value, path)
    version = ipaddress.ip_address(value).version
    if (kind, version) in (("IPv4", 6), ("IPv6", 4)):
        return [invalid(path, value, f"must be an {kind} address")]
    return _not_special(value, path)


def _slice_ports(obj: Object) -> Problems:
    problems: Problems = []
    seen: set[Json] = set()
    for index, port in enumerate(structs(obj, "ports")):
        at = f"ports[{index}]"
        name = port.get("name") or ""
        if name:
            problems += each(f"{at}.name", name, names.port_name(name))
        if name in seen:
            problems.append(duplicate(f"{at}.name", name))
        seen.add(name)
        problems += one_of(port.get("protocol"), f"{at}.protocol", PROTOCOLS)
        if port.get("port") is not None:
            problems += within(port["port"], f"{at}.port", 1, 65535)
    return problems
