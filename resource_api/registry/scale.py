"""The `scale` subresource: an autoscaling/v1 Scale as another face of the object's replica count (spec B.12, C.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from resource_api import errors
from resource_api.errors import Json, Object, StatusError
from resource_api.go_numbers import encode_written
from resource_api.registry.objects import name_of
from resource_api.registry.preparation import unfit_patch
from resource_api.registry.requests import Context
from resource_api.schema.builtin import schema_of
from resource_api.schema.decoding import DecodeError, decode
from resource_api.schema.json_values import go_text, go_type
from resource_api.schema.kinds import GroupVersionKind

if TYPE_CHECKING:
    from resource_api.registry.resource import Resource

KIND = GroupVersionKind("autoscaling", "v1", "Scale")

UNSET = -(2**31)
"""The count of a custom object that has none, as a change of its scale sees it; upstream's mark."""


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the numbers stand; dotted paths without brackets, as a CRD names them: `.spec.replicas`."""

    replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    selector: str = ""
    """Of a selector that is text already (custom kinds); built-ins' is made from `spec.selector`."""
    custom: bool = False


def at_path(obj: Object, path: str) -> Json:
    """The value at a dotted path, None when there is none."""
    value: Json = obj
    for part in path.strip(".").split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def put_at_path(obj: Object, path: str, value: Json) -> None:
    """Sets it, making what is missing on the way, or is null."""
    *parents, last = path.strip(".").split(".")
    for part in parents:
        if obj.get(part) is None:
            obj[part] = {}
        obj = obj[part]
    obj[last] = value


def accessor_fault(obj: Object, path: str, wanted: type[int] | type[str]) -> str:
    """Why there is neither nothing nor a value of the type at a dotted path; empty when there is."""
    value: Json = obj
    walked = ""
    for part in path.strip(".").split("."):
        if not isinstance(value, dict):
            return f"{walked} accessor error: {go_text(value)} is of the type {go_type(value)}, expected map[string]interface{{}}"
        value, walked = value.get(part), f"{walked}.{part}"
        if value is None:
            return ""
    if type(value) is wanted:
        return ""
    return f"{walked} accessor error: {go_text(value)} is of the type {go_type(value)}, expected {'int64' if wanted is int else 'string'}"


OPERATORS = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}


def selector_text(selector: Object) -> str:
    """A LabelSelector as a query has it, keys in order: `app=web,tier in (a,b)`."""
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or []:
        values = ",".join(sorted(one.get("values") or []))
        terms.append((one["key"], OPERATORS[one["operator"]].format(one["key"], values)))
    return ",".join(text for _, text in sorted(terms))


class ScaleView:
    """Reads and writes the scale of one resource's objects."""

    def __init__(self, resource: Resource, paths: ScalePaths) -> None:
        self._resource = resource
        self._paths = paths

    async def get(self, ctx: Context, name: str) -> Object:
        """Raises StatusError 404, and 500 for a custom object without a count."""
        obj = (await self._resource.reader.get(ctx.namespace, name)).object()
        found = self.of(obj)
        if self._is_unset(obj):
            raise errors.internal_error(f'the spec replicas field "{self._paths.replicas}" does not exist')
        return found

    def _is_unset(self, obj: Object) -> bool:
        return self._paths.custom and at_path(obj, self._paths.replicas) is None

    def of(self, obj: Object) -> Object:
        """The Scale of an object; a count that is not there is none. Raises StatusError 500 for a custom one with values of other types."""
        paths, metadata = self._paths, obj["metadata"]
        if paths.custom:
            self._check_types(obj)
        count = at_path(obj, paths.replicas)
        kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        status: Object = {"replicas": at_path(obj, paths.status_replicas) or 0}
        selector = self._selector(obj)
        if selector:
            status["selector"] = selector
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {field: metadata[field] for field in kept if field in metadata},
            "spec": {"replicas": count} if count else {},
            "status": status,
        }

    def _check_types(self, obj: Object) -> None:
        paths = self._paths
        for path, wanted in ((paths.replicas, int), (paths.status_replicas, int), (paths.selector, str)):
            fault = accessor_fault(obj, path, wanted) if path else ""
            if fault:
                raise StatusError(500, "", fault)

    def _selector(self, obj: Object) -> str:
        if self._paths.custom:
            return str(at_path(obj, self._paths.selector) or "") if self._paths.selector else ""
        given = (obj.get("spec") or {}).get("selector") or {}
        if "matchLabels" not in given and "matchExpressions" not in given:
            given = {"matchLabels": given}
        return selector_text(given)

    async def update(self, ctx: Context, name: str, scale: Object) -> Object:
        """PUT: the Scale as it is to be. Raises StatusError."""
        if name_of(scale) != name:
            raise errors.bad_request(f"the name of the object ({name_of(scale)}) does not match the name on the URL ({name})")
        return await self._write(ctx, name, lambda _: scale, text="")

    async def patch(
        self, ctx: Context, name: str, change: Callable[[Object], Object], *, patch_text: str, strategic: bool = False
    ) -> Object:
        """PATCH of the Scale. Raises StatusError; 422 when what comes of it is no Scale."""

        def fitting(scale: Object) -> Object:
            wanted = change(scale)
            shown = patch_text if strategic else msgspec.json.encode(wanted, order="sorted", enc_hook=encode_written).decode()
            try:
                decode(KIND, schema_of(KIND), wanted)
            except StatusError as error:
                cause = error.__cause__
                if not isinstance(cause, DecodeError):
                    raise
                raise unfit_patch(shown, cause.converted if strategic else str(cause)) from error
            return wanted

        return await self._write(ctx, name, fitting, text=patch_text)

    async def _write(self, ctx: Context, name: str, change: Callable[[Object], Object], *, text: str) -> Object:
        def scaled(obj: Object) -> Object:
            before = self.of(obj)
            if self._is_unset(obj):
                before["spec"] = {"replicas": UNSET}
            wanted = change(before)
            self._check(wanted, name)
            put_at_path(obj, self._paths.replicas, (wanted.get("spec") or {}).get("replicas") or 0)
            version = (wanted.get("metadata") or {}).get("resourceVersion")
            if version:
                obj["metadata"]["resourceVersion"] = version
            return obj

        return self.of(await self._resource.patch(ctx, name, scaled, patch_text=text, subresource="scale"))

    def _check(self, scale: Object, name: str) -> None:
        if scale.get("kind", "Scale") != "Scale":
            raise errors.bad_request(f"expected a Scale, got {scale.get('kind')}")
        decode(KIND, schema_of(KIND), scale)
        count = (scale.get("spec") or {}).get("replicas")
        if self._paths.custom:
            # Clients leave a zero out, so nothing is zero; what the count may be is the object's own rules'.
            if count == UNSET:
                raise errors.bad_request(f'the spec replicas field "{self._paths.replicas}" cannot be empty')
        elif count is not None and count < 0:
            problem = errors.invalid("spec.replicas", count, "must be greater than or equal to 0")
            raise errors.invalid_object("autoscaling", "Scale", name, [problem])


def success() -> Object:
    """What `binding` and `eviction` answer."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def not_this(kind: str, body: Object) -> StatusError | None:
    """The body of an action has another kind."""
    given = body.get("kind")
    return errors.bad_request(f"expected {kind}, got {given}") if given and given != kind else None
