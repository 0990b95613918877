"""What stands in every cluster before anybody asks: the first namespaces, the network of cluster IPs, the Service of the API server itself.

Made at each start where it is missing; the Service's endpoints are brought up to date. Upstream: pkg/controlplane.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_api.errors import Object, StatusError
from resource_api.registry.requests import loopback

if TYPE_CHECKING:
    from resource_api.registry.api import Api

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE = "kubernetes"
SERVICE_LABELS = {"component": "apiserver", "provider": "kubernetes"}
SLICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Advertised:
    """Where clients inside the cluster reach the server."""

    address: str
    port: int
    networks: tuple[str, ...]
    """Of cluster IPs; the Service gets the first address of the first."""

    @property
    def service_ip(self) -> str:
        """The Service's cluster IP."""
        return str(ipaddress.ip_network(self.networks[0])[1])


async def _make(api: Api, group: str, plural: str, obj: Object, namespace: str = "") -> None:
    """Creates it where it is missing."""
    resource = api.find(group, plural)
    try:
        await resource.get_object(namespace, obj["metadata"]["name"])
        return
    except StatusError as error:
        if error.code != 404:
            raise
    try:
        await resource.create(loopback(namespace), obj)
    except StatusError as error:
        if error.code != 409:
            raise


async def namespaces(api: Api) -> None:
    """The four namespaces; everything else stands in one."""
    async with asyncio.TaskGroup() as group:
        for name in NAMESPACES:
            made = _make(api, "", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            group.create_task(made, name=f"bootstrap namespace {name}")


async def service(api: Api, advertised: Advertised) -> None:
    """The ServiceCIDR, the Service `default/kubernetes`, its Endpoints and EndpointSlice."""
    cidr: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": SERVICE},
        "spec": {"cidrs": list(advertised.networks)},
    }
    await _make(api, "networking.k8s.io", "servicecidrs", cidr)
    body: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": "default", "labels": dict(SERVICE_LABELS)},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": advertised.service_ip,
            "clusterIPs": [advertised.service_ip],
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": advertised.port}],
            "sessionAffinity": "None",
        },
    }
    await _make(api, "", "services", body, "default")
    version = ipaddress.ip_address(advertised.address).version
    if ipaddress.ip_address(advertised.address).is_loopback:
        # An endpoint may not be a loopback address: there is none anybody else could reach.
        return
    port = {"name": "https", "port": advertised.port, "protocol": "TCP"}
    subsets = [{"addresses": [{"ip": advertised.address}], "ports": [port]}]
    skip = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    await _bring_up_to_date(api, "", "endpoints", "v1", "Endpoints", skip, {"subsets": subsets})
    endpoints = [{"addresses": [advertised.address], "conditions": {"ready": True}}]
    sliced = {"addressType": f"IPv{version}", "endpoints": endpoints, "ports": [port]}
    labels = {SLICE_LABEL: SERVICE}
    await _bring_up_to_date(api, "discovery.k8s.io", "endpointslices", "discovery.k8s.io/v1", "EndpointSlice", labels, sliced)


async def _bring_up_to_date(api: Api, group: str, plural: str, version: str, kind: str, labels: dict[str, str], fields: Object) -> None:
    metadata = {"name": SERVICE, "namespace": "default", "labels": labels}
    await _make(api, group, plural, {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}, "default")
    await api.find(group, plural).patch(loopback("default"), SERVICE, lambda obj: {**obj, **fields}, patch_text="")
