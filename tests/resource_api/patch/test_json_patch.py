"""JSON patch: the RFC's appendix, a naive interpreter, and the limits."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Json
from resource_api.patch import json_patch
from resource_api.patch.failure import BadPatchError, DoesNotApplyError, TooManyOperationsError
from tests.resource_api.patch.json_values import NAMES, OBJECTS, VALUES

FAILS = object()

RFC_6902_APPENDIX_A = {
    "A.1": ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    "A.2": ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    "A.3": ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    "A.4": ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    "A.5": ({"baz": "qux", "foo": "bar"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo", "foo": "bar"}),
    "A.6": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.9": ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], FAILS),
    "A.10": ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"grandchild": {}}}], {"foo": "bar", "child": {"grandchild": {}}}),
    "A.11": ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    "A.12": ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], FAILS),
    # A.13 is a text with a name twice: what the decoder makes of it is what is applied (the last wins).
    "A.14": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    "A.15": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], FAILS),
    "A.16": ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}], {"foo": ["bar", ["abc", "def"]]}),
}


@pytest.mark.parametrize("example", RFC_6902_APPENDIX_A)
def test_patch_of_the_rfcs_appendix_gives_its_results(example: str):
    document, operations, wanted = RFC_6902_APPENDIX_A[example]
    if wanted is FAILS:
        with pytest.raises(DoesNotApplyError):
            json_patch.apply(document, operations)
    else:
        assert json_patch.apply(document, operations) == wanted


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "frobnicate", "path": "/a"}],
        [{"op": "remove"}],
        [{"op": "remove", "path": "a"}],
        [{"op": "remove", "path": ""}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "path": "/list/4", "value": 1}],
        [{"op": "add", "path": "/list/x", "value": 1}],
        [{"op": "replace", "path": "/missing", "value": 1}],
        [{"op": "replace", "path": "/list/-", "value": 1}],
        [{"op": "move", "path": "/a"}],
        [{"op": "move", "from": "/a", "path": "/a/b"}],
        [{"op": "copy", "from": "/missing", "path": "/b"}],
        [{"op": "test", "path": "/a/b/c", "value": 1}],
    ],
)
def test_operation_that_cannot_be_done_does_not_apply(operations: Json):
    """Whatever is wrong with an operation shows when it is applied, never as a fault of ours."""
    with pytest.raises(DoesNotApplyError):
        json_patch.apply({"a": {"b": 1}, "list": [1, 2, 3]}, operations)


def test_negative_index_counts_from_the_end():
    """As the library behind kube-apiserver does."""
    assert json_patch.apply({"l": [1, 2, 3]}, [{"op": "remove", "path": "/l/-1"}]) == {"l": [1, 2]}


def test_test_against_null_holds_where_nothing_is():
    """kubectl and operators guard with it."""
    assert json_patch.apply({"a": 1}, [{"op": "test", "path": "/b", "value": None}]) == {"a": 1}


@pytest.mark.parametrize("patch", [{}, "x", 3, None, ["x"], [[]]])
def test_patch_that_is_no_list_of_operations_is_bad(patch: Json):
    with pytest.raises(BadPatchError):
        json_patch.apply({}, patch)


def test_patch_of_too_many_operations_is_refused():
    """10 000 are taken, one more is not."""
    operation = {"op": "test", "path": "/a", "value": 1}
    assert json_patch.apply({"a": 1}, [operation] * 10_000) == {"a": 1}
    with pytest.raises(TooManyOperationsError, match="maximum operations in a JSON patch is 10000, got 10001"):
        json_patch.apply({"a": 1}, [operation] * 10_001)


def test_copies_that_double_the_document_are_stopped():
    """A patch of a few lines must not make gigabytes."""
    operations = [{"op": "copy", "from": "/a", "path": "/a/-"} for _ in range(40)]
    with pytest.raises(DoesNotApplyError, match="exceeding the limit"):
        json_patch.apply({"a": ["x" * 1000]}, operations)


def naive(document: Json, operations: list[dict[str, Any]]) -> Json:
    """One operation after the other on copies, in the words of the RFC; KeyError, IndexError, ValueError or TypeError where one fails."""
    for operation in operations:
        document = step(copy.deepcopy(document), operation)
    return document


def split(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def look(document: Json, parts: list[str]) -> Json:
    for part in parts:
        document = document[place(document, part)] if isinstance(document, list) else dict_of(document)[part]
    return document


def dict_of(value: Json) -> Json:
    if not isinstance(value, dict):
        raise TypeError
    return value


def place(values: list[Json], part: str, extra: int = 0) -> int:
    index = int(part)
    if not -len(values) - extra <= index < len(values) + extra:
        raise IndexError
    return index if index >= 0 else index + len(values) + extra


def equal(left: Json, right: Json) -> bool:
    return repr(sort(left)) == repr(sort(right))


def sort(value: Json) -> Json:
    if isinstance(value, dict):
        return [(name, sort(value[name])) for name in sorted(value)]
    return [["list", sort(item)] for item in value] if isinstance(value, list) else value


def step(document: Json, operation: dict[str, Any]) -> Json:
    op, parts = operation["op"], split(operation["path"])
    if op in ("move", "copy"):
        source = split(operation["from"])
        value = copy.deepcopy(look(document, source))
        if op == "move":
            if parts[: len(source)] == source and len(parts) > len(source):
                raise ValueError
            if parts == source:
                return document
            document = step(document, {"op": "remove", "path": operation["from"]})
        return step(document, {"op": "add", "path": operation["path"], "value": value})
    if not parts:
        if op == "remove" or (op == "test" and not equal(document, operation["value"])):
            raise ValueError
        return document if op == "test" else operation["value"]
    parent, last = look(document, parts[:-1]), parts[-1]
    if isinstance(parent, list):
        if op == "add":
            parent.insert(len(parent) if last == "-" else place(parent, last, 1), operation["value"])
        elif op == "remove":
            del parent[place(parent, last)]
        elif op == "replace":
            parent[place(parent, last)] = operation["value"]
        elif not equal(parent[place(parent, last)], operation["value"]):
            raise ValueError
        return document
    dict_of(parent)
    if op == "add":
        parent[last] = operation["value"]
    elif op == "remove":
        del parent[last]
    elif op == "replace":
        parent[last]  # must be there
        parent[last] = operation["value"]
    elif not equal(parent.get(last), operation["value"]):
        raise ValueError
    return document


STEPS = st.one_of(NAMES.map(lambda name: name.replace("~", "~0").replace("/", "~1")), st.sampled_from(["0", "1", "-1", "-"]))
POINTERS = st.lists(STEPS, max_size=3).map(lambda parts: "".join("/" + part for part in parts))
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["add", "replace", "test"]), "path": POINTERS, "value": VALUES}),
    st.fixed_dictionaries({"op": st.just("remove"), "path": POINTERS}),
    st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "path": POINTERS, "from": POINTERS}),
)


@pytest.mark.slow
@settings(max_examples=400, derandomize=True, deadline=None)
@given(OBJECTS, st.lists(OPERATIONS, max_size=4))
def test_patch_of_anything_does_what_the_naive_interpreter_does(document: Json, operations: list[dict[str, Any]]):
    """Same result, or both fail; and never a change of the arguments."""
    before = copy.deepcopy((document, operations))
    try:
        wanted = naive(copy.deepcopy(document), copy.deepcopy(operations))
    except (KeyError, IndexError, ValueError, TypeError):
        wanted = FAILS
    try:
        found = json_patch.apply(document, operations)
    except DoesNotApplyError:
        found = FAILS
    assert found is wanted or equal(found, wanted)
    assert (document, operations) == before
