"""What every plugin here begins with: passes that do nothing, and how a refusal is worded."""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import Cause, Object, StatusError, forbidden
from resource_api.registry.admission import AdmissionRequest


class PassivePlugin:
    """A plugin that changes and refuses nothing."""

    name = ""

    def handles(self, request: AdmissionRequest) -> bool:
        """See `registry.admission.Plugin`."""
        return True

    async def admit(self, request: AdmissionRequest) -> None:
        """See `registry.admission.Plugin`."""

    async def validate(self, request: AdmissionRequest) -> None:
        """See `registry.admission.Plugin`."""


def refused(request: AdmissionRequest, detail: str, causes: Sequence[Cause] = ()) -> StatusError:
    """403 naming the object, by its generateName while it has no name."""
    name = request.name
    if not name and request.obj is not None:
        name = str((request.obj.get("metadata") or {}).get("generateName") or "")
    return forbidden(request.type.group, request.type.plural, name, detail, causes)


def is_write_of(request: AdmissionRequest, group: str, plural: str, *operations: str, subresource: str = "") -> bool:
    """Whether the request is one of these operations on that resource."""
    return (
        request.type.plural == plural
        and request.type.group == group
        and request.subresource == subresource
        and request.operation in operations
    )


def spec_of(request: AdmissionRequest) -> Object:
    """The new object's spec, made when it is missing."""
    assert request.obj is not None
    spec: Object = request.obj.get("spec") or {}
    request.obj["spec"] = spec
    return spec


def annotation(obj: Object, name: str) -> str | None:
    """An annotation's value, or None."""
    value = ((obj.get("metadata") or {}).get("annotations") or {}).get(name)
    return None if value is None else str(value)


def several(texts: Sequence[str]) -> str:
    """Sentences as upstream joins them: one alone, several in brackets, none twice."""
    unique = list(dict.fromkeys(texts))
    return unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"


def newest(objects: Sequence[Object]) -> Object | None:
    """The object made last, by name among those of one second; None without any."""
    ordered = sorted(objects, key=lambda obj: str(obj["metadata"]["name"]))
    return max(ordered, key=lambda obj: str(obj["metadata"].get("creationTimestamp") or ""), default=None)
