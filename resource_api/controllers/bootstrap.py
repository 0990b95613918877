"""What stands in every cluster before anybody asks: the first namespaces, the network of cluster IPs, the Service of the API server itself.

Made at each start where it is missing, and kept by `cluster_objects.py`; a start brings the Service's endpoints up to date. Upstream:
pkg/controlplane.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_api.errors import Object, StatusError, UndecodableError
from resource_api.registry.requests import loopback
from resource_api.schema.json_values import copied

if TYPE_CHECKING:
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that must be there."""

    group: str
    plural: str
    body: Object
    namespace: str = ""
    renewed: tuple[str, ...] = ()
    """Fields a start writes anew, because they tell where the server is."""


async def make(api: Api, wanted: Wanted) -> None:
    """Creates it where it is missing. Raises StatusError, StoreError."""
    resource = api.find(wanted.group, wanted.plural)
    try:
        await resource.get_object(wanted.namespace, wanted.body["metadata"]["name"])
        return
    except StatusError as error:
        if error.code != 404:
            raise
    try:
        await resource.create(loopback(wanted.namespace), copied(wanted.body))
    except StatusError as error:
        if error.code != 409:
            raise


async def namespace(api: Api, name: str) -> None:
    """One of the four."""
    await make(api, Wanted("", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))


async def namespaces(api: Api) -> None:
    """The four namespaces; everything else stands in one."""

    async def one(name: str) -> None:
        with _served_without():
            await namespace(api, name)

    async with asyncio.TaskGroup() as group:
        for name in NAMESPACES:
            group.create_task(one(name), name=f"bootstrap namespace {name}")


async def service(api: Api, advertised: Advertised) -> None:
    """The ServiceCIDR, the Service `default/kubernetes`, its Endpoints and EndpointSlice."""
    for wanted in objects(advertised):
        with _served_without():
            await make(api, wanted)
            if wanted.renewed:
                fields = {name: wanted.body[name] for name in wanted.renewed}
                resource = api.find(wanted.group, wanted.plural)
                await resource.patch(loopback(wanted.namespace), SERVICE, _with(fields), patch_text="")


@contextmanager
def _served_without() -> Iterator[None]:
    """A start goes on when one of its objects is damaged: whoever is to mend or delete it needs the server."""
    try:
        yield
    except UndecodableError as error:
        log.error("what every cluster has is damaged", extra={"fields": {"key": error.key, "error": str(error)}})


def _with(fields: Object) -> Callable[[Object], Object]:
    return lambda obj: {**obj, **copied(fields)}


def objects(advertised: Advertised) -> list[Wanted]:
    """What `service` makes, in the order it is made."""
    cidr: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": SERVICE},
        "spec": {"cidrs": list(advertised.networks)},
    }
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
    made = [Wanted("networking.k8s.io", "servicecidrs", cidr), Wanted("", "services", body, "default")]
    # An endpoint may not be a loopback address: there is none anybody else could reach.
    return made if ipaddress.ip_address(advertised.address).is_loopback else [*made, *_endpoints(advertised)]


def _endpoints(advertised: Advertised) -> list[Wanted]:
    version = ipaddress.ip_address(advertised.address).version
    port = {"name": "https", "port": advertised.port, "protocol": "TCP"}
    listed: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": SERVICE, "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": advertised.address}], "ports": [port]}],
    }
    sliced: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": SERVICE, "namespace": "default", "labels": {SLICE_LABEL: SERVICE}},
        "addressType": f"IPv{version}",
        "endpoints": [{"addresses": [advertised.address], "conditions": {"ready": True}}],
        "ports": [port],
    }
    return [
        Wanted("", "endpoints", listed, "default", ("subsets",)),
        Wanted("discovery.k8s.io", "endpointslices", sliced, "default", ("addressType", "endpoints", "ports")),
    ]
