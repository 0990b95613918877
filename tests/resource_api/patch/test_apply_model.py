"""Field ownership against a model that knows nothing but leaves, who owns them, and the rules in words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Object, StatusError
from resource_api.patch.apply import FieldOwnership
from resource_api.patch.field_sets import paths
from resource_api.patch.managed_fields import without_times
from resource_api.schema.kinds import FULL_VERBS, ResourceType
from resource_api.schema.types import Schema
from tests.resource_api.patch.ownership import LATER, NOW, applied, entries

TEXT = Schema("string")

MODEL = FieldOwnership(
    Schema(
        "object",
        properties={
            "apiVersion": TEXT,
            "kind": TEXT,
            "metadata": Schema("object", properties={"name": TEXT, "uid": TEXT}),
            "x": TEXT,
            "sub": Schema("object", properties={"y": TEXT, "z": TEXT}),
            "labels": Schema("object", additional=TEXT),
            "words": Schema("array", items=TEXT, list_type="set"),
            "plain": Schema("array", items=TEXT),
            "one": Schema("object", properties={"p": TEXT, "q": TEXT}, map_type="atomic"),
        },
    ),
    ResourceType("e.com", "v1", "W", "ws", "w", True, FULL_VERBS, custom=True),
)

WORDS = st.sampled_from(["p", "q"])
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "x": WORDS,
        "sub": st.fixed_dictionaries({}, optional={"y": WORDS, "z": WORDS}).filter(bool),
        "labels": st.dictionaries(WORDS, WORDS, min_size=1),
        "words": st.lists(WORDS, unique=True, min_size=1),
        "plain": st.lists(WORDS, min_size=1, max_size=2),
        "one": st.dictionaries(WORDS, WORDS, min_size=1),
    },
)
WRITES = st.lists(
    st.tuples(st.sampled_from(["apply", "force", "update"]), st.sampled_from(["m", "n", "o"]), CONFIGS), min_size=1, max_size=7
)


def leaves(obj: Object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in obj.items():
        if name in ("sub", "labels"):
            found |= {f"f:{name}/f:{key}": part for key, part in (value or {}).items()}
        elif name == "words":
            found |= {f'f:words/v:"{word}"': word for word in value or []}
        elif name not in ("apiVersion", "kind", "metadata") and value is not None:
            found[f"f:{name}"] = value
    return found


class Naive:
    """Values of leaves, and for each owner the leaves that are his."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.owners: dict[tuple[str, str], set[str]] = {}

    def update(self, by: str, wanted: dict[str, Any]) -> None:
        changed = {path for path in wanted if self.values.get(path) != wanted[path]}
        gone = set(self.values) - set(wanted)
        for mine in self.owners.values():
            mine -= changed | gone
        self.owners.setdefault((by, "Update"), set()).update(changed)
        self.values = dict(wanted)

    def conflicts(self, by: str, wanted: dict[str, Any]) -> set[str]:
        others = [mine for owner, mine in self.owners.items() if owner != (by, "Apply")]
        return {path for path in wanted for mine in others if path in mine and self.values.get(path) != wanted[path]}

    def apply(self, by: str, wanted: dict[str, Any]) -> None:
        before = self.owners.get((by, "Apply"), set())
        others = [mine for owner, mine in self.owners.items() if owner != (by, "Apply")]
        for mine in others:
            mine -= {path for path in wanted if self.values.get(path) != wanted[path]}
        self.values |= wanted
        for path in before - set(wanted):
            if not any(path in mine for mine in others):
                self.values.pop(path, None)
        self.owners[by, "Apply"] = set(wanted)


def found_owners(obj: Object) -> dict[tuple[str, str], set[str]]:
    """Leaves only: that a map itself belongs to somebody is outside the model."""
    result = {}
    for entry in entries(obj):
        mine = {"/".join(path) for path in paths(entry["fieldsV1"])} - {"f:sub", "f:labels", "f:words"}
        if mine:
            result[entry["manager"], entry["operation"]] = mine
    return result


@pytest.mark.slow
@settings(max_examples=300, derandomize=True, deadline=None)
@given(CONFIGS, WRITES)
def test_writes_in_any_order_own_what_the_naive_model_says(first: Object, writes: list[tuple[str, str, Object]]):
    """Own fields win or conflict, force takes, what is no longer applied goes unless owned elsewhere, and apply again is a no-op."""
    head = {"apiVersion": "e.com/v1", "kind": "W", "metadata": {"name": "w"}}
    naive = Naive()
    naive.update("creator", leaves(first))
    live = MODEL.on_update(None, {**copy.deepcopy(head), **copy.deepcopy(first)}, manager="creator", now=NOW)
    live["metadata"]["uid"] = "u"
    for verb, by, config in writes:
        wanted = leaves(config)
        if not entries(live):
            # Without account the next apply would start one; the model has no such rule.
            return
        if verb == "update":
            naive.update(by, wanted)
            metadata = {**head["metadata"], "uid": "u"}
            live = MODEL.on_update(live, {**head, "metadata": metadata, **copy.deepcopy(config)}, manager=by, now=NOW)
        else:
            conflicts = naive.conflicts(by, wanted)
            try:
                new = applied(MODEL, live, {**head, **config}, by=by, force=verb == "force")
            except StatusError as error:
                assert verb == "apply"
                assert len(conflicts) == len({cause.field for cause in error.causes})
                continue
            assert verb == "force" or not conflicts
            naive.apply(by, wanted)
            live = new
            assert applied(MODEL, live, {**head, **config}, by=by, now=LATER) == live
        assert leaves(live) == naive.values
        assert found_owners(live) == {owner: mine for owner, mine in naive.owners.items() if mine}


@pytest.mark.slow
@settings(max_examples=100, derandomize=True, deadline=None)
@given(CONFIGS, CONFIGS)
def test_apply_of_nothing_more_takes_everything_back(first: Object, second: Object):
    """One owner alone: the object is what he applied last."""
    head = {"apiVersion": "e.com/v1", "kind": "W", "metadata": {"name": "w"}}
    live = applied(MODEL, None, {**head, **first})
    live = applied(MODEL, live, {**head, **second})
    assert leaves(live) == leaves(second)
    assert without_times(entries(live)) == without_times(entries(applied(MODEL, None, {**head, **second})))
