"""Rows of services, endpoints, ingresses and what belongs to them."""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import Json, Object
from resource_api.printers.cells import NONE, created, labels_text, name, selector, shortened, spec, status

ADDRESS_LIMIT = 16
"""Load balancer addresses are cut to this many characters in the narrow table; the wide one is not known to the server."""


def service(obj: Object, now_s: float) -> Sequence[Json]:
    """Addresses and ports."""
    wanted = spec(obj)
    kind = wanted.get("type") or "ClusterIP"
    internal = (wanted.get("clusterIPs") or [wanted.get("clusterIP") or ""])[0] or NONE
    chosen = labels_text(wanted.get("selector"))
    return (name(obj), kind, internal, _external(obj, kind), _ports(wanted.get("ports") or []), created(obj, now_s), chosen)


def _external(obj: Object, kind: str) -> str:
    wanted = spec(obj)
    given = list(wanted.get("externalIPs") or [])
    if kind == "ExternalName":
        return str(wanted.get("externalName") or "")
    if kind == "LoadBalancer":
        found = [one.get("ip") or one.get("hostname") or "" for one in (status(obj).get("loadBalancer") or {}).get("ingress") or []]
        balanced = ",".join(found)
        if given:
            return ",".join([*([balanced] if balanced else []), *given])
        return balanced or "<pending>"
    return ",".join(given) or NONE


def _ports(ports: Sequence[Object]) -> str:
    shown = []
    for one in ports:
        node = f":{one['nodePort']}" if one.get("nodePort") else ""
        shown.append(f"{one.get('port')}{node}/{one.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def endpoints(obj: Object, now_s: float) -> Sequence[Json]:
    """Addresses with their ports."""
    found = []
    for subset in obj.get("subsets") or []:
        ports = subset.get("ports") or []
        for address in subset.get("addresses") or []:
            ip = address.get("ip", "")
            found += [f"{_bracketed(ip)}:{port.get('port')}" for port in ports] or [ip]
    return (name(obj), shortened(found) or NONE, created(obj, now_s))


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def endpoint_slice(obj: Object, now_s: float) -> Sequence[Json]:
    """Family, ports, addresses."""
    ports = obj.get("ports")
    shown = "<unset>" if ports is None or not ports else shortened(str(one.get("port", "*")) for one in ports)
    addresses = [address for one in obj.get("endpoints") or [] for address in one.get("addresses") or []]
    return (name(obj), obj.get("addressType", ""), shown, shortened(addresses) or "<unset>", created(obj, now_s))


def ingress(obj: Object, now_s: float) -> Sequence[Json]:
    """Class, hosts, addresses."""
    wanted = spec(obj)
    hosts = shortened(one["host"] for one in wanted.get("rules") or [] if one.get("host")) or "*"
    balancers = (status(obj).get("loadBalancer") or {}).get("ingress") or []
    addresses = ",".join(one.get("ip") or one.get("hostname") or "" for one in balancers)
    ports = "80, 443" if wanted.get("tls") else "80"
    return (name(obj), wanted.get("ingressClassName") or NONE, hosts, addresses, ports, created(obj, now_s))


def ingress_class(obj: Object, now_s: float) -> Sequence[Json]:
    """Controller and parameters."""
    wanted = spec(obj)
    given = wanted.get("parameters")
    shown = NONE
    if given:
        group = f".{given['apiGroup']}" if given.get("apiGroup") else ""
        shown = f"{given.get('kind')}{group}/{given.get('name')}"
    return (name(obj), wanted.get("controller", ""), shown, created(obj, now_s))


def network_policy(obj: Object, now_s: float) -> Sequence[Json]:
    """Which pods."""
    return (name(obj), selector(spec(obj).get("podSelector")), created(obj, now_s))


def service_cidr(obj: Object, now_s: float) -> Sequence[Json]:
    """Networks."""
    return (name(obj), ",".join(spec(obj).get("cidrs") or []), created(obj, now_s))


def ip_address(obj: Object, now_s: float) -> Sequence[Json]:
    """Whose."""
    parent = spec(obj).get("parentRef") or {}
    resource = parent.get("resource", "") + (f".{parent['group']}" if parent.get("group") else "")
    place = f"{parent['namespace']}/" if parent.get("namespace") else ""
    return (name(obj), f"{resource}/{place}{parent.get('name', '')}")
