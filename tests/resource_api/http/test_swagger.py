"""OpenAPI v2 as protobuf: read back with google.protobuf and the messages as gnostic defines them, nothing is lost or moved."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from resource_api.http.openapi import OpenApi
from resource_api.http.openapi_v2 import swagger
from resource_api.schema import builtin
from resource_api.schema.protobuf.swagger import encoded
from resource_api.schema.protobuf.wire import ProtobufError
from tests.resource_api.http.test_openapi import SCHEMAS, WIDGETS

MESSAGES = """
AdditionalPropertiesItem: Schema schema = 1; bool boolean = 2
Any: string yaml = 2
ApiKeySecurity: string type = 1; string name = 2; string in = 3; string description = 4; NamedAny* vendor_extension = 5
BodyParameter: string description = 1; string name = 2; string in = 3; bool required = 4; Schema schema = 5
Definitions: NamedSchema* additional_properties = 1
Document: string swagger = 1; Info info = 2; Paths paths = 8; Definitions definitions = 9; SecurityRequirement* security = 12
Document: SecurityDefinitions security_definitions = 13; NamedAny* vendor_extension = 16
Info: string title = 1; string version = 2; string description = 3
ItemsItem: Schema* schema = 1
NamedAny: string name = 1; Any value = 2
NamedPathItem: string name = 1; PathItem value = 2
NamedResponseValue: string name = 1; ResponseValue value = 2
NamedSchema: string name = 1; Schema value = 2
NamedSecurityDefinitionsItem: string name = 1; SecurityDefinitionsItem value = 2
NamedStringArray: string name = 1; StringArray value = 2
NonBodyParameter: QueryParameter query = 3; PathParameter path = 4
Operation: string* tags = 1; string description = 3; string operation_id = 5; string* produces = 6; string* consumes = 7
Operation: ParametersItem* parameters = 8; Responses responses = 9; NamedAny* vendor_extension = 13
Parameter: BodyParameter body = 1; NonBodyParameter non_body = 2
ParametersItem: Parameter parameter = 1
PathItem: Operation get = 2; Operation put = 3; Operation post = 4; Operation delete = 5; Operation patch = 8
PathItem: ParametersItem* parameters = 9
PathParameter: bool required = 1; string in = 2; string description = 3; string name = 4; string type = 5; bool unique_items = 19
Paths: NamedPathItem* path = 2
Properties: NamedSchema* additional_properties = 1
QueryParameter: bool required = 1; string in = 2; string description = 3; string name = 4; string type = 6; bool unique_items = 20
Response: string description = 1; SchemaItem schema = 2
ResponseValue: Response response = 1
Responses: NamedResponseValue* response_code = 1
Schema: string _ref = 1; string format = 2; string title = 3; string description = 4; Any default = 5; double multiple_of = 6
Schema: double maximum = 7; bool exclusive_maximum = 8; double minimum = 9; bool exclusive_minimum = 10; int64 max_length = 11
Schema: int64 min_length = 12; string pattern = 13; int64 max_items = 14; int64 min_items = 15; bool unique_items = 16
Schema: int64 max_properties = 17; int64 min_properties = 18; string* required = 19; Any* enum = 20
Schema: AdditionalPropertiesItem additional_properties = 21; TypeItem type = 22; ItemsItem items = 23; Properties properties = 25
Schema: bool read_only = 27; Any example = 30; NamedAny* vendor_extension = 31
SchemaItem: Schema schema = 1
SecurityDefinitions: NamedSecurityDefinitionsItem* additional_properties = 1
SecurityDefinitionsItem: ApiKeySecurity api_key_security = 2
SecurityRequirement: NamedStringArray* additional_properties = 1
StringArray: string* value = 1
TypeItem: string* value = 1
"""
"""What of openapiv2/OpenAPIv2.proto of google/gnostic our documents use; `*` is `repeated`. Other numbers are an error below."""
CHOICES = (
    "AdditionalPropertiesItem",
    "NonBodyParameter",
    "Parameter",
    "ParametersItem",
    "ResponseValue",
    "SchemaItem",
    "SecurityDefinitionsItem",
)
"""Messages that are a `oneof`: also false is there when it is set."""


def _document_class() -> Any:
    """In a pool of its own: the names are others' too."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="v2.proto", package="openapi.v2", syntax="proto3")
    messages: dict[str, descriptor_pb2.DescriptorProto] = {}
    for line in MESSAGES.strip().splitlines():
        name, _, members = line.partition(": ")
        if name not in messages:
            messages[name] = file.message_type.add(name=name)
            if name in CHOICES:
                messages[name].oneof_decl.add(name="oneof")
        message = messages[name]
        for member in members.split("; "):
            kind, called, _, number = member.split()
            made = message.field.add(name=called, number=int(number))
            made.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            if name in CHOICES:
                made.oneof_index = 0
            scalar = kind.rstrip("*").upper()
            if scalar in ("STRING", "BOOL", "DOUBLE", "INT64"):
                made.type = field.Type.Value(f"TYPE_{scalar}")
            else:
                made.type, made.type_name = field.TYPE_MESSAGE, f".openapi.v2.{kind.rstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("openapi.v2.Document"))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _plain(message: Any) -> Any:
    """A message as the JSON it was made of: maps are maps again, wrappers of one value that value."""
    kind = message.DESCRIPTOR.name
    if kind == "Any":
        return yaml.safe_load(message.yaml)
    if kind in ("TypeItem", "ItemsItem"):
        (only,) = getattr(message, message.DESCRIPTOR.fields[0].name)
        return only if isinstance(only, str) else _plain(only)
    if kind == "StringArray":
        return list(message.value)
    if kind in ("Definitions", "Properties", "Paths", "Responses", "SecurityDefinitions", "SecurityRequirement"):
        return {entry.name: _plain(entry.value) for entry in getattr(message, message.DESCRIPTOR.fields[0].name)}
    fields = {descriptor.name: value for descriptor, value in message.ListFields()}
    if kind in CHOICES:
        (only,) = fields.values()
        return only if isinstance(only, bool) else _plain(only)
    found = {entry.name: _plain(entry.value) for entry in fields.pop("vendor_extension", ())}
    for name, value in fields.items():
        if isinstance(value, str | bool | int | float):
            plain: Any = value
        elif hasattr(value, "DESCRIPTOR"):
            plain = _plain(value)
        else:
            plain = [each if isinstance(each, str) else _plain(each) for each in value]
        found["$ref" if name == "_ref" else _camel(name)] = plain
    return found


def _unknown(message: Any) -> bool:
    """Whether there are bytes that no field of the message has: reading and writing without them makes it shorter."""
    size = message.ByteSize()
    message.DiscardUnknownFields()
    return bool(message.ByteSize() != size)


def _read(value: Any) -> Any:
    message = _document_class().FromString(encoded(value))
    assert not _unknown(message)
    return _plain(message)


@pytest.mark.slow
def test_whole_document_comes_back_as_it_was():
    """Paths, definitions, vendor extensions: every built-in kind, and a custom one."""
    document = swagger(OpenApi([*builtin.resource_types(), WIDGETS], SCHEMAS).built())
    read = _read(document)
    assert read["definitions"].keys() == document["definitions"].keys()
    for name, definition in document["definitions"].items():
        assert read["definitions"][name] == definition, name
    assert json.dumps(read, sort_keys=True) == json.dumps(document, sort_keys=True)


def test_every_limit_of_a_schema_has_its_place():
    """Of custom kinds, which may say what no built-in one does; what the message does not know is left out."""
    limits = {
        "title": "T",
        "default": {"a": [1, "yes", "1.0", None, "\x7f \x85 \u2028 \ufeff 'é😀'"]},
        "multipleOf": 0.5,
        "maximum": 10.0,
        "exclusiveMaximum": True,
        "minimum": -1.0,
        "exclusiveMinimum": True,
        "maxLength": 300,
        "minLength": 1,
        "pattern": "^a:b$",
        "maxItems": 1 << 40,
        "minItems": 2,
        "uniqueItems": True,
        "maxProperties": 3,
        "minProperties": 4,
        "required": ["a", "b"],
        "enum": ["a", 1, True],
        "readOnly": True,
        "example": "on",
        "items": {"$ref": "#/definitions/B", "description": "Beside."},
        "type": "array",
        "x-kubernetes-validations": [{"rule": "self > 1"}],
    }
    definitions = {
        "A": limits | {"externals": 1},
        "B": {"properties": {"c": {}}, "type": "object", "additionalProperties": False},
        "C": {"additionalProperties": {"type": "string"}},
    }
    assert _read({"swagger": "2.0", "definitions": definitions})["definitions"] == definitions | {"A": limits}


def test_parameter_in_no_known_place_is_refused():
    """No document of ours has one; it would be lost silently."""
    with pytest.raises(ProtobufError, match="a parameter in 'cookie' is not known"):
        encoded({"paths": {"/a": {"parameters": [{"name": "a", "in": "cookie"}]}}})
