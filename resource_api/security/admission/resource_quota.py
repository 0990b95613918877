"""ResourceQuota: what a namespace may use is charged before the write and given back when the write fails.

The usage stands in the quota's own status and is changed by compare-and-swap, so several servers may charge one quota. A quota whose
status does not know its limits yet is counted first. `recalculate` is for a controller: it counts again after deletions and changes of
status. Must be the last plugin, so that only accepted objects are charged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from resource_api.errors import Object, StatusError
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.requests import loopback
from resource_api.schema.kinds import ResourceType
from resource_api.schema.quantity import amount, canonical
from resource_api.security.admission.plugin import PassivePlugin, refused
from resource_api.security.admission.pod_resources import written
from resource_api.security.admission.quota_usage import COMPUTE, Usage, counts_for, missing_from, usage_of
from resource_api.security.lookup import Found, Lookup, cached

GROUP, PLURAL = "", "resourcequotas"
ATTEMPTS_MAX = 20
"""How often a charge is tried against other servers' charges of the same quota."""
CHANGEABLE = frozenset({("", "services", ""), ("", "persistentvolumeclaims", ""), ("", "pods", "resize")})
"""Whose updates can cost more: group, plural, subresource."""


class Countable(Protocol):
    """A resource and how its objects are read."""

    type: ResourceType

    async def list_objects(self, namespace: str = "") -> list[Object]:
        """The newest state of all of a namespace."""


class ResourceQuota(PassivePlugin):
    """See the module.

    Invariant: what `_pending` holds is charged and neither kept nor given back yet.
    """

    name = "ResourceQuota"

    def __init__(self, lookup: Lookup, countable: Callable[[], Iterable[Countable]]) -> None:
        self._lookup = lookup
        self._countable = countable
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}
        self._pending: dict[tuple[str, str], list[Usage]] = {}

    def handles(self, request: AdmissionRequest) -> bool:
        """Everything that is made in a namespace, and changes that can cost more."""
        if not request.type.namespaced:
            return False
        if request.operation == "CREATE":
            return not request.subresource
        place = (request.type.group, request.type.plural, request.subresource)
        return request.operation == "UPDATE" and place in CHANGEABLE

    async def validate(self, request: AdmissionRequest) -> None:
        """Charges every quota that counts the object. Raises 403 when one has not enough left; the others are given back by `settles`."""
        assert request.obj is not None
        cost = usage_of(request.type, request.obj)
        if request.old is not None:
            before = usage_of(request.type, request.old)
            cost = {name: cost.get(name, 0) - before.get(name, 0) for name in cost | before}
        cost = {name: value for name, value in cost.items() if value}
        for quota in cached(self._lookup, GROUP, PLURAL, request.namespace):
            if counts_for(quota, request.type, request.obj):
                await self._charge(request, quota, cost)

    async def _charge(self, request: AdmissionRequest, quota: Object, cost: Usage) -> None:
        limited = (quota.get("spec") or {}).get("hard") or {}
        name, namespace = quota["metadata"]["name"], request.namespace
        if request.type.plural == "pods" and not request.type.group and request.operation == "CREATE":
            assert request.obj is not None
            gaps = missing_from(request.obj, frozenset(limited))
            if gaps:
                raise refused(request, f"failed quota: {name}: {gaps}")
        delta = {what: value for what, value in cost.items() if what in limited}
        if not delta:
            return
        if request.dry_run:
            self._check(request, await self._known(namespace, name), delta)
            return
        await self._change(namespace, name, delta, lambda found: self._check(request, found, delta))
        self._pending.setdefault((namespace, name), []).append(delta)

        async def settle(was_written: bool) -> None:
            self._pending[namespace, name].remove(delta)
            if not was_written:
                await self._change(namespace, name, {what: -value for what, value in delta.items()}, lambda found: None)

        request.settles.append(settle)

    def _check(self, request: AdmissionRequest, quota: Object, delta: Usage) -> None:
        status = quota.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        over = {what for what, value in delta.items() if value > 0 and what in hard}
        over = {what for what in over if amount(used.get(what, "0")) + delta[what] > amount(hard[what])}
        if over:
            asked = {what: written(delta[what], hard[what]) for what in over}
            have = {what: canonical(used.get(what, "0")) for what in over}
            most = {what: canonical(hard[what]) for what in over}
            detail = (
                f"exceeded quota: {quota['metadata']['name']}, requested: {listed(asked)}, used: {listed(have)}, limited: {listed(most)}"
            )
            raise refused(request, detail)

    async def _change(self, namespace: str, name: str, delta: Usage, check: Callable[[Object], None]) -> None:
        """Adds to the usage, after `check` agreed with what is there. A quota that is gone costs nothing."""
        resource: Found = self._lookup.find(GROUP, PLURAL)
        # One change of this process at a time: against each other they would only fail and try again.
        async with self._turns.setdefault((namespace, name), asyncio.Lock()):
            for attempt in range(ATTEMPTS_MAX):
                try:
                    found = await self._known(namespace, name)
                    check(found)
                    used = dict((found.get("status") or {}).get("used") or {})
                    for what, value in delta.items():
                        used[what] = written(max(0, amount(used.get(what, "0")) + value), found["status"]["hard"].get(what, ""))
                    found["status"]["used"] = used
                    await resource.update(loopback(namespace), name, found, subresource="status")
                    return
                except StatusError as error:
                    if error.code == 404 and error.kind == PLURAL:
                        return
                    if error.code != 409 or attempt == ATTEMPTS_MAX - 1:
                        raise

    async def _known(self, namespace: str, name: str) -> Object:
        """The quota as the store has it, its status complete. Raises StatusError 404."""
        quota = await self._lookup.find(GROUP, PLURAL).get_object(namespace, name)
        hard = (quota.get("spec") or {}).get("hard") or {}
        status = quota.get("status") or {}
        if status.get("hard") != hard or not set(hard) <= set(status.get("used") or {}):
            quota["status"] = await self._counted(quota)
        return quota

    async def _counted(self, quota: Object) -> Object:
        """A status counted from the objects that are there, and what is charged for writes on their way."""
        hard = (quota.get("spec") or {}).get("hard") or {}
        namespace, name = quota["metadata"]["namespace"], quota["metadata"]["name"]
        # Read first: what is written while we count is counted twice at worst, and the next count sets it right.
        total = dict.fromkeys(hard, 0)
        for delta in self._pending.get((namespace, name), ()):
            _add(total, delta)
        for resource in self._countable():
            if resource.type.namespaced and "list" in resource.type.verbs and _concerns(resource.type, hard):
                for obj in await resource.list_objects(namespace):
                    if counts_for(quota, resource.type, obj):
                        _add(total, usage_of(resource.type, obj))
        return {"hard": dict(hard), "used": {what: written(max(0, value), hard[what]) for what, value in total.items()}}

    async def recalculate(self, namespace: str, name: str) -> bool:
        """Counts a quota's usage again and writes it when it is another; whether it did. For a controller."""
        resource: Found = self._lookup.find(GROUP, PLURAL)
        async with self._turns.setdefault((namespace, name), asyncio.Lock()):
            for _ in range(ATTEMPTS_MAX):
                try:
                    quota = await resource.get_object(namespace, name)
                    status = await self._counted(quota)
                    if quota.get("status") == status:
                        return False
                    quota["status"] = status
                    await resource.update(loopback(namespace), name, quota, subresource="status")
                    return True
                except StatusError as error:
                    if error.code == 404:
                        self._turns.pop((namespace, name), None)
                        return False
                    if error.code != 409:
                        raise
        return False


def _add(total: Usage, more: Usage) -> None:
    for what, value in more.items():
        if what in total:
            total[what] += value


def _concerns(resource: ResourceType, hard: Object) -> bool:
    """Whether any limit counts objects of this resource."""
    if f"count/{resource.group_resource}" in hard:
        return True
    if resource.group:
        return False
    if resource.plural == "pods":
        return any(what == "pods" or what.startswith(("requests.", "limits.", "hugepages-")) or what in COMPUTE for what in hard)
    if resource.plural == "persistentvolumeclaims":
        return any(what == resource.plural or what == "requests.storage" or ".storageclass.storage.k8s.io/" in what for what in hard)
    return any(what == resource.plural or what.startswith(f"{resource.plural}.") for what in hard)


def listed(values: dict[str, str]) -> str:
    """`cpu=1,pods=2`."""
    return ",".join(f"{name}={values[name]}" for name in sorted(values))
