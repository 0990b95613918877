"""Patch bodies: what a request's bytes ask for, and the Status of everything that can go wrong (spec B.10, B.6).

`decode_patch` reads a JSON, merge or strategic merge patch once; the `Patch` is then called with the object as often as others were
faster. `decode_configuration` reads a body of server-side apply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from resource_api.errors import Json, Object, StatusError, bad_request, shown
from resource_api.http.body import duplicate_fields, json_value
from resource_api.http.negotiation import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from resource_api.patch import json_patch, merge, strategic
from resource_api.patch.failure import BadPatchError, DoesNotApplyError, TooManyOperationsError, UnmergeableError
from resource_api.registry.requests import FieldValidation
from resource_api.schema import depth
from resource_api.schema.json_values import go_text, whole_numbers
from resource_api.schema.types import ANY, Schema
from resource_api.schema.yaml_values import yaml_value


class Patch:
    """A decoded patch; called with an object it answers the patched one, sharing nothing."""

    def __init__(self, change: Callable[[Object], Json], body: Json, faults: Sequence[str], *, strategic: bool) -> None:
        self._change = change
        self._body = body
        self._strategic = strategic
        self.faults = list(faults)
        """What strict decoding holds against the body: duplicate fields."""

    @property
    def text(self) -> str:
        """The patch in messages about what it leads to."""
        return go_text(self._body) if self._strategic else shown(self._body)

    def __call__(self, current: Object) -> Object:
        """The patched copy, whose metadata may be anything or missing. Raises StatusError."""
        try:
            result = self._change(current)
        except BadPatchError as error:
            raise bad_request(str(error)) from error
        except DoesNotApplyError as error:
            raise _rejected() from error
        except UnmergeableError as error:
            # They are the client's faults, but clients know them by upstream's code.
            raise StatusError(500, "", str(error)) from error
        except RecursionError as error:
            raise bad_request(f"error decoding patch: {depth.TEXT}") from error
        if not isinstance(result, dict):
            raise _rejected()
        if depth.is_too_deep(result):
            raise bad_request(f"error decoding patch: {depth.TEXT}")
        return result


def _rejected() -> StatusError:
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", has_details=True)


def decode_patch(kind: str, body: bytes, schema: Schema | None, validation: FieldValidation = "Ignore", *, custom: bool = False) -> Patch:
    """Reads a patch that is no apply; `kind` is `negotiation.patch_type`'s. Raises StatusError 400, 413.

    Whole floats become integers where upstream reads the patch as a value without types: for `custom` kinds and strategic merges.
    """
    try:
        untyped = custom or kind == STRATEGIC_PATCH
        value = json_value(body, as_written=not untyped)
    except (ValueError, OverflowError) as error:
        raise bad_request(str(error) if kind == STRATEGIC_PATCH else f"error decoding patch: {error}") from error
    if untyped:
        value = whole_numbers(value)
    faults = duplicate_fields(body) if validation != "Ignore" else []
    if kind == JSON_PATCH:
        try:
            operations = json_patch.parse([] if value is None else value)
        except TooManyOperationsError as error:
            raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {error}") from error
        except BadPatchError as error:
            raise bad_request(f"error decoding patch: {error}") from error
        faults = [f"json patch {fault}" for fault in faults]
        return Patch(lambda current: json_patch.run(current, operations), value, faults, strategic=False)
    if value is None:
        if kind == MERGE_PATCH:
            raise bad_request("Invalid JSON Patch")
        value = {}
    if not isinstance(value, dict):
        text = f"json: cannot unmarshal {_json_kind(value)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: {text}" if kind == MERGE_PATCH else text)
    if kind == MERGE_PATCH:
        return Patch(lambda current: merge.apply(current, value), value, faults, strategic=False)
    assert kind == STRATEGIC_PATCH, kind
    shape = schema if schema is not None else ANY
    return Patch(lambda current: strategic.apply(current, value, shape), value, faults, strategic=True)


def decode_configuration(body: bytes, *, validation: FieldValidation = "Ignore", warn: Callable[[str], None] = lambda _: None) -> Object:
    """The object of an apply request, YAML or JSON. Raises StatusError 400; under Strict also for keys that stand twice."""
    faults: Sequence[str]
    try:
        if body.lstrip()[:1] == b"{":
            value, faults = _as_json(body)
        else:
            value, faults = yaml_value(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if value is None and body.strip():
        value = {}
    if not isinstance(value, dict):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {_json_kind(value)} into Go value of type map[string]interface {{}}"
        )
    if value.get("metadata") is not None and not isinstance(value["metadata"], dict):
        text = f"json: cannot unmarshal {_json_kind(value['metadata'])} into Go struct field .metadata of type v1.ObjectMeta"
        raise bad_request(f"error decoding patch: {text}")
    if faults and validation == "Strict":
        raise bad_request(f"error strict decoding patch: {', '.join(faults)}")
    if faults and validation == "Warn":
        for fault in faults:
            warn(fault)
    return value


def _as_json(body: bytes) -> tuple[Json, Sequence[str]]:
    """A body that begins like JSON; YAML in flow style begins so too."""
    try:
        return whole_numbers(json_value(body)), duplicate_fields(body)
    except (ValueError, OverflowError):
        return yaml_value(body)


def _json_kind(value: Json) -> str:
    return {list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(value), "number")
