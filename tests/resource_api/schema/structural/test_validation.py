"""Values against schemas: upstream's words, and agreement with a naive validator."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import FieldError, Json, Object
from resource_api.schema.structural.compiled import CompiledSchema
from resource_api.schema.structural.validation import ABSENT, compile_check, number_text, same


def problems(props: Object, value: Json, old: Json = ABSENT) -> list[str]:
    """What is said of a value at `spec.x`."""
    errors: list[FieldError] = []
    compile_check(props)(value, "spec.x", errors, old)
    return [str(error) for error in errors]


GOLDEN: list[tuple[Object, Json, list[str]]] = [
    ({"type": "integer"}, "a", ['spec.x: Invalid value: "string": spec.x in body must be of type integer: "string"']),
    ({"type": "string"}, None, ['spec.x: Invalid value: "null": spec.x in body must be of type string: "null"']),
    ({"type": "integer"}, 1.5, ['spec.x: Invalid value: "number": spec.x in body must be of type integer: "number"']),
    ({"type": "integer"}, 2.0, []),
    ({"type": "number"}, 2, []),
    ({"type": "string", "nullable": True}, None, []),
    ({"type": "boolean"}, 1, ['spec.x: Invalid value: "integer": spec.x in body must be of type boolean: "integer"']),
    ({"type": "integer"}, True, ['spec.x: Invalid value: "boolean": spec.x in body must be of type integer: "boolean"']),
    ({"type": "string", "format": "date"}, 5, ['spec.x: Invalid value: "int64": spec.x in body must be of type date: "int64"']),
    (
        {"x-kubernetes-int-or-string": True},
        True,
        ['spec.x: Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean"'],
    ),
    ({"type": "integer", "maximum": 10}, 11, ["spec.x: Invalid value: 11: spec.x in body should be less than or equal to 10"]),
    (
        {"type": "integer", "maximum": 10, "exclusiveMaximum": True},
        10,
        ["spec.x: Invalid value: 10: spec.x in body should be less than 10"],
    ),
    ({"type": "integer", "minimum": 1}, 0, ["spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1"]),
    (
        {"type": "number", "minimum": 1, "exclusiveMinimum": True},
        1.0,
        ["spec.x: Invalid value: 1: spec.x in body should be greater than 1"],
    ),
    ({"type": "integer", "multipleOf": 3}, 4, ["spec.x: Invalid value: 4: spec.x in body should be a multiple of 3"]),
    ({"type": "number", "multipleOf": 0.1}, 0.3, []),
    ({"type": "string", "maxLength": 2}, "abc", ["spec.x: Too long: may not be more than 2 bytes"]),
    ({"type": "string", "minLength": 2}, "a", ['spec.x: Invalid value: "a": spec.x in body should be at least 2 chars long']),
    ({"type": "string", "pattern": "^a$"}, "b", ["spec.x: Invalid value: \"b\": spec.x in body should match '^a$'"]),
    ({"type": "string", "pattern": "^a$"}, "a\n", ["spec.x: Invalid value: \"a\\n\": spec.x in body should match '^a$'"]),
    ({"type": "string", "enum": ["a", "b"]}, "c", ['spec.x: Unsupported value: "c": supported values: "a", "b"']),
    ({"type": "integer", "enum": [1, 2]}, 3, ['spec.x: Unsupported value: 3: supported values: "1", "2"']),
    (
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        [],
        ["spec.x: Invalid value: 0: spec.x in body should have at least 1 items"],
    ),
    ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], ["spec.x: Too many: 2: must have at most 1 items"]),
    (
        {"type": "array", "items": {"type": "string"}},
        ["a", 1],
        ['spec.x[1]: Invalid value: "integer": spec.x[1] in body must be of type string: "integer"'],
    ),
    ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 1}, ["spec.x: Too many: 2: must have at most 1 items"]),
    ({"type": "object", "minProperties": 1}, {}, ["spec.x: Invalid value: 0: spec.x in body should have at least 1 properties"]),
    ({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}, {}, ["spec.x.a: Required value"]),
    (
        {"type": "string", "format": "ipv4"},
        "1.2.3",
        ['spec.x: Invalid value: "1.2.3": spec.x in body must be of type ipv4: "1.2.3"'],
    ),
    (
        {"type": "integer", "format": "int32"},
        2**31,
        ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.x'],
    ),
    (
        {"type": "integer", "not": {"enum": [5]}},
        5,
        ['<nil>: Invalid value: "": "spec.x" must not validate the schema (not)'],
    ),
    (
        {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]},
        3,
        [
            '<nil>: Invalid value: "": "spec.x" must validate at least one schema (anyOf)',
            "spec.x: Invalid value: 3: spec.x in body should be greater than or equal to 5",
        ],
    ),
    (
        {"type": "integer", "oneOf": [{"minimum": 1}, {"maximum": 9}]},
        3,
        ['<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
    ),
    (
        {"type": "integer", "allOf": [{"minimum": 5}]},
        3,
        [
            "spec.x: Invalid value: 3: spec.x in body should be greater than or equal to 5",
            '<nil>: Invalid value: "": "spec.x" must validate all the schemas (allOf). None validated',
        ],
    ),
]


@pytest.mark.parametrize(("props", "value", "said"), GOLDEN)
def test_value_against_a_schema_is_told_in_upstreams_words(props: Object, value: Json, said: list[str]):
    """Texts and paths are those of kube-openapi as apiextensions reports them."""
    assert problems(props, value) == said


def test_numbers_are_printed_as_go_prints_them():
    """`%v` of a float64 turns to an exponent at a million, an integer never does."""
    assert [number_text(value) for value in (10.0, 1e6, 0.0001, 0.00001, -2.5, 0.0)] == ["10", "1e+06", "0.0001", "1e-05", "-2.5", "0"]
    assert number_text(1000000.0, 3) == "1000000"


def test_unchanged_value_on_update_is_not_looked_at_again():
    """Ratcheting: what was wrong may stay as it is, beside a change elsewhere."""
    props = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 1}, "b": {"type": "integer", "maximum": 1}}}
    assert problems(props, {"a": 5, "b": 1}, {"a": 5, "b": 0}) == []
    assert len(problems(props, {"a": 6, "b": 0}, {"a": 5, "b": 0})) == 1
    assert len(problems(props, {"a": 5, "b": 0})) == 1


def test_unchanged_item_correlates_by_the_keys_of_a_map_list_only():
    """Items of a list of type map are known by their keys; of an atomic list an item has no past."""
    items = {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer", "maximum": 1}}}
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": items}
    old = [{"name": "a", "n": 5}]
    new = [{"name": "b", "n": 0}, {"name": "a", "n": 5}]
    assert problems(keyed, new, old) == []
    assert len(problems({"type": "array", "items": items}, new, old)) == 1


def test_true_is_not_one_when_old_and_new_are_compared():
    """A value whose type changed has changed."""
    assert not same({"a": 1}, {"a": True})
    assert not same([1], [1.0])
    assert problems({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": True}, {"a": 1}) != []


def test_lists_of_sets_and_maps_hold_nothing_twice_unless_they_did():
    """Duplicates are told once, with the key; those that were there before may stay."""
    props = {
        "type": "object",
        "properties": {
            "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "m": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a", "b"],
                "items": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
            },
        },
    }
    compiled = CompiledSchema(props)
    twice = {"s": ["x", "y", "x", "x"], "m": [{"a": "1", "b": 2}, {"a": "1", "b": 2}]}
    said = [str(error) for error in compiled.validate(twice, None)]
    assert said == ['s[2]: Duplicate value: "x"', 'm[1]: Duplicate value: {"a":"1","b":2}']
    assert compiled.validate(twice, {**twice, "z": 1}) == []


def test_embedded_object_needs_a_kind_and_a_version():
    """What is embedded is an object, with the metadata rules of one."""
    compiled = CompiledSchema(
        {
            "type": "object",
            "properties": {"t": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}},
        }
    )
    said = [str(error) for error in compiled.validate({"t": {"kind": "A B", "metadata": {"name": "x", "labels": {"_": "v"}}}}, None)]
    assert said[0] == "t.apiVersion: Required value"
    assert said[1].startswith('t.kind: Invalid value: "A B": may have mixed case, but should otherwise match: ')
    assert said[2].startswith("t.metadata.labels: Invalid value")


# A naive validator as the model: no texts, no paths, no sharing.

_KINDS = {"string": str, "boolean": bool, "array": list, "object": dict}


def valid(props: Object, value: Json) -> bool:
    """By the definition of each word."""
    if value is None:
        return props.get("nullable") is True and "enum" not in props
    kind = props.get("type")
    if kind == "integer" and (type(value) not in (int, float) or value != int(value)):
        return False
    if kind == "number" and type(value) not in (int, float):
        return False
    if kind in _KINDS and type(value) is not _KINDS[kind]:
        return False
    if "enum" in props and value not in props["enum"]:
        return False
    if type(value) in (int, float) and not props.get("minimum", value) <= value <= props.get("maximum", value):
        return False
    if type(value) is str:
        if not props.get("minLength", 0) <= len(value) <= props.get("maxLength", 99):
            return False
        if "pattern" in props and re.search(props["pattern"], value) is None:
            return False
    if type(value) is list:
        if not props.get("minItems", 0) <= len(value) <= props.get("maxItems", 99):
            return False
        if not all(valid(props["items"], one) for one in value if "items" in props):
            return False
    if type(value) is dict:
        fields = props.get("properties", {})
        if any(name not in value for name in props.get("required", [])):
            return False
        if not all(valid(fields[name], one) for name, one in value.items() if name in fields):
            return False
        if "additionalProperties" in props and not all(valid(props["additionalProperties"], one) for one in value.values()):
            return False
    if "anyOf" in props and not any(valid(one, value) for one in props["anyOf"]):
        return False
    if "oneOf" in props and sum(valid(one, value) for one in props["oneOf"]) != 1:
        return False
    if not all(valid(one, value) for one in props.get("allOf", [])):
        return False
    return not ("not" in props and valid(props["not"], value))


_small = st.integers(-3, 3)
_limits = st.fixed_dictionaries(
    {}, optional={"minimum": _small, "maximum": _small, "minLength": st.integers(0, 3), "maxLength": st.integers(0, 3)}
)


def _combined(plain: st.SearchStrategy[Object]) -> st.SearchStrategy[Object]:
    nested = st.lists(_limits, min_size=1, max_size=3)
    extra = st.fixed_dictionaries({}, optional={"anyOf": nested, "oneOf": nested, "allOf": nested, "not": _limits})
    return st.builds(lambda first, second: {**first, **second}, plain, extra)


_scalars = _combined(
    st.one_of(
        st.builds(lambda kind, limits: {"type": kind, **limits}, st.sampled_from(["integer", "number", "boolean", "string"]), _limits),
        st.just({"type": "string", "pattern": "^[ab]+$"}),
        st.just({"type": "string", "enum": ["a", "b"]}),
        st.just({"type": "string", "nullable": True}),
    )
)
schemas = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.builds(lambda items, most: {"type": "array", "items": items, "maxItems": most}, inner, st.integers(0, 3)),
        st.builds(
            lambda fields, needed: {"type": "object", "properties": fields, "required": [name for name in needed if name in fields]},
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
            st.lists(st.sampled_from("abc"), unique=True),
        ),
        st.builds(lambda child: {"type": "object", "additionalProperties": child}, inner),
    ),
    max_leaves=8,
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), _small, st.sampled_from([0.5, 1.0, -2.5]), st.text("abx", max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)),
    max_leaves=10,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(schemas, values)
def test_validator_agrees_with_a_naive_one(props: Object, value: Json):
    """An error is found exactly when the value is none of the schema's."""
    assert (problems(props, value) == []) == valid(props, value)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(schemas, values, values)
def test_update_finds_no_more_than_create(props: Object, value: Json, old: Json):
    """Ratcheting only forgives; an object that is what it was is always taken."""
    assert set(problems(props, value, old)) <= set(problems(props, value)) or "oneOf" in str(props) or "anyOf" in str(props)
    assert problems(props, value, value) == []
