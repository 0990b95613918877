"""The private descriptor pool that every message class of raftkv lives in.

protobuf registers generated classes in one pool per process, and any two Python etcd clients define
`mvccpb.KeyValue` there: the second import fails. So raftkv embeds its descriptor set and builds its classes in
a pool of its own, which nothing else can collide with.
"""

from __future__ import annotations

import pathlib
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

POOL = descriptor_pool.DescriptorPool()


def _load() -> None:
    content = pathlib.Path(__file__).with_name("descriptors.binpb").read_bytes()
    files = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(content).file}
    added: set[str] = set()

    def add(name: str) -> None:
        if name in added:
            return
        added.add(name)
        for dependency in files[name].dependency:
            add(dependency)
        POOL.AddSerializedFile(files[name].SerializeToString())

    for name in files:
        add(name)


_load()

if hasattr(message_factory, "GetMessageClass"):
    _message_class = message_factory.GetMessageClass
else:  # protobuf before 4.22
    _message_class = message_factory.MessageFactory(POOL).GetPrototype  # type: ignore[attr-defined]


def bind(namespace: dict[str, Any], proto: str) -> None:
    """Puts the message classes, enum wrappers and enum values of one .proto file into a module's globals."""
    from google.protobuf.internal import enum_type_wrapper

    file = POOL.FindFileByName(proto)
    for name, message in file.message_types_by_name.items():
        namespace[name] = _message_class(message)
    for name, enum in file.enum_types_by_name.items():
        namespace[name] = enum_type_wrapper.EnumTypeWrapper(enum)
        for value in enum.values:
            namespace[value.name] = value.number
    namespace["DESCRIPTOR"] = file
