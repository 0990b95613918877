"""Field sets: the algebra of sets of paths, FieldsV1 in canonical order, and what of a client's is taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.patch import field_sets
from resource_api.patch.field_sets import FieldSet, Path

ELEMENTS = st.sampled_from(
    ["f:a", "f:b", "f:c", 'k:{"name":"x"}', 'k:{"name":"y","port":80}', 'k:{"name":"y","port":9}', 'v:"z"', "v:1", "i:0"]
)
PATHS = st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple)
PATH_SETS = st.frozensets(PATHS, max_size=8)
Paths = frozenset[Path]


def of(paths: Paths) -> FieldSet:
    return field_sets.of_paths(sorted(paths))


def back(fields: FieldSet) -> Paths:
    found = list(field_sets.paths(fields))
    assert len(found) == len(set(found))
    return frozenset(found)


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(PATH_SETS, PATH_SETS)
def test_sets_do_what_sets_of_paths_do(left: Paths, right: Paths):
    """The trie is nothing but a set of paths."""
    one, two = of(left), of(right)
    before = msgspec.json.encode([one, two])
    assert back(one) == left
    assert back(field_sets.union(one, two)) == left | right
    assert back(field_sets.difference(one, two)) == left - right
    assert back(field_sets.intersection(one, two)) == left & right
    below = {path for path in left if any(path[: len(top)] == top for top in right)}
    assert back(field_sets.recursive_difference(one, two)) == left - below
    assert bool(one) == bool(left)
    assert msgspec.json.encode([one, two]) == before


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(PATH_SETS)
def test_decoded_of_what_was_stored_is_the_same_set_in_one_order(paths: Paths):
    """decode(encode(set)) = set, and equal sets have equal bytes."""
    stored = field_sets.ordered(of(paths))
    again = field_sets.decoded(msgspec.json.decode(msgspec.json.encode(stored)))
    assert back(again) == paths
    other = field_sets.of_paths(sorted(paths, reverse=True))
    assert msgspec.json.encode(field_sets.ordered(again)) == msgspec.json.encode(stored) == msgspec.json.encode(field_sets.ordered(other))


def test_ordered_compares_keys_by_value_and_not_by_text():
    """Port 80 stands before port 443, as upstream writes it."""
    fields = field_sets.of_paths([('k:{"port":443}',), ('k:{"port":80}',), ("f:b",), ("f:a",)])
    assert list(field_sets.ordered(fields)) == ["f:a", "f:b", 'k:{"port":80}', 'k:{"port":443}']


def test_decoded_makes_keys_canonical_and_skips_what_it_does_not_know():
    fields = {"f:a": {'k:{"port": 80, "name": "x"}': {".": {}, "f:q": {}}}, "z:new": {"f:b": {}}}
    assert field_sets.decoded(fields) == {"f:a": {'k:{"name":"x","port":80}': {".": {}, "f:q": {}}}}


@pytest.mark.parametrize("fields", [[], None, "x", {"f:a": 1}, {"k:{": {}}, {"k:[]": {}}, {"v:": {}}, {"i:x": {}}, {"f:a": {"v:{": {}}}])
def test_decoded_of_what_is_no_set_is_refused(fields: Any):
    with pytest.raises(ValueError):
        field_sets.decoded(fields)


def test_path_text_is_upstreams():
    assert field_sets.path_text(("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}')) == '.spec.ports[port=80,protocol="TCP"]'
    assert field_sets.path_text(("f:metadata", "f:finalizers", 'v:"a/b"')) == '.metadata.finalizers[="a/b"]'
    assert field_sets.path_text(("f:x", "i:3")) == ".x[3]"
