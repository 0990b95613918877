"""The annotation of client-side `kubectl apply`, and how server-side apply by kubectl takes over from it."""

from __future__ import annotations

import msgspec

from resource_api.errors import Object
from resource_api.patch.comparison import compare
from resource_api.patch.configuration import MisfitError, fields_of
from resource_api.patch.field_sets import FieldSet, difference
from resource_api.patch.shapes import UnidentifiedItemError
from resource_api.schema.types import Schema

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
MANAGER = "kubectl"
"""Only this manager is taken for the same person as client-side apply."""

ANNOTATIONS_BYTES_MAX = 256 * 1024
"""Of all annotations of an object; the refreshed one must fit."""

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def owned(schema: Schema, live: Object, api_version: str) -> FieldSet:
    """The fields client-side apply set last and nobody changed since; nothing without a usable annotation."""
    text = _annotations(live).get(ANNOTATION)
    if not isinstance(text, str) or not text:
        return {}
    try:
        configuration = msgspec.json.decode(text)
        if not isinstance(configuration, dict) or configuration.get("apiVersion") != api_version:
            return {}
        found = compare(schema, configuration, live)
        return difference(difference(fields_of(schema, configuration), found.changed), found.removed)
    except (msgspec.DecodeError, MisfitError, UnidentifiedItemError, RecursionError):
        return {}


def refresh(obj: Object, applied: Object) -> None:
    """Puts the applied configuration into the annotation of an object that has one, in place."""
    annotations = _annotations(obj)
    if not annotations.get(ANNOTATION):
        return
    configuration = {**applied, "metadata": dict(applied["metadata"])}
    own = configuration["metadata"].get("annotations")
    if isinstance(own, dict):
        configuration["metadata"]["annotations"] = {name: value for name, value in own.items() if name != ANNOTATION}
    text = _encode_sorted(configuration).decode() + "\n"
    size = sum(len(name) + len(str(value)) for name, value in annotations.items() if name != ANNOTATION) + len(ANNOTATION) + len(text)
    if size <= ANNOTATIONS_BYTES_MAX:
        annotations[ANNOTATION] = text


def _annotations(obj: Object) -> Object:
    metadata = obj.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}
