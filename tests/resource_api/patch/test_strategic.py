"""Strategic merge patch: every directive, upstream's orders and refusals, and that a difference applied restores what it was taken from."""

from __future__ import annotations

import copy

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from resource_api.errors import Json, Object
from resource_api.patch import strategic
from resource_api.patch.failure import BadPatchError, DoesNotApplyError, UnmergeableError
from resource_api.schema import builtin
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.types import Schema

TEXT = Schema("string")
DEPLOYMENT = builtin.schema_of(GroupVersionKind("apps", "v1", "Deployment"))
SERVICE = builtin.schema_of(GroupVersionKind("", "v1", "Service"))

ITEM = Schema("object", properties={"name": TEXT, "x": TEXT, "y": TEXT, "tags": Schema("array", items=TEXT, patch_strategy=("merge",))})
KIND = Schema(
    "object",
    properties={
        "a": TEXT,
        "b": TEXT,
        "labels": Schema("object", additional=TEXT),
        "items": Schema("array", items=ITEM, patch_strategy=("merge",), patch_merge_key="name"),
        "words": Schema("array", items=TEXT, patch_strategy=("merge",)),
        "plain": Schema("array", items=ITEM),
        "choice": Schema("object", properties={"type": TEXT, "one": TEXT, "two": TEXT}, patch_strategy=("retainKeys",)),
        "whole": Schema("object", properties={"p": TEXT, "q": TEXT}, patch_strategy=("replace",)),
    },
)


def apply(document: Object, patch: Json) -> Object:
    return strategic.apply(document, patch, KIND)


def names(items: Json) -> list[str]:
    return [item["name"] for item in items]


def named(*found: str) -> list[Object]:
    return [{"name": name} for name in found]


CASES = {
    "maps merge and null deletes": (
        {"a": "1", "labels": {"x": "1", "y": "2"}},
        {"labels": {"x": None, "z": "3"}, "b": "2"},
        {"a": "1", "labels": {"y": "2", "z": "3"}, "b": "2"},
    ),
    "null of nothing is nothing": ({}, {"a": None, "labels": {"x": None}}, {"labels": {}}),
    "a replaced map forgets": (
        {"labels": {"x": "1"}, "a": "1"},
        {"labels": {"$patch": "replace", "y": "2"}},
        {"labels": {"y": "2"}, "a": "1"},
    ),
    "a replaced document forgets": ({"a": "1", "b": "2"}, {"$patch": "replace", "b": "3"}, {"b": "3"}),
    "a deleted map is empty": ({"labels": {"x": "1"}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
    "deleting a map that is not there": ({"a": "1"}, {"labels": {"$patch": "delete"}}, {"a": "1"}),
    "items merge by key": (
        {"items": [{"name": "p", "x": "1"}, {"name": "q"}]},
        {"items": [{"name": "p", "y": "2"}]},
        {"items": [{"name": "p", "x": "1", "y": "2"}, {"name": "q"}]},
    ),
    "an item the server lacks goes before": ({"items": named("p")}, {"items": named("n")}, {"items": named("n", "p")}),
    "an item is deleted": ({"items": named("p", "q")}, {"items": [{"$patch": "delete", "name": "p"}]}, {"items": named("q")}),
    "a list is replaced": (
        {"items": named("p", "q")},
        {"items": [{"name": "n", "x": "1"}, {"$patch": "replace"}]},
        {"items": [{"name": "n", "x": "1"}]},
    ),
    "an item is replaced": (
        {"items": [{"name": "p", "x": "1"}]},
        {"items": [{"name": "p", "tags": ["t"]}, {"name": "q", "tags": ["u", "t"]}]},
        {"items": [{"name": "p", "x": "1", "tags": ["t"]}, {"name": "q", "tags": ["u", "t"]}]},
    ),
    "words are a set": ({"words": ["p", "q"]}, {"words": ["q", "n"]}, {"words": ["p", "q", "n"]}),
    "words are deleted": ({"words": ["p", "q", "r"]}, {"$deleteFromPrimitiveList/words": ["q", "z"]}, {"words": ["p", "r"]}),
    "words deleted from nothing": ({"a": "1"}, {"$deleteFromPrimitiveList/words": ["q"]}, {"a": "1"}),
    "words deleted and ordered": (
        {"words": ["p", "q", "r"]},
        {"$deleteFromPrimitiveList/words": ["q"], "$setElementOrder/words": ["r", "n", "p"], "words": ["n"]},
        {"words": ["r", "n", "p"]},
    ),
    "items are put in order": (
        {"items": named("p", "q", "r")},
        {"$setElementOrder/items": named("r", "p", "q")},
        {"items": named("r", "p", "q")},
    ),
    "items only the server has keep their places": (
        {"items": named("p", "server", "q")},
        {"$setElementOrder/items": named("n", "p", "q"), "items": [{"name": "n", "x": "1"}]},
        {"items": [{"name": "n", "x": "1"}, *named("p", "server", "q")]},
    ),
    "an order of a list that is not there": ({"a": "1"}, {"$setElementOrder/items": named("p")}, {"a": "1"}),
    "an order of a new list": (
        {},
        {"$setElementOrder/items": named("q", "p"), "items": named("q", "p")},
        {"items": named("q", "p")},
    ),
    "keys that are not retained go": (
        {"choice": {"type": "1", "one": "x"}},
        {"choice": {"$retainKeys": ["type", "two"], "type": "2", "two": "y"}},
        {"choice": {"type": "2", "two": "y"}},
    ),
    "retained keys of nothing": (
        {},
        {"choice": {"$retainKeys": ["type", "two"], "type": "2", "two": None}},
        {"choice": {"type": "2"}},
    ),
    "a list without a strategy is replaced": ({"plain": named("p")}, {"plain": named("q", "r")}, {"plain": named("q", "r")}),
    "directives in a replaced list are no items": (
        {"plain": named("p")},
        {"plain": [{"$patch": "replace"}, *named("q")]},
        {"plain": named("q")},
    ),
    "a struct of strategy replace": ({"whole": {"p": "1"}}, {"whole": {"q": "2"}}, {"whole": {"q": "2"}}),
    "a value of another type is replaced": ({"labels": "x"}, {"labels": {"y": "2"}}, {"labels": {"y": "2"}}),
    "directives under what is new": (
        {},
        {"items": [{"name": "p", "$setElementOrder/tags": ["u", "t"], "tags": ["u", "t"]}], "labels": {"$patch": "replace", "x": "1"}},
        {"items": [{"name": "p", "tags": ["u", "t"]}], "labels": {"x": "1"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_patch_gives_what_upstream_gives(case: str):
    document, patch, wanted = copy.deepcopy(CASES[case])
    assert apply(document, patch) == wanted
    assert (document, patch) == CASES[case][:2]


REFUSED = {
    "unknown $patch in a map": ({"labels": {"$patch": "frob"}}, UnmergeableError, r"unknown patch type: frob in map: map\[.patch:frob\]"),
    "unknown $patch in a list": ({"items": [{"$patch": "frob", "name": "p"}]}, UnmergeableError, "unknown patch type: frob in map"),
    "merge in a list": ({"items": [{"$patch": "merge", "name": "p"}]}, UnmergeableError, "merging lists cannot yet be specified"),
    "no merge key": ({"items": [{"x": "1"}]}, UnmergeableError, r"map: map\[x:1\] does not contain declared merge key: name"),
    "no merge key to delete": ({"items": [{"$patch": "delete"}]}, UnmergeableError, "does not contain declared merge key: name"),
    "mixed items": ({"items": [{"name": "p"}, "x"]}, UnmergeableError, "list element types are not identical"),
    "lists in a list": ({"words": [["x"]]}, DoesNotApplyError, "lists of lists are not supported"),
    "retainKeys without a key of the patch": ({"choice": {"$retainKeys": ["one"], "two": "x"}}, BadPatchError, "retainKeys"),
    "retainKeys that is no list": ({"choice": {"$retainKeys": "one"}}, BadPatchError, "invalid patch format of retainKeys"),
    "an order that is no list": ({"$setElementOrder/items": "x"}, UnmergeableError, r"expected a \[\]interface {}, but received a string"),
    "an order of no list": (
        {"$setElementOrder/items": [], "items": 1},
        UnmergeableError,
        r"expected a \[\]interface {}, but received a int64",
    ),
    "an order without keys": ({"$setElementOrder/items": [{"x": "1"}]}, UnmergeableError, "does not contain declared merge key: name"),
    "an order of words": (
        {"$setElementOrder/items": ["p"]},
        UnmergeableError,
        r"expected a map\[string\]interface {}, but received a string",
    ),
    "an order that lacks an item": (
        {"$setElementOrder/items": named("p"), "items": named("q")},
        UnmergeableError,
        "doesn't match \\$setElementOrder list",
    ),
    "an order against the patch's": (
        {"$setElementOrder/items": named("p", "q"), "items": named("q", "p")},
        UnmergeableError,
        "order in patch",
    ),
    "a replacement behind the last name of an order": (
        {"$setElementOrder/items": named("p", "q"), "items": [*named("q"), {"$patch": "replace"}]},
        UnmergeableError,
        "doesn't match \\$setElementOrder list",
    ),
    "an order beside a null": (
        {"$setElementOrder/words": ["x"], "words": None},
        UnmergeableError,
        r"expected a \[\]interface {}, but received a %!s\(<nil>\)",
    ),
    "deletions that are no list": ({"$deleteFromPrimitiveList/words": "x"}, BadPatchError, "primitive list"),
    "a directive nobody knows": ({"$frob": 1}, BadPatchError, r"unknown directive \$frob"),
    "no object": ([], BadPatchError, "cannot unmarshal"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_patch_that_is_wrong_is_refused_in_upstreams_words(case: str):
    patch, error, text = REFUSED[case]
    document = {"items": named("p"), "words": ["w"], "choice": {"one": "1"}}
    with pytest.raises(error, match=text):
        apply(document, patch)
    assert document == {"items": named("p"), "words": ["w"], "choice": {"one": "1"}}


def test_patch_of_set_image_changes_one_container():
    """What `kubectl set image` sends."""
    containers = [{"name": "a", "image": "1", "env": [{"name": "E", "value": "1"}]}, {"name": "b", "image": "1"}]
    live = {"spec": {"template": {"spec": {"containers": containers}}}}
    patch = {
        "spec": {
            "template": {
                "spec": {
                    "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                    "containers": [{"name": "b", "image": "2"}],
                }
            }
        }
    }
    found = strategic.apply(live, patch, DEPLOYMENT)
    assert found == {"spec": {"template": {"spec": {"containers": [containers[0], {"name": "b", "image": "2"}]}}}}


def test_patch_of_service_ports_merges_by_port():
    """The merge key is `port`, though the list's identity for apply is port and protocol."""
    live = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 443, "protocol": "TCP"}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 443, "$patch": "delete"}]}}
    found = strategic.apply(live, patch, SERVICE)
    assert found == {"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]}}


def test_order_beside_a_list_that_is_replaced_as_a_whole_counts_for_nothing():
    """Objects without a merge key have no place in it."""
    role = builtin.schema_of(GroupVersionKind("rbac.authorization.k8s.io", "v1", "Role"))
    old: Object = {"rules": [{"verbs": ["get"]}, {"verbs": ["list"]}]}
    assert strategic.apply(old, {"$setElementOrder/rules": [], "rules": [1.5]}, role) == {"rules": [1.5]}


def test_new_service_may_have_a_port_twice():
    """A list that was not there is taken as it is: DNS listens on one port by two protocols."""
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert strategic.apply({"spec": {}}, {"spec": {"ports": ports}}, SERVICE) == {"spec": {"ports": ports}}


def difference(old: Json, new: Json, schema: Schema) -> Object:
    """The patch from one document to the other, as `kubectl apply` makes it: everything said by directives."""
    patch: Object = {name: None for name in old if name not in new}
    for name, value in new.items():
        node = schema.properties.get(name) or schema.additional or TEXT
        before = old.get(name)
        if value == before:
            continue
        if not isinstance(before, type(value)):
            patch[name] = value
        elif isinstance(value, dict):
            patch[name] = value if "replace" in node.patch_strategy else difference(before, value, node)
            if "retainKeys" in node.patch_strategy:
                patch[name] = {**patch[name], "$retainKeys": sorted(value)}
        elif isinstance(value, list) and "merge" in node.patch_strategy:
            patch.update(list_difference(name, before, value, node))
        else:
            patch[name] = value
    return patch


def list_difference(name: str, old: list[Json], new: list[Json], schema: Schema) -> Object:
    key, patch = schema.patch_merge_key, {}
    if not key:
        added, gone = [item for item in new if item not in old], [item for item in old if item not in new]
        if added:
            patch[name] = added
        if gone:
            patch["$deleteFromPrimitiveList/" + name] = gone
        return {**patch, "$setElementOrder/" + name: new}
    before = {item[key]: item for item in old}
    assert schema.items is not None
    changes = [
        {**difference(before.get(item[key], {}), item, schema.items), key: item[key]} for item in new if item != before.get(item[key])
    ]
    gone = [{"$patch": "delete", key: item[key]} for item in old if item[key] not in {other[key] for other in new}]
    if changes or gone:
        patch[name] = changes + gone
    return {**patch, "$setElementOrder/" + name: [{key: item[key]} for item in new]}


WORDS = st.sampled_from(["p", "q", "r", "s"])
WORD_LISTS = st.lists(WORDS, unique=True, max_size=4)
ITEMS = st.fixed_dictionaries({"name": WORDS}, optional={"x": WORDS, "y": WORDS, "tags": WORD_LISTS})
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "a": WORDS,
        "b": WORDS,
        "labels": st.dictionaries(WORDS, WORDS, max_size=3),
        "items": st.lists(ITEMS, unique_by=lambda item: item["name"], max_size=4),
        "words": WORD_LISTS,
        "plain": st.lists(ITEMS, max_size=3),
        "choice": st.dictionaries(st.sampled_from(["type", "one", "two"]), WORDS),
        "whole": st.dictionaries(st.sampled_from(["p", "q"]), WORDS),
    },
)


@pytest.mark.slow
@settings(max_examples=400, derandomize=True, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_patch_of_a_difference_restores_the_new_document(old: Object, new: Object):
    """diff, then patch: the new document, order of lists included; again: no change; and no directive is left."""
    patch = difference(old, new, KIND)
    found = apply(old, patch)
    assert found == new
    assert apply(found, patch) == new
    assert "$" not in str(found)


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_patch_touches_only_what_it_names(old: Object, new: Object, other: Object):
    """Applied to a third document, fields in which old and new agree stay as they are there."""
    patch = difference(old, new, KIND)
    try:
        found = apply(other, patch)
    except (BadPatchError, DoesNotApplyError, UnmergeableError):
        assume(False)
    for name in other:
        if old.get(name) == new.get(name):
            assert found[name] == other[name]
    assert "$" not in str(found)
    assert apply(found, patch) == found


def test_item_that_only_the_server_has_survives_a_merge():
    """The law of a merged list."""
    found = apply({"items": named("s1", "p", "s2")}, {"items": [{"name": "p", "x": "1"}], "$setElementOrder/items": named("p")})
    assert set(names(found["items"])) == {"s1", "p", "s2"}
