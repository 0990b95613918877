"""Filling in defaults: a walk over the shape of an object that visits only the types for which there is something to fill in.

Owns the walk and the words the tables are written in (`defaults_core`, `defaults_apps`, `defaults_other`); upstream's are the generated
`zz_generated.defaults.go`, which call a type's function first and those of its fields afterwards. So does this walk. Pure, in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from resource_api.errors import Json, Object
from resource_api.schema.json_values import copied
from resource_api.schema.types import Schema

Fill = Callable[[Object], None]
"""Fills in one struct, in place; called twice it changes nothing more."""


@dataclass(frozen=True, slots=True)
class Zero:
    """A default that replaces a zero too: of fields that are no pointers upstream, where 0 means not given."""

    value: Json


def fields(values: Mapping[str, Json]) -> Fill:
    """Fills in fields that are absent; an empty string is absent where a string is to stand."""

    def fill(obj: Object) -> None:
        for name, value in values.items():
            have = obj.get(name)
            wanted = value.value if isinstance(value, Zero) else value
            if have is None or (have == "" and isinstance(wanted, str)) or (isinstance(value, Zero) and have == 0):
                obj[name] = copied(wanted) if isinstance(wanted, dict | list) else wanted

    return fill


def struct(obj: Object, name: str) -> Object:
    """The struct in that field, made when it is absent: what is no pointer upstream is always there."""
    value = obj.get(name)
    if not isinstance(value, dict):
        value = obj[name] = {}
    return value


def items(obj: Object, name: str) -> list[Object]:
    """The structs of a list; nothing when it is absent."""
    return [item for item in obj.get(name) or () if isinstance(item, dict)]


@dataclass(slots=True)
class _Step:
    """What to do with one struct, and into which of its fields to go."""

    fills: tuple[Fill, ...]
    into: list[tuple[str, Literal["struct", "list", "map"], _Step]]

    def run(self, obj: Object) -> None:
        for fill in self.fills:
            fill(obj)
        for name, shape, step in self.into:
            value = obj.get(name)
            if not value:
                if shape == "struct" and isinstance(value, dict):
                    step.run(value)
            elif shape == "struct" and isinstance(value, dict):
                step.run(value)
            elif shape == "list" and isinstance(value, list):
                for item in value:
                    if isinstance(item, dict):
                        step.run(item)
            elif shape == "map" and isinstance(value, dict):
                for item in value.values():
                    if isinstance(item, dict):
                        step.run(item)


Always = Callable[[str], Object]
"""By the name of a type: what upstream writes of it even when nobody set it."""

STORED_AS_JSON = ("io.k8s.apiextensions-apiserver.", "io.k8s.kube-aggregator.")
"""Types that upstream stores as JSON: an empty list stays one. Protobuf, in which it stores all others, has only absent ones."""


def unset(schema: Schema, always: Object) -> Fill | None:
    """What no default gave: structs that are kept by value, nulls where Go writes them, zeros of what need not be there.

    Zeros of required members stay away: validation is to miss them.
    """
    zeros = {name: zero for name, zero in always.items() if isinstance(zero, bool | int | str) and name not in schema.required}
    structs = [name for name, zero in always.items() if isinstance(zero, dict)]
    nulls = [name for name, zero in always.items() if zero is None]
    lossy = () if schema.name.startswith(STORED_AS_JSON) else [name for name in nulls if schema.properties[name].shape == "array"]
    if not structs and not nulls and not zeros:
        return None

    def fill(obj: Object) -> None:
        for name, zero in zeros.items():
            if name not in obj:
                obj[name] = zero
        for name in structs:
            if name not in obj:
                obj[name] = {}
        for name in nulls:
            if name not in obj:
                obj[name] = None
        for name in lossy:
            if not obj[name]:
                obj[name] = None

    return fill


class Defaulter:
    """Defaults of one kind.

    Invariant: a type from which no filled type can be reached is never visited.
    """

    def __init__(self, schema: Schema, table: Mapping[str, Sequence[Fill]], always: Always = lambda _: {}) -> None:
        self._step = _Compiler(table, always).step(schema)

    def __call__(self, obj: Object) -> None:
        """Fills in `obj`, in place."""
        if self._step is not None:
            self._step.run(obj)


class _Compiler:
    def __init__(self, table: Mapping[str, Sequence[Fill]], always: Always) -> None:
        self._table = table
        self._always = always
        self._known: dict[str, _Step | None] = {}

    def step(self, schema: Schema) -> _Step | None:
        """The step of a struct; None when there is nothing to do in it. A type inside itself is entered once."""
        if schema.name in self._known:
            return self._known[schema.name]
        if schema.name:
            self._known[schema.name] = None
        last = unset(schema, self._always(schema.name))
        step = _Step((*self._table.get(schema.name, ()), *([last] if last is not None else [])), [])
        for name, child in schema.properties.items():
            shape: Literal["struct", "list", "map"] = "struct"
            if child.items is not None:
                shape, child = "list", child.items
            elif child.additional is not None:
                shape, child = "map", child.additional
            inner = self.step(child)
            if inner is not None:
                step.into.append((name, shape, inner))
        found = step if step.fills or step.into else None
        if schema.name:
            self._known[schema.name] = found
        return found
