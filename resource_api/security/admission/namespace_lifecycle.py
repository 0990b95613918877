"""NamespaceLifecycle: nothing is made in a namespace that is missing or going, and three namespaces stay for ever."""

from __future__ import annotations

from raftkv.clock import Clock
from resource_api.errors import Cause, Object, not_found
from resource_api.registry.admission import AdmissionRequest
from resource_api.security.admission.plugin import PassivePlugin, refused
from resource_api.security.lookup import Lookup, cached_or_newest, get_or_none

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
DISTRUST_CACHE_S = 30.0
"""How long after a namespace was deleted here its state is read from the store: the cache may still have it active."""


class NamespaceLifecycle(PassivePlugin):
    """Works in the first pass, so that a missing namespace is told before anything that is wrong with the object."""

    name = "NamespaceLifecycle"

    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock
        self._deleted: dict[str, float] = {}

    def handles(self, request: AdmissionRequest) -> bool:
        """Writes in namespaces, and deletions of namespaces."""
        if request.type.group == "authorization.k8s.io":
            return False
        return request.operation == "DELETE" if _is_namespace(request) else request.type.namespaced and request.operation != "DELETE"

    async def admit(self, request: AdmissionRequest) -> None:
        """Raises 404 or 403."""
        if _is_namespace(request):
            if request.name in IMMORTAL:
                raise refused(request, "this namespace may not be deleted")
            self._deleted[request.name] = self._clock.monotonic_s() + DISTRUST_CACHE_S
            return
        namespace = await self._namespace(request.namespace)
        if namespace is None:
            raise not_found("", "namespaces", request.namespace)
        if request.operation == "CREATE" and (namespace.get("status") or {}).get("phase") == "Terminating":
            cause = Cause("NamespaceTerminating", f"namespace {request.namespace} is being terminated", "metadata.namespace")
            detail = f"unable to create new content in namespace {request.namespace} because it is being terminated"
            raise refused(request, detail, [cause])

    async def _namespace(self, name: str) -> Object | None:
        until_s = self._deleted.get(name)
        if until_s is None:
            return await cached_or_newest(self._lookup, "", "namespaces", "", name)
        if until_s <= self._clock.monotonic_s():
            del self._deleted[name]
        return await get_or_none(self._lookup, "", "namespaces", "", name)


def _is_namespace(request: AdmissionRequest) -> bool:
    return request.type.plural == "namespaces" and request.type.group == ""
