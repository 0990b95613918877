"""JSON patch (RFC 6902), with what the library behind kube-apiserver does beyond it.

Beyond the RFC: array indices count from the end when negative, and `test` against null holds where nothing is. Operations apply in order
to a copy, all or none. A patch has at most `OPERATIONS_MAX` operations, and `copy` may add at most `COPIED_BYTES_MAX`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from resource_api.errors import Json, shown
from resource_api.patch.failure import BadPatchError, DoesNotApplyError, TooManyOperationsError
from resource_api.schema.json_values import copied, same

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 * 1024 * 1024
"""The request limit: a small patch must not double an object again and again."""

_INDEX = re.compile(r"[+-]?[0-9]{1,9}\Z")
_ABSENT = object()


class Operation(NamedTuple):
    """One operation with its pointers taken apart."""

    op: str
    path: tuple[str, ...]
    source: tuple[str, ...]
    value: Json
    """`_ABSENT` where the operation names none."""


def parse(operations: Json) -> list[Operation]:
    """The operations of a decoded patch. Raises BadPatchError when it is no list of objects, TooManyOperationsError."""
    if not isinstance(operations, list):
        raise BadPatchError(f"json: cannot unmarshal {_kind(operations)} into Go value of type []handlers.jsonPatchOp")
    if len(operations) > OPERATIONS_MAX:
        count = len(operations)
        raise TooManyOperationsError(f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}")
    return [_parsed(entry) for entry in operations]


def _kind(value: Json) -> str:
    return {dict: "object", list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(value), "number")


def _parsed(entry: Json) -> Operation:
    if not isinstance(entry, dict):
        raise BadPatchError(f"json: cannot unmarshal {_kind(entry)} into Go value of type handlers.jsonPatchOp")
    op = entry.get("op")
    return Operation(str(op), _pointer(entry, "path"), _pointer(entry, "from"), entry.get("value", _ABSENT))


def _pointer(entry: Mapping[str, Json], name: str) -> tuple[str, ...]:
    """`("?",)` stands for a pointer that is missing or no pointer: no operation applies with it."""
    pointer = entry.get(name)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        return _NO_POINTER
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


_NO_POINTER: tuple[str, ...] = ("\0missing pointer",)


def apply(document: Json, operations: Json) -> Json:
    """The patched copy. Raises BadPatchError, TooManyOperationsError, DoesNotApplyError."""
    return run(document, parse(operations))


def run(document: Json, operations: list[Operation]) -> Json:
    """Applies parsed operations to a copy. Raises DoesNotApplyError."""
    return _Run(copied(document)).run(operations)


class _Run:
    """One application: the document on its way."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._copied_bytes = 0

    def run(self, operations: list[Operation]) -> Json:
        for operation in operations:
            act = _ACTS.get(operation.op)
            if act is None:
                raise DoesNotApplyError(f"Unexpected kind: {operation.op}")
            if operation.path is _NO_POINTER:
                raise DoesNotApplyError(f"{operation.op} operation does not apply: doc is missing path")
            act(self, operation)
        return self._document

    def add(self, operation: Operation) -> None:
        self._add(operation.path, copied(_value(operation)), "add")

    def remove(self, operation: Operation) -> None:
        self._remove(operation.path, "remove")

    def replace(self, operation: Operation) -> None:
        value, path = copied(_value(operation)), operation.path
        if not path:
            self._document = value
            return
        parent = self._parent(path, "replace")
        if isinstance(parent, dict):
            if path[-1] not in parent:
                raise _missing("replace", path)
            parent[path[-1]] = value
        else:
            parent[_index(path[-1], len(parent), "replace", path)] = value

    def move(self, operation: Operation) -> None:
        source, path = operation.source, operation.path
        if source is _NO_POINTER:
            raise DoesNotApplyError("move operation does not apply: doc is missing from path")
        if len(path) > len(source) and path[: len(source)] == source:
            raise DoesNotApplyError("move operation does not apply: a value cannot move into itself")
        value = self._get(source, "move")
        if source == path:
            return
        self._remove(source, "move")
        self._add(path, value, "move")

    def copy(self, operation: Operation) -> None:
        if operation.source is _NO_POINTER:
            raise DoesNotApplyError("copy operation does not apply: doc is missing from path")
        value = copied(self._get(operation.source, "copy"))
        self._copied_bytes += len(shown(value))
        if self._copied_bytes > COPIED_BYTES_MAX:
            size = f"{self._copied_bytes}, exceeding the limit {COPIED_BYTES_MAX}"
            raise DoesNotApplyError(f"Unable to complete the copy, the accumulated size increase of copy is {size}")
        self._add(operation.path, value, "copy")

    def test(self, operation: Operation) -> None:
        wanted = None if operation.value is _ABSENT else operation.value
        path = operation.path
        if not path:
            found = self._document
        else:
            parent = self._parent(path, "test")
            if isinstance(parent, dict):
                found = parent.get(path[-1])
            else:
                found = parent[_index(path[-1], len(parent), "test", path)]
        if not same(found, wanted):
            raise DoesNotApplyError(f"testing value /{'/'.join(path)} failed: test failed")

    def _get(self, path: tuple[str, ...], op: str) -> Json:
        node = self._document
        for depth, part in enumerate(path):
            if isinstance(node, dict):
                if part not in node:
                    raise _missing(op, path[: depth + 1])
                node = node[part]
            elif isinstance(node, list):
                node = node[_index(part, len(node), op, path)]
            else:
                raise _missing(op, path[: depth + 1])
        return node

    def _parent(self, path: tuple[str, ...], op: str) -> Json:
        parent = self._get(path[:-1], op)
        if not isinstance(parent, dict | list):
            raise _missing(op, path)
        return parent

    def _add(self, path: tuple[str, ...], value: Json, op: str) -> None:
        if not path:
            self._document = value
            return
        parent, last = self._parent(path, op), path[-1]
        if isinstance(parent, dict):
            parent[last] = value
        elif last == "-":
            parent.append(value)
        else:
            parent.insert(_index(last, len(parent) + 1, op, path), value)

    def _remove(self, path: tuple[str, ...], op: str) -> None:
        if not path:
            raise DoesNotApplyError(f"{op} operation does not apply: the whole document cannot be removed")
        parent, last = self._parent(path, op), path[-1]
        if isinstance(parent, dict):
            if last not in parent:
                raise _missing(op, path)
            del parent[last]
        else:
            del parent[_index(last, len(parent), op, path)]


_ACTS = {"add": _Run.add, "remove": _Run.remove, "replace": _Run.replace, "move": _Run.move, "copy": _Run.copy, "test": _Run.test}


def _value(operation: Operation) -> Json:
    if operation.value is _ABSENT:
        raise DoesNotApplyError(f"{operation.op} operation does not apply: doc is missing value")
    return operation.value


def _index(part: str, size: int, op: str, path: tuple[str, ...]) -> int:
    if not _INDEX.match(part):
        raise DoesNotApplyError(f"{op} operation does not apply: {part!r} in /{'/'.join(path)} is no array index")
    index = int(part)
    if index < -size or index >= size:
        raise DoesNotApplyError(f"{op} operation does not apply: index {index} in /{'/'.join(path)} is out of bounds: invalid index")
    return index + size if index < 0 else index


def _missing(op: str, path: tuple[str, ...]) -> DoesNotApplyError:
    return DoesNotApplyError(f"{op} operation does not apply: doc is missing path: /{'/'.join(path)}: missing value")
