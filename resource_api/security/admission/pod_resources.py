"""What a whole pod asks for: containers together, init containers one after the other, sidecars beside everything, overhead on top."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.schema.quantity import NANO, amount, canonical

Amounts = dict[str, str]


def pod_totals(spec: Object, part: str) -> Amounts:
    """`requests` or `limits` of the pod by resource; pod-level values, where given, stand for the sums."""
    total: dict[str, int] = {}
    form: dict[str, str] = {}

    def amounts(container: Object) -> dict[str, int]:
        found = {}
        for name, value in ((container.get("resources") or {}).get(part) or {}).items():
            found[name] = amount(value)
            form.setdefault(name, str(value))
        return found

    for container in spec.get("containers") or ():
        for name, value in amounts(container).items():
            total[name] = total.get(name, 0) + value
    sidecars: dict[str, int] = {}
    highest: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = amounts(container)
        if container.get("restartPolicy") == "Always":
            for name, value in own.items():
                sidecars[name] = sidecars.get(name, 0) + value
            own = dict(sidecars)
        else:
            own = {name: own.get(name, 0) + sidecars.get(name, 0) for name in own | sidecars}
        for name, value in own.items():
            highest[name] = max(highest.get(name, 0), value)
    for name in highest | sidecars:
        total[name] = max(total.get(name, 0) + sidecars.get(name, 0), highest.get(name, 0))
    for name, value in amounts(spec).items():
        total[name] = value
    for name, value in (spec.get("overhead") or {}).items():
        if part == "requests" or name in total:
            total[name] = total.get(name, 0) + amount(value)
            form.setdefault(name, str(value))
    return {name: written(value, form[name]) for name, value in total.items()}


def written(nano: int, like: str) -> str:
    """An amount as a quantity, binary when the quantity it came from was."""
    if like.endswith("i") and nano % (NANO * 1024) == 0:
        return canonical(f"{nano // NANO // 1024}Ki")
    return canonical(f"{nano}n")
