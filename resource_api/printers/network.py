"""Rows of services, endpoints, ingresses and what belongs to them."""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import Json, Object
from resource_api.printers.cells import NONE, created, labels_text, name, selector, shortened, spec, status


def service(obj: Object, now_s: float) -> Sequence[Json]:
    """Addresses and ports."""
    wanted = spec(obj)
    kind = wanted.get("type") or "ClusterIP"
    internal = (wanted.get("clusterIPs") or [NONE])[0]
    chosen = labels_text(wanted.get("selector"))
    return (name(obj), kind, internal, _external(obj, kind), _ports(wanted.get("ports") or []), created(obj, now_s), chosen)


def _external(obj: Object, kind: str) -> str:
    wanted = spec(obj)
    given = list(wanted.get("externalIPs") or [])
    if kind == "ExternalName":
        return str(wanted.get("externalName") or "")
    if kind == "LoadBalancer":
        balanced = _balancers(obj)
        if given:
            return ",".join([*([balanced] if balanced else []), *given])
        return balanced or "<pending>"
    return ",".join(given) or NONE


def _balancers(obj: Object) -> str:
    found = {one.get("ip") or one.get("hostname") for one in (status(obj).get("loadBalancer") or {}).get("ingress") or []}
    return ",".join(sorted(filter(None, found)))


def _ports(ports: Sequence[Object]) -> str:
    shown = []
    for one in ports:
        node = f":{one['nodePort']}" if one.get("nodePort") else ""
        shown.append(f"{one.get('port')}{node}/{one.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def endpoints(obj: Object, now_s: float) -> Sequence[Json]:
    """Addresses with their ports."""
    found: list[str] = []
    for subset in obj.get("subsets") or []:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        found += [f"{_bracketed(ip)}:{port.get('port')}" for port in ports for ip in addresses] if ports else addresses
    return (name(obj), shortened(found) if obj.get("subsets") else NONE, created(obj, now_s))


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
    ports = "80, 443" if wanted.get("tls") else "80"
    hosts = _hosts([one.get("host") or "" for one in wanted.get("rules") or []])
    return (name(obj), wanted.get("ingressClassName") or NONE, hosts, _balancers(obj), ports, created(obj, now_s))


def _hosts(hosts: Sequence[str], most: int = 3) -> str:
    """The first few named ones; what is left out is counted in rules, named or not."""
    named = [(position, host) for position, host in enumerate(hosts) if host][:most]
    if not named:
        return "*"
    shown = ",".join(host for _, host in named)
    more = len(named) == most and len(hosts) > named[-1][0] + 1
    return f"{shown} + {len(hosts) - most} more..." if more else shown


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
    return (name(obj), f"{resource.lower()}/{place}{parent.get('name', '')}" if parent else NONE)
