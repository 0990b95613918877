"""What cells of many kinds share: ages, selectors, containers, lists cut short. Pure; `now_s` is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from resource_api.errors import Json, Object
from resource_api.registry.scale import selector_text
from resource_api.schema.times import age

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"

Cells = Callable[[Object, float], Sequence[Json]]
"""An object and the time now, s since 1970, to its row."""

Conditions = Callable[[Object], list[Object]]
"""An object to its row's conditions."""


def created(obj: Object, now_s: float) -> str:
    """The object's age."""
    return age(obj["metadata"].get("creationTimestamp"), now_s)


def name(obj: Object) -> str:
    """The object's name."""
    return str(obj["metadata"].get("name", ""))


def spec(obj: Object) -> Object:
    """`spec`, empty when there is none."""
    return obj.get("spec") or {}


def status(obj: Object) -> Object:
    """`status`, empty when there is none."""
    return obj.get("status") or {}


def labels_text(labels: Mapping[str, str] | None) -> str:
    """`a=b,c=d`, or `<none>`."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector(given: Object | None) -> str:
    """A LabelSelector as text, or `<none>`."""
    return (selector_text(given) or NONE) if given else NONE


def containers(template_spec: Object) -> tuple[str, str]:
    """Names and images of a pod's containers."""
    held = template_spec.get("containers") or []
    return ",".join(str(one.get("name", "")) for one in held), ",".join(str(one.get("image", "")) for one in held)


def template(obj: Object) -> Object:
    """The pod spec of a workload's template."""
    return (spec(obj).get("template") or {}).get("spec") or {}


def shortened(values: Iterable[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    listed = list(values)
    more = len(listed) - most
    return ",".join(listed[:most]) + (f" + {more} more..." if more > 0 else "")


def condition(obj: Object, kind: str) -> Object | None:
    """A condition of the status."""
    for one in status(obj).get("conditions") or []:
        if one.get("type") == kind:
            return dict(one)
    return None
