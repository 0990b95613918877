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
from resource_api.schema.kinds import GroupVersionKind

if TYPE_CHECKING:
    from resource_api.registry.resource import Resource

KIND = GroupVersionKind("autoscaling", "v1", "Scale")


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
    """Sets it, making what is missing on the way."""
    *parents, last = path.strip(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value


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
        return self.of((await self._resource.reader.get(ctx.namespace, name)).object())

    def of(self, obj: Object) -> Object:
        """The Scale of an object."""
        paths, metadata = self._paths, obj["metadata"]
        count = at_path(obj, paths.replicas)
        if count is None and paths.custom:
            raise errors.internal_error(f'the spec replicas field "{paths.replicas}" does not exist')
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
            wanted = change(self.of(obj))
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
        if count is None and self._paths.custom:
            raise errors.bad_request(f'the spec replicas field "{self._paths.replicas}" cannot be empty')
        if count is not None and count < 0:
            problem = errors.invalid("spec.replicas", count, "must be greater than or equal to 0")
            raise errors.invalid_object("autoscaling", "Scale", name, [problem])


def success() -> Object:
    """What `binding` and `eviction` answer."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def not_this(kind: str, body: Object) -> StatusError | None:
    """The body of an action has another kind."""
    given = body.get("kind")
    return errors.bad_request(f"expected {kind}, got {given}") if given and given != kind else None
