"""Cluster IPs and node ports of Services: taken when a Service is written, given back when the write fails or the Service goes.

A cluster IP is taken by creating the IPAddress object of its name, so that two servers on one store never give out the same. Node ports
are one record in the store, changed by compare and swap. Both as upstream's allocators do; an admission plugin here.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from resource_api import errors
from resource_api.controllers.object_index import ObjectIndex
from resource_api.errors import FieldError, Object, StatusError
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.api import loopback
from resource_api.registry.requests import DeleteOptions
from resource_api.registry.store import ChangedError, KeyExistsError, KeyMissingError, Store
from resource_api.schema.times import parse_time

if TYPE_CHECKING:
    from raftkv.clock import Clock
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

PORTS_KEY = "ranges/servicenodeports"
PORT_MIN, PORT_MAX = 30000, 32767
PORT_RANGE_TEXT = f"provided port is not in the valid range. The range of valid ports is {PORT_MIN}-{PORT_MAX}"
REPAIR_AGE_S = 60.0
"""An address without a Service that is older than this was left behind by a server that stopped in between."""

DRAWS_MAX = 64
"""Random draws before the range is walked."""

TYPES_WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
TYPES_WITH_PORTS = ("NodePort", "LoadBalancer")


class ServiceAddresses:
    """See the module. A Plugin."""

    name = "ServiceAddresses"

    def __init__(self, api: Api, store: Store, index: ObjectIndex, clock: Clock, networks: Sequence[str]) -> None:
        self._api = api
        self._store = store
        self._index = index
        self._clock = clock
        self._networks = [ipaddress.ip_network(network) for network in networks]

    # The plugin.

    def handles(self, request: AdmissionRequest) -> bool:
        """Services that are made, changed or deleted."""
        return request.type.plural == "services" and not request.type.group and not request.subresource

    async def admit(self, request: AdmissionRequest) -> None:
        """Fills in `clusterIP`, `clusterIPs`, `ipFamilies` and node ports; 422 when what is asked for is taken."""
        old = (request.old or {}).get("spec") or {}
        if request.obj is None or request.obj["metadata"].get("deletionTimestamp"):
            self._free_when_gone(request, old)
            return
        spec = request.obj.setdefault("spec", {})
        self._keep(spec, old)
        await self._take_addresses(request, spec, old)
        await self._take_ports(request, spec, old)

    async def validate(self, request: AdmissionRequest) -> None:
        """Nothing is left to say."""

    def _keep(self, spec: Object, old: Object) -> None:
        """A client that sends less than it got keeps what the server chose."""
        kind = spec.get("type", "ClusterIP")
        if not old or kind == "ExternalName":
            return
        if old.get("type") != "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if not spec.get(field) and old.get(field):
                    spec[field] = old[field]
        if kind in TYPES_WITH_PORTS:
            ports = {(one.get("protocol", "TCP"), one.get("port")): one.get("nodePort") for one in old.get("ports") or []}
            taken = {one.get("nodePort") for one in spec.get("ports") or []}
            for one in spec.get("ports") or []:
                kept = ports.get((one.get("protocol", "TCP"), one.get("port")))
                if not one.get("nodePort") and kept and kept not in taken:
                    one["nodePort"] = kept

    async def _take_addresses(self, request: AdmissionRequest, spec: Object, old: Object) -> None:
        before = [one for one in old.get("clusterIPs") or [] if one != "None"]
        kind = spec.get("type", "ClusterIP")
        if kind not in TYPES_WITH_ADDRESS:
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(field, None)
            self._free_after(request, before)
            return
        wanted = list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))
        families = self._families(spec, wanted)
        if wanted[:1] == ["None"]:
            spec.update(clusterIP="None", clusterIPs=["None"], ipFamilies=families)
            spec.setdefault("ipFamilyPolicy", "SingleStack")
            return
        chosen: list[str] = []
        for position, family in enumerate(families):
            if position < len(wanted):
                if wanted[position] not in before:
                    await self._take_address(request, wanted[position])
                chosen.append(wanted[position])
            else:
                chosen.append(await self._draw_address(request, family))
        spec.update(clusterIP=chosen[0], clusterIPs=chosen, ipFamilies=families)
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        self._free_after(request, [one for one in before if one not in chosen])

    def _families(self, spec: Object, wanted: Sequence[str]) -> list[str]:
        available = [f"IPv{network.version}" for network in self._networks]
        asked = list(spec.get("ipFamilies") or [])
        if not asked and wanted and wanted[0] != "None":
            asked = [f"IPv{_address(one).version}" for one in wanted]
        for position, family in enumerate(asked):
            if family not in available and wanted[:1] != ["None"]:
                text = "not configured on this cluster"
                raise _invalid(spec, [errors.invalid(f"spec.ipFamilies[{position}]", family, text)])
        policy = spec.get("ipFamilyPolicy", "SingleStack")
        if policy == "RequireDualStack" and len(available) < 2:
            text = "this cluster is not configured for dual-stack services"
            raise _invalid(spec, [errors.invalid("spec.ipFamilyPolicy", policy, text)])
        count = 1 if policy == "SingleStack" else len(available)
        families = asked or available[:1]
        return families + [one for one in available if one not in families][: max(count - len(families), 0)]

    async def _draw_address(self, request: AdmissionRequest, family: str) -> str:
        network = next(one for one in self._networks if f"IPv{one.version}" == family)
        size, choose = min(network.num_addresses, 1 << 16), self._clock.random()
        # The lower sixteenth, 16 to 256 addresses, is for those who choose their own (upstream's static band).
        low = min(max(size // 16, 16), 256) if size > 32 else 1
        for draw in range(DRAWS_MAX + size):
            offset = choose.randrange(low, size - 1) if draw < DRAWS_MAX else draw - DRAWS_MAX + 1
            address = str(network[min(offset, size - 2)])
            if f"ipaddresses/{address}" in self._index.by_key:
                continue
            if await self._claim(request, address):
                return address
        raise errors.internal_error("failed to allocate a serviceIP: range is full")

    async def _take_address(self, request: AdmissionRequest, address: str) -> None:
        assert request.obj is not None
        problem = ""
        parsed = _address(address) if _is_address(address) else None
        if parsed is None or not any(parsed in network for network in self._networks):
            shown = ", ".join(map(str, self._networks))
            problem = f"failed to allocate IP {address}: the provided network does not match the current range ({shown})"
        elif not await self._claim(request, address):
            problem = f"failed to allocate IP {address}: provided IP is already allocated"
        if problem:
            raise _invalid(request.obj["spec"], [errors.invalid("spec.clusterIPs", [address], problem)], request.name)

    async def _claim(self, request: AdmissionRequest, address: str) -> bool:
        if request.dry_run:
            return f"ipaddresses/{address}" not in self._index.by_key
        parent = {"group": "", "resource": "services", "namespace": request.namespace, "name": request.name}
        version = "ipv4" if _address(address).version == 4 else "ipv6"
        labels = {
            "ipaddress.kubernetes.io/ip-family": version.replace("ip", "IP"),
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        obj: Object = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {"name": address, "labels": labels},
            "spec": {"parentRef": parent},
        }
        try:
            await self._api.find("networking.k8s.io", "ipaddresses").create(loopback(), obj)
        except StatusError as error:
            if error.code == 409:
                return False
            raise

        async def settle(written: bool) -> None:
            if not written:
                await self._release(address)

        request.settles.append(settle)
        return True

    async def _release(self, address: str) -> None:
        try:
            await self._api.find("networking.k8s.io", "ipaddresses").delete(loopback(), address, DeleteOptions())
        except StatusError as error:
            if error.code != 404:
                raise

    def _free_after(self, request: AdmissionRequest, addresses: Sequence[str]) -> None:
        async def settle(written: bool) -> None:
            if written:
                for address in addresses:
                    await self._release(address)

        if addresses:
            request.settles.append(settle)

    def _free_when_gone(self, request: AdmissionRequest, old: Object) -> None:
        """A deletion may only mark, and an update may remove the last finalizer: the store says which it was."""

        async def settle(_: bool) -> None:
            try:
                await self._store.get(f"services/specs/{request.namespace}/{request.name}")
            except KeyMissingError:
                for address in old.get("clusterIPs") or []:
                    if address != "None":
                        await self._release(address)
                await self._change_ports(lambda used: used - _ports_of(old))

        if not request.dry_run:
            request.settles.append(settle)

    # Node ports.

    async def _take_ports(self, request: AdmissionRequest, spec: Object, old: Object) -> None:
        before = _ports_of(old)
        entries = spec.get("ports") or []
        if spec.get("type", "ClusterIP") not in TYPES_WITH_PORTS:
            if spec.get("type", "ClusterIP") != old.get("type"):
                for one in entries:
                    if one.get("nodePort") in before:
                        del one["nodePort"]
            wanted: set[int] = set()
        else:
            wanted = await self._assign_ports(request, spec, entries, before)
        gone = before - wanted
        if gone:

            async def settle(written: bool) -> None:
                if written:
                    await self._change_ports(lambda used: used - gone)

            request.settles.append(settle)

    async def _assign_ports(self, request: AdmissionRequest, spec: Object, entries: Sequence[Object], before: set[int]) -> set[int]:
        if spec.get("allocateLoadBalancerNodePorts") is False and spec["type"] == "LoadBalancer":
            entries = [one for one in entries if one.get("nodePort")]
        asked = {one["nodePort"] for one in entries if one.get("nodePort")}
        problems: list[FieldError] = []
        drawn: dict[int, int] = {}

        def take(used: set[int]) -> set[int]:
            problems.clear()
            drawn.clear()
            for position, one in enumerate(entries):
                port, path = one.get("nodePort"), f"spec.ports[{position}].nodePort"
                if port and not PORT_MIN <= port <= PORT_MAX:
                    problems.append(errors.invalid(path, port, PORT_RANGE_TEXT))
                elif port and port in used and port not in before:
                    problems.append(errors.invalid(path, port, "provided port is already allocated"))
                elif not port:
                    drawn[position] = self._draw_port(used | asked | set(drawn.values()))
            return used if problems else used | asked | set(drawn.values())

        if request.dry_run:
            take(await self._ports())
        else:
            await self._change_ports(take)
        if problems:
            raise _invalid(spec, problems, request.name)
        for position, port in drawn.items():
            entries[position]["nodePort"] = port
        wanted = asked | set(drawn.values())

        async def settle(written: bool) -> None:
            if not written and not request.dry_run:
                await self._change_ports(lambda used: used - (wanted - before))

        request.settles.append(settle)
        return wanted

    def _draw_port(self, used: set[int]) -> int:
        choose = self._clock.random()
        for _ in range(DRAWS_MAX):
            port = choose.randrange(PORT_MIN + 86, PORT_MAX + 1)
            if port not in used:
                return port
        free = [port for port in range(PORT_MIN, PORT_MAX + 1) if port not in used]
        if not free:
            raise errors.internal_error("failed to allocate a nodePort: range is full")
        return free[0]

    async def _ports(self) -> set[int]:
        try:
            return set(msgspec.json.decode((await self._store.get(PORTS_KEY)).value, type=list[int]))
        except KeyMissingError:
            return set()

    async def _change_ports(self, change: Callable[[set[int]], set[int]]) -> None:
        while True:
            try:
                stored = await self._store.get(PORTS_KEY)
            except KeyMissingError:
                value = msgspec.json.encode(sorted(change(set())))
                try:
                    await self._store.create(PORTS_KEY, value)
                except KeyExistsError:
                    continue
                return
            used = set(msgspec.json.decode(stored.value, type=list[int]))
            after = change(set(used))
            if after == used:
                return
            try:
                await self._store.update(PORTS_KEY, msgspec.json.encode(sorted(after)), expected_revision=stored.revision)
            except ChangedError:
                continue
            return

    async def repair(self) -> None:
        """At the start: every Service's ports are in the record, and no old address belongs to a Service that is gone.

        Nothing is taken out of the record of ports, and no young address removed: another server may be about to write their Service.
        """
        services = await self._api.find("", "services").list_objects()
        held: set[int] = set().union(*(_ports_of(one.get("spec") or {}) for one in services))
        await self._change_ports(lambda used: used | held)
        names = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in services}
        for address in await self._api.find("networking.k8s.io", "ipaddresses").list_objects():
            parent, made_s = (address.get("spec") or {}).get("parentRef") or {}, parse_time(address["metadata"]["creationTimestamp"])
            if parent.get("resource") != "services" or (parent.get("namespace"), parent.get("name")) in names:
                continue
            if self._clock.wall_s() - made_s > REPAIR_AGE_S:
                await self._release(address["metadata"]["name"])


def _ports_of(spec: Object) -> set[int]:
    ports = {one["nodePort"] for one in spec.get("ports") or [] if one.get("nodePort")}
    return ports | ({spec["healthCheckNodePort"]} if spec.get("healthCheckNodePort") else set())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


def _invalid(spec: Object, problems: list[FieldError], name: str = "") -> StatusError:
    return errors.invalid_object("", "Service", name, problems)
