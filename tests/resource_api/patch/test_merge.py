"""Merge patch: the RFC's own examples, and its laws."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings

from resource_api.errors import Json
from resource_api.patch import merge
from tests.resource_api.patch.json_values import VALUES

RFC_7386_APPENDIX_A = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("document", "patch", "wanted"), RFC_7386_APPENDIX_A)
def test_merge_of_the_rfcs_examples_gives_its_results(document: Json, patch: Json, wanted: Json):
    assert merge.apply(document, patch) == wanted


def naive(target: Json, patch: Json) -> Json:
    """RFC 7386 §2, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            if name in result:
                del result[name]
        else:
            result[name] = naive(result.get(name), value)
    return result


@pytest.mark.slow
@settings(max_examples=200, derandomize=True, deadline=None)
@given(VALUES, VALUES)
def test_merge_of_anything_is_the_rfcs_and_changes_no_argument(document: Json, patch: Json):
    before = copy.deepcopy((document, patch))
    result = merge.apply(document, patch)
    assert result == naive(document, patch)
    assert merge.apply(result, patch) == result
    assert (document, patch) == before
