"""Types as msgspec classes: they take what is of the type at once, and nothing that Go would refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle

import msgspec
import pytest

from resource_api.errors import Json, Object, StatusError
from resource_api.registry.model import Model
from resource_api.schema import typed_json
from resource_api.schema.builtin import resource_types, schema_of
from resource_api.schema.decoding import decode
from resource_api.schema.json_values import copied
from tests.resource_api.registry.builtins import model_of, objects

WRONG: tuple[Json, ...] = (5, "x", [], {}, True, 1.5, [1], {"a": 1}, [[]], "")


def _takes(model: Model, obj: Object) -> bool:
    try:
        typed_json.decoder(model.schema).decode(json.dumps(obj).encode())
    except msgspec.DecodeError:
        return False
    return True


def _paths(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from _paths(member, (*path, name))


def _with(obj: Object, path: tuple[str | int, ...], value: Json) -> Object:
    new = copied(obj)
    place = new
    for name in path[:-1]:
        place = place[name]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    return new


def test_every_kind_has_a_decoder_that_takes_its_objects():
    """Else each of them would be looked at twice."""
    for kind in resource_types():
        typed_json.decoder(schema_of(kind.gvk))
    assert [obj for obj in objects() if not _takes(model_of(obj), obj)] == []


def test_what_go_refuses_is_refused():
    """Whatever stands at whatever place of whatever kind. The other way round a closer look decides."""
    wrong, taken, refused = cycle(WRONG), 0, 0
    for obj in objects():
        model = model_of(obj)
        for path in _paths(obj):
            damaged = _with(obj, path, next(wrong))
            try:
                decode(model.type.gvk, model.schema, copied(damaged))
            except StatusError:
                refused += 1
                assert not _takes(model, damaged), (path, damaged)
            else:
                taken += 1
    assert refused > 400
    assert taken > 100


@pytest.mark.parametrize("metadata", [{"labels": None}, {"labels": {"a": None}}, {"creationTimestamp": None}, {"unknown": [1]}])
def test_nulls_and_unknown_members_are_taken(metadata: Object):
    """Go leaves out both."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **metadata}, "other": 5}
    assert _takes(model_of(obj), obj)
