"""Patch bodies to changes of an object. What a patch does is `resource_api.patch`'s; how its faults are told is here (spec B.10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from resource_api.errors import Cause, Json, Object, StatusError, bad_request
from resource_api.http.body import duplicate_fields, json_object, json_value, yaml_value
from resource_api.http.negotiation import JSON_PATCH, MERGE_PATCH
from resource_api.patch import json_patch, merge, strategic
from resource_api.patch.failure import BadPatchError, DoesNotApplyError, TooManyOperationsError
from resource_api.registry.requests import Context
from resource_api.schema.types import Schema

NOT_APPLICABLE = "the server rejected our request due to an error in our request"
"""How upstream's message of a patch that does not fit reads."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch that can be read; `change` raises StatusError when it does not fit the object."""

    change: Callable[[Object], Object]
    text: str
    faults: list[str] = field(default_factory=list)


def read(kind: str, body: bytes, schema: Schema, ctx: Context) -> Patch:
    """A patch of one of the media types other than apply. Raises StatusError 400, 413."""
    try:
        value = json_value(body)
    except ValueError as error:
        raise bad_request(str(error) if kind == JSON_PATCH else f"error decoding patch: {error}") from error
    faults: list[str] = []
    apply: Callable[[Object], Json]
    if kind == JSON_PATCH:
        operations = _told(lambda: json_patch.parse(value))

        def apply(document: Object) -> Json:
            return json_patch.run(document, operations)

    else:
        if not isinstance(value, dict):
            shown = "array" if isinstance(value, list) else "null" if value is None else type(value).__name__
            raise bad_request(f"error decoding patch: json: cannot unmarshal {shown} into Go value of type map[string]interface {{}}")
        faults = [] if ctx.field_validation == "Ignore" else duplicate_fields(body)

        def apply(document: Object) -> Json:
            return merge.apply(document, value) if kind == MERGE_PATCH else strategic.apply(document, value, schema)

    def change(document: Object) -> Object:
        patched = _told(lambda: apply(document))
        if not isinstance(patched, dict) or not isinstance(patched.get("metadata", {}), dict):
            raise _does_not_apply("the result is no object with metadata")
        return patched

    return Patch(change, body.decode(errors="replace"), faults)


def _told(work: Callable[[], Json]) -> Json:
    """The result, or the Status of what went wrong."""
    try:
        return work()
    except BadPatchError as error:
        raise bad_request(str(error)) from error
    except TooManyOperationsError as error:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {error}") from error
    except DoesNotApplyError as error:
        raise _does_not_apply(str(error)) from error


def _does_not_apply(why: str) -> StatusError:
    """422 in upstream's words, which keep the reason to themselves; the cause that tells it is an addition, and kubectl prints it."""
    return StatusError(422, "Invalid", NOT_APPLICABLE, causes=[Cause("FieldValueInvalid", why, "patch")])


def read_applied(body: bytes, ctx: Context) -> Object:
    """The configuration of a server-side apply. Raises StatusError 400."""
    try:
        if body.lstrip()[:1] == b"{":
            decoded = json_object(body)
            value, faults = decoded.obj, decoded.faults
        else:
            value, faults = yaml_value(body)
    except ValueError as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the patch is no object")
    if faults and ctx.field_validation == "Strict":
        raise bad_request("error strict decoding YAML patch: " + ", ".join(faults))
    if faults and ctx.field_validation == "Warn":
        for fault in faults:
            ctx.warn(fault)
    return value
