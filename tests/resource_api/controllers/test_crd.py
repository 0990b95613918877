"""Definitions become kinds when their names are free, and go when their objects are gone."""

from __future__ import annotations

import asyncio

import pytest

from resource_api.controllers.crd import schema_faults, settle
from resource_api.errors import Object, StatusError
from resource_api.printers.table import Tables
from resource_api.registry.objects import encode_stored
from resource_api.registry.requests import DeleteOptions, ListOptions, loopback
from resource_api.schema.custom_definitions import has_condition, is_established

from .definitions import World, definition, run, widget

NOW = "2026-01-01T00:00:00Z"


def reasons(status: Object) -> dict[str, tuple[str, str]]:
    """Type of each condition with its status and reason."""
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def settled(crd: Object, *others: Object) -> Object:
    """With its status."""
    return {**crd, "status": settle(crd, others, [("apps", "deployments"), ("policy.k8s.io", "rules")], NOW, schema_faults(crd))}


def test_definition_alone_is_established_with_all_its_names():
    """The conditions clients wait for, in upstream's order, and the names that won."""
    status = settled(definition(shortNames=["wd"]))["status"]
    assert [one["type"] for one in status["conditions"]] == ["NamesAccepted", "Established"]
    assert reasons(status) == {"NamesAccepted": ("True", "NoConflicts"), "Established": ("True", "InitialNamesAccepted")}
    assert status["acceptedNames"] == {
        "plural": "widgets",
        "kind": "Widget",
        "singular": "widget",
        "shortNames": ["wd"],
        "listKind": "WidgetList",
    }
    assert status["storedVersions"] == ["v1"]


@pytest.mark.parametrize(
    ("second", "reason", "message"),
    [
        (definition("widgets", "Other"), "SingularConflict", ""),
        (definition("gadgets", "Widget", singular="gadget"), "ListKindConflict", '"WidgetList" is already in use'),
        (definition("gadgets", "Gadget", singular="widget"), "SingularConflict", '"widget" is already in use'),
        (definition("gadgets", "Gadget", shortNames=["wd"]), "ShortNamesConflict", '"wd" is already in use'),
        (definition("gadgets", "Gadget", shortNames=["wd", "widget"]), "ShortNamesConflict", ""),
    ],
)
def test_name_in_use_is_not_accepted(second: Object, reason: str, message: str):
    """The later definition waits, with the reason of the last name that clashes; its other names are its own."""
    first = settled(definition(shortNames=["wd"]))
    status = settled(second, first)["status"]
    if second["spec"]["names"]["plural"] == "widgets":
        reason = "PluralConflict"
    assert reasons(status) == {"NamesAccepted": ("False", reason), "Established": ("False", "NotAccepted")}
    if message:
        assert status["conditions"][0]["message"] == message


def test_settling_twice_changes_nothing():
    """The decision is a fixed point: times stay when statuses do."""
    first = settled(definition(shortNames=["wd", "widget"]))
    again = settle(first, [], [], "2027-01-01T00:00:00Z")
    assert again == first["status"]


def test_name_that_became_free_is_accepted():
    """A conflict ends with the other's end."""
    first, second = settled(definition()), definition("gadgets", "Widget")
    waiting = settled(second, first)
    assert not is_established(waiting)
    assert is_established(settled(waiting))


def test_group_of_the_community_shows_its_approval():
    """The condition says how the annotation reads."""
    crd = definition(group="x.k8s.io")
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com/1"}
    kind = "KubernetesAPIApprovalPolicyConformant"
    assert reasons(settled(crd)["status"])[kind] == ("True", "ApprovedAnnotation")
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    assert reasons(settled(crd)["status"])[kind] == ("False", "UnapprovedAnnotation")


def test_plural_of_a_built_in_resource_is_taken():
    """A definition never stands in the way of a kind of the server's own."""
    assert not is_established(settled(definition("rules", "Rule", "policy.k8s.io")))


def test_definition_of_a_built_in_resource_goes_without_its_objects():
    """Deleted, it leaves what the server has of itself alone: other definitions stay and are still read, written and served."""

    async def scenario(world: World) -> None:
        await world.define(definition())
        crd = definition("customresourcedefinitions", "CustomResourceDefinition", "apiextensions.k8s.io")
        crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
        assert not is_established(await world.define(crd))
        await world.definitions.delete(loopback(), crd["metadata"]["name"], DeleteOptions())
        await world.settle()
        assert [one["metadata"]["name"] for one in await world.definitions.list_objects()] == ["widgets.example.com"]
        assert is_established(await world.define(definition("gadgets", "Gadget")))

    run(scenario)


def test_kind_is_served_when_its_condition_is_visible():
    """Objects can be made, defaulted and validated, as soon as the definition says so."""

    async def scenario(world: World) -> None:
        crd = await world.define(definition())
        assert is_established(crd)
        assert crd["metadata"]["generation"] == 1
        made = await world.widgets.create(world.context, widget("a", spec={}, status={"x": 1}))
        assert made["spec"] == {"size": 1}
        assert "status" not in made
        assert made["metadata"]["generation"] == 1
        with pytest.raises(StatusError) as refused:
            await world.widgets.create(world.context, widget("b", spec={"size": 10}))
        assert refused.value.code == 422
        assert refused.value.message == (
            'Widget.example.com "b" is invalid: spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9'
        )

    run(scenario)


def test_new_default_shows_in_old_objects_without_a_write():
    """Reads default with the schema of now; an object that became wrong can still be labelled."""

    async def scenario(world: World) -> None:
        await world.define(definition())
        made = await world.widgets.create(world.context, widget("a", spec={"size": 5}))

        def change(crd: Object) -> Object:
            fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            fields["color"] = {"type": "string", "default": "red"}
            fields["size"]["maximum"] = 3
            return crd

        await world.definitions.patch(loopback(), "widgets.example.com", change, patch_text="")
        await world.settle()
        seen = await world.widgets.get_object("default", "a")
        assert seen["spec"] == {"size": 5, "color": "red"}
        assert seen["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

        def label(obj: Object) -> Object:
            obj["metadata"]["labels"] = {"a": "b"}
            return obj

        await world.widgets.patch(world.context, "a", label, patch_text="")

    run(scenario)


def test_definition_in_conflict_is_served_when_the_other_goes():
    """Its endpoint is not there before; it comes by itself."""

    async def scenario(world: World) -> None:
        await world.define(definition())
        second = await world.define(definition("gadgets", "Widget", singular="gadget"))
        assert not has_condition(second, "NamesAccepted")
        assert world.api.get("example.com", "v1", "gadgets") is None
        await world.definitions.delete(loopback(), "widgets.example.com", DeleteOptions())
        await world.settle()
        assert is_established(await world.definitions.get_object("", "gadgets.example.com"))
        assert world.api.get("example.com", "v1", "gadgets") is not None

    run(scenario)


def test_deleted_definition_waits_for_its_objects():
    """Objects go by normal deletion, finalizers hold the definition, nothing is created meanwhile."""

    async def scenario(world: World) -> None:
        await world.define(definition())
        held = widget("held", spec={})
        held["metadata"]["finalizers"] = ["example.com/x"]
        await world.widgets.create(world.context, held)
        await world.widgets.create(world.context, widget("free", spec={}))
        code, marked = await world.definitions.delete(loopback(), "widgets.example.com", DeleteOptions())
        assert code == 200
        assert marked["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        await world.settle()
        crd = await world.definitions.get_object("", "widgets.example.com")
        assert reasons(crd["status"])["Terminating"] == ("True", "InstanceDeletionInProgress")
        assert [one["metadata"]["name"] for one in await world.widgets.list_objects()] == ["held"]
        with pytest.raises(StatusError) as refused:
            await world.widgets.create(world.context, widget("late", spec={}))
        text = "create not allowed while custom resource definition is terminating"
        assert (refused.value.code, refused.value.reason, refused.value.message) == (405, "MethodNotAllowed", text)

        def release(obj: Object) -> Object:
            obj["metadata"]["finalizers"] = []
            return obj

        await world.widgets.patch(world.context, "held", release, patch_text="")
        await world.settle()
        await world.settle()
        with pytest.raises(StatusError) as gone:
            await world.definitions.get_object("", "widgets.example.com")
        assert gone.value.code == 404
        assert world.api.get("example.com", "v1", "widgets") is None

    run(scenario)


def test_kinds_are_served_after_a_restart_before_anything_else():
    """What was established is there as soon as the controller has loaded."""

    async def first(world: World) -> None:
        await world.define(definition())
        await world.widgets.create(world.context, widget("a", spec={}))

    async def second(world: World) -> None:
        assert (await world.widgets.get_object("default", "a"))["spec"] == {"size": 1}

    run(second, run(first))


def test_versions_are_stored_in_one_and_read_in_all():
    """Strategy None changes the apiVersion and nothing else; the general version is preferred."""

    async def scenario(world: World) -> None:
        crd = definition()
        beta = {**crd["spec"]["versions"][0], "name": "v1beta1", "storage": False}
        crd["spec"]["versions"].insert(0, beta)
        await world.define(crd)
        assert world.widgets.type.version == "v1"
        made = await world.api.resource("example.com", "v1beta1", "widgets").create(
            world.context, {**widget("a", spec={}), "apiVersion": "example.com/v1beta1"}
        )
        assert made["apiVersion"] == "example.com/v1beta1"
        assert (await world.widgets.get_object("default", "a"))["apiVersion"] == "example.com/v1"

    run(scenario)


def test_table_of_a_kind_that_is_gone_has_its_columns():
    """Whoever is still told of the last objects is told in the columns the telling began with."""

    async def scenario(world: World) -> None:
        crd = definition()
        crd["spec"]["versions"][0]["additionalPrinterColumns"] = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
        await world.define(crd)
        made, type = await world.widgets.create(world.context, widget("a", spec={})), world.widgets.type
        await world.definitions.delete(loopback(), "widgets.example.com", DeleteOptions())
        await world.settle()
        assert world.api.get("example.com", "v1", "widgets") is None
        printed = Tables(lambda: 0.0)(type, [made])
        assert [column["name"] for column in printed.columns] == ["Name", "Size"]
        assert printed.rows == [(["a", 1], [])]

    run(scenario)


@pytest.mark.parametrize("kind", ["Widget", "Gadget"])
def test_definition_made_again_at_once_is_another_one(kind: str):
    """What was served of the one before, and its watches, are gone, though nobody saw the time between."""

    async def scenario(world: World) -> None:
        await world.define(definition())
        async with await world.widgets.reader.watch("", ListOptions()) as watching:
            key = "apiextensions.k8s.io/customresourcedefinitions/widgets.example.com"
            other = {**definition("widgets", kind), "status": {}}
            other["metadata"] = {**other["metadata"], "uid": "another"}
            world.store.remove(key)
            world.store.put(key, encode_stored(other))
            await world.settle()
            async with asyncio.timeout(60):
                assert [notice async for notices in watching for notice in notices] == []
        assert world.widgets.type.kind == kind
        made = await world.widgets.create(world.context, {**widget("a", spec={}), "kind": kind})
        assert made["spec"] == {"size": 1}
        assert [one["kind"] for one in await world.widgets.list_objects()] == [kind]

    run(scenario)
