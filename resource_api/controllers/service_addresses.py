"""Cluster IPs and node ports of Services: taken when a Service is written, given back when the write fails or the Service goes.

An admission plugin over the two allocators, and their repair. What a write took it gives back only with the proof that it took it; what a
Service no longer has is given back after the store was asked whether it has it. A server that stops in between leaves something taken:
`repair` finds it. Upstream: pkg/registry/core/service/storage/alloc.go and the repair loops beside it.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from resource_api import errors
from resource_api.controllers.object_index import ObjectIndex
from resource_api.controllers.queue import WorkQueue
from resource_api.controllers.service_ips import ClusterAddresses
from resource_api.controllers.service_ports import TAKEN_TEXT, NodePorts, Owner, ports_of
from resource_api.errors import FieldError, Object, StatusError
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.objects import name_of
from resource_api.registry.requests import LOOPBACK
from resource_api.registry.store import Store, StoreError
from resource_api.schema.times import parse_time

if TYPE_CHECKING:
    from raftkv.clock import Clock
    from resource_api.registry.api import Api

log = logging.getLogger("resource_api.controllers")

REPAIR_AGE_S = 60.0
"""What no Service has and is older than this was left behind: no write lasts as long."""

REPAIR_EVERY_S = 180.0
"""Upstream's interval."""

REPAIR = "repair"
"""The one key there is to work on."""

ADDRESS_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
TYPES_WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
TYPES_WITH_PORTS = ("NodePort", "LoadBalancer")
HEALTH_CHECK = "healthCheckNodePort"


class ServiceAddresses:
    """See the module. A Plugin and a Controller."""

    name = "ServiceAddresses"
    """As admission knows it."""

    def __init__(self, api: Api, store: Store, index: ObjectIndex, clock: Clock, *, networks: Sequence[str], ports: range) -> None:
        self._api = api
        self._clock = clock
        self._addresses = ClusterAddresses(api, index, clock, networks)
        self._ports = NodePorts(store, clock, ports)
        self.queue = WorkQueue("addresses of Services")

    # The plugin.

    def handles(self, request: AdmissionRequest) -> bool:
        """Services that are made, changed or deleted."""
        return request.type.plural == "services" and not request.type.group and not request.subresource

    async def admit(self, request: AdmissionRequest) -> None:
        """Fills in `clusterIP`, `clusterIPs`, `ipFamilies` and node ports; 422 when what is asked for is taken."""
        if request.obj is None or request.obj["metadata"].get("deletionTimestamp"):
            if not request.dry_run:
                assert request.old is not None
                await self._free_when_gone(request, request.old)
            return
        old = (request.old or {}).get("spec") or {}
        spec = request.obj.setdefault("spec", {})
        _follow_singular(spec, old)
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
            for field in ADDRESS_FIELDS:
                if field == "clusterIPs" and spec.get("clusterIP") != old.get("clusterIP"):
                    continue  # The old list would hide that another address was asked for.
                if not spec.get(field) and old.get(field):
                    spec[field] = old[field]
        if kind in TYPES_WITH_PORTS:
            ports = {(one.get("protocol", "TCP"), one.get("port")): one.get("nodePort") for one in old.get("ports") or []}
            taken = {one.get("nodePort") for one in spec.get("ports") or []}
            for one in spec.get("ports") or []:
                kept = ports.get((one.get("protocol", "TCP"), one.get("port")))
                if not one.get("nodePort") and kept and kept not in taken:
                    one["nodePort"] = kept
        if _has_health_check(spec) and _has_health_check(old) and not spec.get(HEALTH_CHECK) and old.get(HEALTH_CHECK):
            spec[HEALTH_CHECK] = old[HEALTH_CHECK]

    # Cluster IPs.

    async def _take_addresses(self, request: AdmissionRequest, spec: Object, old: Object) -> None:
        before = [one for one in old.get("clusterIPs") or [] if one != "None"]
        if spec.get("type", "ClusterIP") not in TYPES_WITH_ADDRESS:
            for field in ADDRESS_FIELDS:
                spec.pop(field, None)
            await self._free_addresses_after(request, before)
            return
        wanted = list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))
        if _changes_primary(wanted, old):
            # Validation refuses it: nothing is taken for a write that cannot be.
            return
        families = self._families(request, spec, wanted)
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec["ipFamilies"] = families
        if wanted[:1] == ["None"]:
            spec.update(clusterIP="None", clusterIPs=["None"])
            return
        chosen: list[str] = []
        for position, family in enumerate(families):
            if position >= len(wanted):
                chosen.append(await self._draw_address(request, family))
                continue
            if wanted[position] not in before:
                await self._take_address(request, wanted, position)
            chosen.append(wanted[position])
        spec.update(clusterIP=chosen[0], clusterIPs=chosen)
        await self._free_addresses_after(request, [one for one in before if one not in chosen])

    def _families(self, request: AdmissionRequest, spec: Object, wanted: Sequence[str]) -> list[str]:
        available = self._addresses.families
        headless = wanted[:1] == ["None"]
        asked = list(spec.get("ipFamilies") or [])
        if not asked and wanted and not headless:
            asked = [f"IPv{ipaddress.ip_address(one).version}" for one in wanted if not self._addresses.problem(one)]
        for position, family in enumerate(asked):
            if family not in available and not headless:
                raise _invalid(request, [errors.invalid(f"spec.ipFamilies[{position}]", family, "not configured on this cluster")])
        policy = spec.get("ipFamilyPolicy", "SingleStack")
        if policy == "RequireDualStack" and len(available) < 2 and not headless:
            text = "this cluster is not configured for dual-stack services"
            raise _invalid(request, [errors.invalid("spec.ipFamilyPolicy", policy, text)])
        count = 1 if policy == "SingleStack" else len(available)
        families = asked or available[:1]
        return families + [one for one in available if one not in families][: max(count - len(families), 0)]

    async def _draw_address(self, request: AdmissionRequest, family: str) -> str:
        name = _name(request)
        address, proof = await self._addresses.draw(family, request.namespace, name, dry_run=request.dry_run)
        self._give_back_unless_written(request, address, proof)
        return address

    async def _take_address(self, request: AdmissionRequest, wanted: Sequence[str], position: int) -> None:
        address, name = wanted[position], _name(request)
        problem = self._addresses.problem(address)
        if not problem and request.dry_run:
            problem = "" if await self._addresses.is_free(address) else _taken(address)
        elif not problem:
            proof = await self._addresses.claim(address, request.namespace, name)
            if proof is not None:
                self._give_back_unless_written(request, address, proof)
            elif request.user != LOOPBACK or await self._addresses.proof_of(address, request.namespace, name) is None:
                # What the server itself left behind for a Service of its own it takes up again: it makes that one anew at its start.
                problem = _taken(address)
        if problem:
            raise _invalid(request, [errors.invalid("spec.clusterIPs", list(wanted), problem)])

    def _give_back_unless_written(self, request: AdmissionRequest, address: str, proof: str) -> None:
        async def settle(written: bool) -> None:
            if not written:
                await self._addresses.release(address, proof)

        if not request.dry_run:
            request.settles.append(settle)

    async def _free_addresses_after(self, request: AdmissionRequest, addresses: Sequence[str]) -> None:
        if not addresses or request.dry_run or request.old is None:
            return
        proofs = await self._proofs(request.old, addresses)
        uid = request.old["metadata"]["uid"]

        async def settle(written: bool) -> None:
            spec = await self._spec_of(request.namespace, request.name, uid) if written else None
            if written and not set(addresses) & set((spec or {}).get("clusterIPs") or ()):
                await self._release(proofs)

        request.settles.append(settle)

    async def _free_when_gone(self, request: AdmissionRequest, old: Object) -> None:
        """A deletion may only mark, and an update may remove the last finalizer: the store says which it was."""
        spec, uid = old.get("spec") or {}, old["metadata"]["uid"]
        proofs = await self._proofs(old, [one for one in spec.get("clusterIPs") or [] if one != "None"])

        async def settle(_: bool) -> None:
            if await self._spec_of(request.namespace, name_of(old), uid) is None:
                await self._release(proofs)
                for port in ports_of(spec):
                    await self._ports.release_of(port, uid)

        request.settles.append(settle)

    async def _proofs(self, service: Object, addresses: Sequence[str]) -> dict[str, str]:
        """By which objects a Service has addresses, now: later they may be another's."""
        namespace, name = service["metadata"]["namespace"], name_of(service)
        found = {address: await self._addresses.proof_of(address, namespace, name) for address in addresses}
        return {address: proof for address, proof in found.items() if proof is not None}

    async def _release(self, proofs: dict[str, str]) -> None:
        for address, proof in proofs.items():
            await self._addresses.release(address, proof)

    async def _spec_of(self, namespace: str, name: str, uid: str) -> Object | None:
        """What the store has of that very Service; None when it is gone."""
        try:
            service, _ = await self._api.find("", "services").read(namespace, name)
        except StatusError as error:
            if error.code != 404:
                raise
            return None
        return service.get("spec") or {} if service["metadata"].get("uid") == uid else None

    # Node ports.

    async def _take_ports(self, request: AdmissionRequest, spec: Object, old: Object) -> None:
        before, kind = ports_of(old), spec.get("type", "ClusterIP")
        if not _has_health_check(spec) and spec.get(HEALTH_CHECK) == old.get(HEALTH_CHECK):
            spec.pop(HEALTH_CHECK, None)
        if kind not in TYPES_WITH_PORTS and kind != old.get("type"):
            for one in spec.get("ports") or []:
                if one.get("nodePort") in before:
                    del one["nodePort"]
        if kind in TYPES_WITH_PORTS:
            await self._assign_ports(request, spec, before)
        gone = before - ports_of(spec)
        if not gone or request.dry_run or request.old is None:
            return
        uid = request.old["metadata"]["uid"]

        async def settle(written: bool) -> None:
            left = await self._spec_of(request.namespace, request.name, uid) if written else None
            for port in gone - ports_of(left or {}) if written else ():
                await self._ports.release_of(port, uid)

        request.settles.append(settle)

    async def _assign_ports(self, request: AdmissionRequest, spec: Object, before: set[int]) -> None:
        """What is asked for first, so that nothing drawn stands in its way."""
        assert request.obj is not None
        # A client need not send the uid with a change.
        owner = Owner(request.namespace, _name(request), (request.old or request.obj)["metadata"]["uid"])
        entries = [(one, "nodePort", f"spec.ports[{place}].nodePort") for place, one in enumerate(spec.get("ports") or [])]
        if _has_health_check(spec):
            entries.append((spec, HEALTH_CHECK, f"spec.{HEALTH_CHECK}"))
        has = set(before)
        problems: list[FieldError] = []
        for holder, field, path in entries:
            port = holder.get(field)
            if port and port not in has:
                text = await self._take_port(request, port, owner)
                if text and field != "nodePort":
                    raise StatusError(500, "", f"failed to allocate requested HealthCheck NodePort {port}: {text}")
                if text:
                    problems.append(errors.invalid(path, port, text))
                has.add(port)
        if problems:
            raise _invalid(request, problems)
        # One port number in several protocols has one node port.
        shared = {one.get("port"): one["nodePort"] for one in spec.get("ports") or [] if one.get("nodePort")}
        for holder, field, _ in entries:
            wants = field != "nodePort" or spec["type"] != "LoadBalancer" or spec.get("allocateLoadBalancerNodePorts") is not False
            if not holder.get(field) and wants:
                number = holder.get("port") if field == "nodePort" else None
                holder[field] = shared.get(number) or await self._draw_port(request, owner, has)
                has.add(holder[field])
                if number:
                    shared[number] = holder[field]

    async def _take_port(self, request: AdmissionRequest, port: int, owner: Owner) -> str:
        """Why it cannot be had; nothing when it was taken."""
        problem = self._ports.problem(port)
        if problem:
            return problem
        if request.dry_run:
            return "" if await self._ports.is_free(port, owner) else TAKEN_TEXT
        proof = await self._ports.claim(port, owner)
        if proof is None:
            return TAKEN_TEXT
        self._give_port_back_unless_written(request, port, proof)
        return ""

    async def _draw_port(self, request: AdmissionRequest, owner: Owner, has: set[int]) -> int:
        if request.dry_run:
            return await self._ports.imagined(frozenset(has))
        port, proof = await self._ports.draw(owner)
        self._give_port_back_unless_written(request, port, proof)
        return port

    def _give_port_back_unless_written(self, request: AdmissionRequest, port: int, proof: int) -> None:
        async def settle(written: bool) -> None:
            if not written:
                await self._ports.release(port, proof)

        request.settles.append(settle)

    # Repair.

    async def start(self) -> None:
        """The first repair, and the appointment for the next. What cannot be read or written now is no reason not to serve."""
        try:
            await self.repair()
        except (StatusError, StoreError) as error:
            log.warning("addresses of Services could not be looked over", extra={"fields": {"error": str(error)}})
        self.queue.add_after(REPAIR, REPAIR_EVERY_S)

    async def reconcile(self, key: str) -> None:
        """One repair; see `Controller`."""
        try:
            await self.repair()
        finally:
            # A failed one comes back sooner by itself.
            self.queue.add_after(key, REPAIR_EVERY_S)

    async def repair(self) -> None:
        """Every Service has its addresses and ports for itself, and nothing old is taken for a Service that does not have it.

        What is taken is read before the Services are: what is older than a write may last has its Service by then, or never will.
        """
        addresses, ports, now_s = await self._addresses.all(), await self._ports.held(), self._clock.wall_s()
        services = await self._api.find("", "services").list_objects()
        used = {(one["metadata"]["namespace"], name_of(one)): one.get("spec") or {} for one in services}
        for address in addresses:
            parent = (address.get("spec") or {}).get("parentRef") or {}
            spec = used.get((str(parent.get("namespace")), str(parent.get("name")))) or {}
            age_s = now_s - parse_time(address["metadata"]["creationTimestamp"])
            if parent.get("resource") == "services" and name_of(address) not in (spec.get("clusterIPs") or ()) and age_s > REPAIR_AGE_S:
                await self._addresses.release(name_of(address), address["metadata"]["uid"])
        by_uid = {one["metadata"]["uid"]: one.get("spec") or {} for one in services}
        for port, (held, proof) in ports.items():
            if port not in ports_of(by_uid.get(held.uid) or {}) and now_s - held.since_s > REPAIR_AGE_S:
                await self._ports.release(port, proof)
        known = {name_of(address) for address in addresses}
        for one in services:
            await self._register(one, known, ports.keys())

    async def _register(self, service: Object, addresses: set[str], ports: Collection[int]) -> None:
        """Takes what a Service has and nobody took for it: another server wrote it."""
        metadata, spec = service["metadata"], service.get("spec") or {}
        namespace, name = metadata["namespace"], metadata["name"]
        for address in spec.get("clusterIPs") or []:
            if address not in addresses and not self._addresses.problem(address):
                await self._addresses.claim(address, namespace, name)
        for port in ports_of(spec) - set(ports):
            await self._ports.claim(port, Owner(namespace, name, metadata["uid"]))


def _follow_singular(spec: Object, old: Object) -> None:
    """`clusterIPs` follows a changed `clusterIP` when a client changed that alone, as a merge patch does (upstream's normalizeClusterIPs).

    The other way round nothing is made up, as upstream: who changes the list has to write both.
    """
    before, now = old.get("clusterIP"), spec.get("clusterIP")
    if now and before != now and old.get("clusterIPs") and spec.get("clusterIPs") == old.get("clusterIPs"):
        spec["clusterIPs"] = [now]


def _changes_primary(wanted: Sequence[str], old: Object) -> bool:
    """Whether a Service that has a cluster IP, or none on purpose, would get another one."""
    before = old.get("clusterIPs") or []
    return bool(before and wanted and old.get("type") in TYPES_WITH_ADDRESS and wanted[0] != before[0])


def _has_health_check(spec: Object) -> bool:
    """A load balancer asks each node whether it has endpoints when traffic is to stay on it."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _name(request: AdmissionRequest) -> str:
    assert request.obj is not None
    return name_of(request.obj)


def _taken(address: str) -> str:
    return f"failed to allocate IP {address}: provided IP is already allocated"


def _invalid(request: AdmissionRequest, problems: list[FieldError]) -> StatusError:
    return errors.invalid_object("", "Service", _name(request), problems)
