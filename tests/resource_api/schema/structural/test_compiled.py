"""Pruning and defaults: what goes, what comes, and that twice is once."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Json, Object
from resource_api.schema.structural.compiled import CompiledSchema

from .test_validation import values


def test_unknown_fields_go_and_are_told_by_path():
    """Fields of structs, of list items and of map values; metadata, kind and apiVersion stay."""
    compiled = CompiledSchema(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "l": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                        "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
                        "free": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                            "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}},
                        },
                    },
                }
            },
        }
    )
    obj: Object = {
        "apiVersion": "v",
        "kind": "K",
        "metadata": {"any": 1},
        "spec": {
            "l": [{"a": "", "b": 1}],
            "m": {"k": {"a": "", "b": 1}},
            "free": {"x": {"y": 1}, "known": {"a": "", "b": 1}},
            "gone": {"deep": 1},
        },
        "top": 1,
    }
    assert compiled.prune(obj) == ["spec.free.known.b", "spec.gone", "spec.l[0].b", "spec.m.k.b", "top"]
    assert obj["spec"] == {"l": [{"a": ""}], "m": {"k": {"a": ""}}, "free": {"x": {"y": 1}, "known": {"a": ""}}}
    assert obj["metadata"] == {"any": 1}


def test_defaults_fill_what_is_absent_and_null_where_null_is_no_value():
    """A default's own fields are defaulted too; a nullable null stays; a null without a default goes."""
    compiled = CompiledSchema(
        {
            "type": "object",
            "properties": {
                "a": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 1}}},
                "n": {"type": "string", "nullable": True, "default": "x"},
                "z": {"type": "string"},
                "l": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string", "default": "d"}}}},
                "m": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    )
    obj: Object = {"a": None, "n": None, "z": None, "l": [{}, {"c": None}], "m": {"k": None, "v": "w"}}
    compiled.default(obj)
    assert obj == {"a": {"b": 1}, "n": None, "l": [{"c": "d"}, {"c": "d"}], "m": {"v": "w"}}


def test_default_value_is_copied_for_each_object():
    """Changing one object does not change the schema."""
    props: Object = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}, "default": []}}}
    compiled, first, second = CompiledSchema(props), {}, {}
    compiled.default(first)
    first["a"].append("x")
    compiled.default(second)
    assert second == {"a": []}


def test_schema_that_is_not_structural_neither_prunes_nor_defaults():
    """As upstream: objects of a definition from before v1 are kept whole."""
    compiled = CompiledSchema({"type": "object", "properties": {"a": {"default": 1}}})
    obj: Object = {"b": 1}
    assert compiled.prune(obj) == []
    compiled.default(obj)
    assert obj == {"b": 1}


def _with_default(props: Object, value: Json) -> Object:
    return {**props, "default": value} if value is not None else props


_leaves = st.builds(
    _with_default, st.builds(lambda kind: {"type": kind}, st.sampled_from(["integer", "string", "boolean"])), st.none() | st.integers(0, 2)
)
_structs = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda child: {"type": "object", "additionalProperties": child}, inner),
        st.builds(
            lambda fields, free: {
                "type": "object",
                "properties": fields,
                **({"x-kubernetes-preserve-unknown-fields": True} if free else {}),
            },
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
            st.booleans(),
        ),
        st.builds(
            lambda fields: {"type": "object", "default": {}, "properties": fields},
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), _structs, min_size=1), st.dictionaries(st.sampled_from("abcd"), values, max_size=4))
def test_pruning_and_defaulting_twice_is_once(fields: dict[str, Object], obj: Object):
    """Both are idempotent, and defaults bring nothing that would be pruned."""
    compiled = CompiledSchema({"type": "object", "properties": fields})
    assert compiled.structural
    compiled.prune(obj)
    once = copy.deepcopy(obj)
    assert compiled.prune(obj) == []
    assert obj == once
    compiled.default(obj)
    once = copy.deepcopy(obj)
    compiled.default(obj)
    assert obj == once
    assert compiled.prune(obj) == []
    assert obj == once
