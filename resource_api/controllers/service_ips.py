"""Cluster IPs: each is an IPAddress object while a Service has it, so that none is given out twice, whoever crashes in between.

Taking one is creating the object of its name, which only one can; giving it back is deleting that very object, known by its uid. Upstream:
pkg/registry/core/service/ipallocator.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resource_api import errors
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import DeleteOptions, loopback

if TYPE_CHECKING:
    from raftkv.clock import Clock
    from resource_api.controllers.object_index import ObjectIndex
    from resource_api.registry.api import Api
    from resource_api.registry.resource import Resource

GROUP, PLURAL = "networking.k8s.io", "ipaddresses"
DRAWS_MAX = 64
"""Random draws before the range is walked."""

ADDRESSES_MAX = 1 << 16
"""Of a larger network only the first are given out."""


class ClusterAddresses:
    """See the module. `networks` in the order of preference; at most one of each family."""

    def __init__(self, api: Api, index: ObjectIndex, clock: Clock, networks: Sequence[str]) -> None:
        self._api = api
        self._index = index
        self._clock = clock
        self.networks = [ipaddress.ip_network(network) for network in networks]

    @property
    def families(self) -> list[str]:
        """`IPv4`, `IPv6`: what there are networks of."""
        return [f"IPv{network.version}" for network in self.networks]

    def problem(self, address: str) -> str:
        """Why the address cannot be a cluster IP; nothing when it can."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            parsed = None
        if parsed is not None and any(parsed in network for network in self.networks):
            return ""
        return (
            f"failed to allocate IP {address}: the provided network does not match the current range ({', '.join(map(str, self.networks))})"
        )

    async def claim(self, address: str, namespace: str, name: str) -> str | None:
        """Takes an address for a Service: the uid that proves it, or None when it is taken."""
        version = ipaddress.ip_address(address).version
        labels = {"ipaddress.kubernetes.io/ip-family": f"IPv{version}", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
        obj: Object = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {"name": address, "labels": labels},
            "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
        }
        try:
            made = await self._resource.create(loopback(), obj)
        except StatusError as error:
            if error.code == 409:
                return None
            raise
        return str(made["metadata"]["uid"])

    async def draw(self, family: str, namespace: str, name: str, *, dry_run: bool) -> tuple[str, str]:
        """Takes a free address; with its proof, none in a dry run. Raises StatusError 500 when there is none."""
        network = next(one for one in self.networks if f"IPv{one.version}" == family)
        size, choose = min(network.num_addresses, ADDRESSES_MAX), self._clock.random()
        # The lower sixteenth, 16 to 256 addresses, is for those who choose their own (upstream's static band).
        low = min(max(size // 16, 16), 256) if size > 32 else 1
        for draw in range(DRAWS_MAX + size - 2):
            offset = choose.randrange(low, size - 1) if draw < DRAWS_MAX else draw - DRAWS_MAX + 1
            address = str(network[offset])
            if f"{PLURAL}/{address}" in self._index.by_key:
                continue
            proof = "" if dry_run else await self.claim(address, namespace, name)
            if proof is not None:
                return address, proof
        raise errors.internal_error("failed to allocate a serviceIP: range is full")

    async def is_free(self, address: str) -> bool:
        """Whether nobody has it."""
        return await self._found(address) is None

    async def proof_of(self, address: str, namespace: str, name: str) -> str | None:
        """The uid that proves an address a Service has; None when it is not that Service's."""
        found = await self._found(address)
        parent = ((found or {}).get("spec") or {}).get("parentRef") or {}
        if found is None or parent.get("resource") != "services" or (parent.get("namespace"), parent.get("name")) != (namespace, name):
            return None
        return str(found["metadata"]["uid"])

    async def release(self, address: str, proof: str) -> None:
        """Gives back what was claimed with that proof, and nothing else."""
        try:
            await self._resource.delete(loopback(), address, DeleteOptions(precondition_uid=proof))
        except StatusError as error:
            # Given back already, or another's by now.
            if error.code not in (404, 409):
                raise

    async def all(self) -> list[Object]:
        """Every IPAddress."""
        return await self._resource.list_objects()

    async def _found(self, address: str) -> Object | None:
        try:
            return await self._resource.get_object("", address)
        except StatusError as error:
            if error.code != 404:
                raise
            return None

    @property
    def _resource(self) -> Resource:
        return self._api.find(GROUP, PLURAL)
