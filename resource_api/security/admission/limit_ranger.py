"""LimitRanger: LimitRanges fill in what containers do not ask for and bound what pods and claims ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from resource_api.errors import Object
from resource_api.registry.admission import AdmissionRequest
from resource_api.schema.quantity import amount, canonical
from resource_api.security.admission.plugin import PassivePlugin, is_write_of, refused, several, spec_of
from resource_api.security.admission.pod_resources import pod_totals
from resource_api.security.lookup import Lookup, cached

ANNOTATION = "kubernetes.io/limit-ranger"

Amounts = dict[str, str]
"""Resource name -> quantity."""


class LimitRanger(PassivePlugin):
    """Pods when they are made (and resized), claims when they are made and changed."""

    name = "LimitRanger"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def handles(self, request: AdmissionRequest) -> bool:
        """Pods and PersistentVolumeClaims."""
        if is_write_of(request, "", "pods", "CREATE") or is_write_of(request, "", "pods", "UPDATE", subresource="resize"):
            return True
        return is_write_of(request, "", "persistentvolumeclaims", "CREATE", "UPDATE")

    async def admit(self, request: AdmissionRequest) -> None:
        """Fills in defaults."""
        if request.type.plural == "pods" and request.operation == "CREATE":
            for limit_range in cached(self._lookup, "", "limitranges", request.namespace):
                fill_in(request, limit_range)

    async def validate(self, request: AdmissionRequest) -> None:
        """Raises 403 with every bound that is broken."""
        assert request.obj is not None
        if request.operation == "UPDATE" and request.obj["metadata"].get("deletionTimestamp"):
            return
        for limit_range in cached(self._lookup, "", "limitranges", request.namespace):
            check = pod_problems if request.type.plural == "pods" else claim_problems
            problems = check(request.obj, limit_range)
            if problems:
                raise refused(request, several(problems))


def fill_in(request: AdmissionRequest, limit_range: Object) -> None:
    """The defaults of one LimitRange, where a container says nothing; an annotation tells what was set."""
    limits: Amounts = {}
    requests: Amounts = {}
    for limit in _limits(limit_range, "Container"):
        limits |= limit.get("default") or {}
        requests |= limit.get("defaultRequest") or {}
    said: list[str] = []
    spec = spec_of(request)
    for field, word in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            resources = container["resources"] = container.get("resources") or {}
            for part, defaults, what in (("limits", limits, "limit"), ("requests", requests, "request")):
                missing = sorted(name for name in defaults if name not in (resources.get(part) or {}))
                if missing:
                    resources[part] = {**(resources.get(part) or {}), **{name: canonical(defaults[name]) for name in missing}}
                    said.append(f"{', '.join(missing)} {what} for {word} {container.get('name', '')}")
    if said:
        assert request.obj is not None
        metadata = request.obj["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), ANNOTATION: "LimitRanger plugin set: " + "; ".join(said)}


def _limits(limit_range: Object, kind: str) -> Iterator[Object]:
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit.get("type") == kind:
            yield limit


Check = Callable[[str, str, str, str | None, str | None], str]
"""(kind, resource, bound, request, limit) -> what is wrong, or nothing."""


def at_least(kind: str, resource: str, bound: str, request: str | None, limit: str | None) -> str:
    """`min`."""
    said = f"minimum {resource} usage per {kind} is {bound}"
    if request is None:
        return f"{said}.  No request is specified"
    if amount(request) < amount(bound):
        return f"{said}, but request is {request}"
    return f"{said}, but limit is {limit}" if limit is not None and amount(limit) < amount(bound) else ""


def at_most(kind: str, resource: str, bound: str, request: str | None, limit: str | None) -> str:
    """`max`, of limits."""
    said = f"maximum {resource} usage per {kind} is {bound}"
    if limit is None:
        return f"{said}.  No limit is specified"
    if amount(limit) > amount(bound):
        return f"{said}, but limit is {limit}"
    return f"{said}, but request is {request}" if request is not None and amount(request) > amount(bound) else ""


def requests_at_most(kind: str, resource: str, bound: str, request: str | None, limit: str | None) -> str:
    """`max`, of claims, which have requests only."""
    said = f"maximum {resource} usage per {kind} is {bound}"
    if request is None:
        return f"{said}.  No request is specified"
    return f"{said}, but request is {request}" if amount(request) > amount(bound) else ""


def ratio_at_most(kind: str, resource: str, bound: str, request: str | None, limit: str | None) -> str:
    """`maxLimitRequestRatio`."""
    said = f"{resource} max limit to request ratio per {kind} is {bound}"
    if request is None or amount(request) == 0:
        return f"{said}, but no request is specified or request is 0"
    if limit is None or amount(limit) == 0:
        return f"{said}, but no limit is specified or limit is 0"
    # Compared without a division: limit / request > bound.
    if amount(limit) * 10**9 <= amount(bound) * amount(request):
        return ""
    return f"{said}, but provided ratio is {amount(limit) / amount(request):f}"


def _bounds(limit: Object, requests: Amounts, limits: Amounts, checks: Sequence[tuple[str, Check]]) -> list[str]:
    kind = limit["type"]
    found = (
        check(kind, name, canonical(bound), requests.get(name), limits.get(name))
        for field, check in checks
        for name, bound in (limit.get(field) or {}).items()
    )
    return [text for text in found if text]


OF_PODS: tuple[tuple[str, Check], ...] = (("min", at_least), ("max", at_most), ("maxLimitRequestRatio", ratio_at_most))
OF_CLAIMS: tuple[tuple[str, Check], ...] = (("min", at_least), ("max", requests_at_most))


def pod_problems(pod: Object, limit_range: Object) -> list[str]:
    """What of one LimitRange a pod breaks."""
    spec = pod.get("spec") or {}
    problems: list[str] = []
    for limit in _limits(limit_range, "Container"):
        for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
            resources = container.get("resources") or {}
            problems += _bounds(limit, resources.get("requests") or {}, resources.get("limits") or {}, OF_PODS)
    for limit in _limits(limit_range, "Pod"):
        problems += _bounds(limit, pod_totals(spec, "requests"), pod_totals(spec, "limits"), OF_PODS)
    return problems


def claim_problems(claim: Object, limit_range: Object) -> list[str]:
    """What of one LimitRange a PersistentVolumeClaim breaks."""
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return [text for limit in _limits(limit_range, "PersistentVolumeClaim") for text in _bounds(limit, requests, {}, OF_CLAIMS)]
