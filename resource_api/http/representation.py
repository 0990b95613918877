"""Objects and lists as the client wants to see them: JSON, YAML, protobuf, Table, PartialObjectMetadata.

Owns the shapes; what is in a Table's cells is the printers' (`Rows`). Bytes that are stored as JSON and wanted as JSON never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import yaml

from resource_api.errors import Json, Object, bad_request, invalid, not_acceptable
from resource_api.http.messages import JSON, PROTOBUF, YAML, Request
from resource_api.http.negotiation import SUPPORTED, Media, Wanted
from resource_api.schema.kinds import ResourceType
from resource_api.schema.printer_columns import Rows
from resource_api.schema.yaml_values import is_plain_text

encode_json = msgspec.json.Encoder().encode

EncodeEnvelope = Callable[[Object], bytes]
"""An object to the protobuf envelope; raises ValueError for kinds that have no protobuf form."""


class _YamlDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # the C one where it was built
    """Safe, writing parts that are one object in memory twice instead of as an alias."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represented(dumper: Any, text: str) -> yaml.Node:
    # Go reads more of plain scalars as numbers and booleans than this library does: `y`, `1e3`.
    node: yaml.Node = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain_text(text) else '"')
    return node


_YamlDumper.add_representer(str, _represented)


def encode_yaml(value: Json) -> bytes:
    """As Go's YAML libraries lay it out, members by name."""
    text: str = yaml.dump(value, Dumper=_YamlDumper, sort_keys=True, allow_unicode=True, width=1 << 20)
    return text.encode()


class Representations:
    """Encodes answers. `protobuf` and `rows` are the schema's and the printers'."""

    def __init__(self, protobuf: EncodeEnvelope, rows: Rows) -> None:
        self._protobuf = protobuf
        self._rows = rows

    def encode(self, obj: Object, media: Media, *, pretty: bool = False) -> tuple[bytes, str]:
        """Bytes and content type; what has no protobuf form goes out as JSON, which every client takes."""
        if media == "protobuf":
            try:
                return self._protobuf(obj), PROTOBUF
            except ValueError:
                return encode_json(obj), JSON
        if media == "yaml":
            return encode_yaml(obj), YAML
        body = encode_json(obj)
        return (msgspec.json.format(body, indent=2) if pretty else body), JSON

    def one(self, type: ResourceType, obj: Object, wanted: Wanted, request: Request) -> Object:
        """An object in the wanted shape. Raises StatusError 400 and 406."""
        if not wanted.target:
            return obj
        if not isinstance(obj.get("metadata"), dict) or wanted.target == "PartialObjectMetadataList":
            raise not_acceptable([media for media, _ in SUPPORTED])
        if wanted.target == "Table":
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return self.table(type, [obj], metadata, wanted, include_object(request))
        return partial(obj, wanted.target_version)

    def many(self, type: ResourceType, objects: Sequence[Object], metadata: Object, wanted: Wanted, request: Request) -> Object:
        """A list in the wanted shape. Raises StatusError 400 and 406."""
        if wanted.target == "Table":
            return self.table(type, objects, metadata, wanted, include_object(request))
        if wanted.target == "PartialObjectMetadata":
            raise not_acceptable([media for media, _ in SUPPORTED])
        if wanted.target:
            items = [partial(obj, wanted.target_version) for obj in objects]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": f"meta.k8s.io/{wanted.target_version}",
                "metadata": metadata,
                "items": items,
            }
        if type.custom:
            return {"apiVersion": type.api_version, "items": list(objects), "kind": type.list_kind, "metadata": metadata}
        bare = [{name: value for name, value in obj.items() if name not in ("apiVersion", "kind")} for obj in objects]
        return {"kind": type.list_kind, "apiVersion": type.api_version, "metadata": metadata, "items": bare}

    def table(
        self, type: ResourceType, objects: Sequence[Object], metadata: Object, wanted: Wanted, include: str, *, columns: bool = True
    ) -> Object:
        """A Table of objects. Without `columns` those are null, as in all events of a watch but the first."""
        printed = self._rows(type, objects)
        rows: list[Object] = []
        for obj, (cells, conditions) in zip(objects, printed.rows, strict=True):
            row: Object = {"cells": cells}
            if conditions:
                row["conditions"] = conditions
            row["object"] = obj if include == "Object" else None if include == "None" else partial(obj, wanted.target_version)
            rows.append(row)
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{wanted.target_version}",
            "metadata": metadata,
            "columnDefinitions": printed.columns if columns else None,
            "rows": rows,
        }


def include_object(request: Request) -> str:
    """`includeObject` of a Table. Raises StatusError 400."""
    asked = request.parameter("includeObject") if request.raw_query else ""
    if asked not in ("", "Metadata", "Object", "None"):
        problem = invalid("includeObject", asked, "must be 'Metadata', 'Object', 'None', or empty")
        raise bad_request(f"Unable to convert to Table as requested: {problem}")
    return asked or "Metadata"


def partial(obj: Object, version: str) -> Object:
    """A PartialObjectMetadata of the object; parts are shared with it."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj.get("metadata") or {}}


def wants_pretty(request: Request) -> bool:
    """Whether JSON is to be indented: asked for, or a person's tool asks."""
    if request.raw_query and "pretty" in request.query:
        return request.parameter("pretty") in ("1", "t", "T", "true", "TRUE", "True")
    return request.headers.get("User-Agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))
