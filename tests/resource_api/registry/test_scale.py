"""The scale of workloads and of custom kinds: another face of the replica count (spec B.12)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from resource_api.errors import Object, StatusError
from resource_api.patch import merge
from resource_api.registry.custom import custom_models
from resource_api.registry.scale import ScalePaths, ScaleView, at_path, put_at_path
from tests.resource_api.controllers.definitions import definition, widget
from tests.resource_api.registry.builtins import object_of
from tests.resource_api.world import World, refusal, run


async def deployed(world: World, **labels: str) -> tuple[ScaleView, Object]:
    """A Deployment, and the scale of Deployments."""
    made = await world.create(object_of("Deployment"))
    scale = world.of("deployments", "apps").scale
    assert scale is not None
    return scale, made


def test_scale_shows_identity_count_and_selector():
    """As autoscaling/v1 has it; the selector is text."""

    async def scenario(world: World) -> None:
        scale, made = await deployed(world)
        metadata = made["metadata"]
        kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        found = await scale.get(world.context(), metadata["name"])
        assert found["metadata"] == {field: metadata[field] for field in kept}
        assert (found["kind"], found["apiVersion"]) == ("Scale", "autoscaling/v1")
        assert found["spec"] == {"replicas": made["spec"]["replicas"]}
        labels = made["spec"]["selector"]["matchLabels"]
        assert found["status"] == {"replicas": 0, "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}

    run(scenario)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a notin (x)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, "!b,a"),
        ({"a": "1"}, "a=1"),
        ({}, ""),
    ],
)
def test_selector_is_written_as_upstream_writes_it(selector: Object, text: str):
    """Sorted by key; a ReplicationController's is a plain map."""

    async def scenario(world: World) -> None:
        scale, made = await deployed(world)
        found = scale.of({**made, "spec": {**made["spec"], "selector": selector}})
        assert set(found["status"].get("selector", "").split(",")) == set(text.split(","))

    run(scenario)


def test_put_and_patch_change_the_count_and_nothing_else():
    """The generation rises; a count of nothing is zero."""

    async def scenario(world: World) -> None:
        scale, made = await deployed(world)
        name = made["metadata"]["name"]
        body = await scale.get(world.context(), name)
        body["spec"] = {"replicas": 7}
        answer = await scale.update(world.context(), name, body)
        assert answer["spec"] == {"replicas": 7}
        found = await world.find(made)
        assert found is not None
        assert found["spec"] == {**made["spec"], "replicas": 7}
        assert found["metadata"]["generation"] == 2
        assert answer["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]

        def none(one: Object) -> Object:
            return {**one, "spec": {}}

        assert (await scale.patch(world.context(), name, none, patch_text="{}"))["spec"] == {}
        found = await world.find(made)
        assert found is not None
        assert found["spec"]["replicas"] == 0

    run(scenario)


def test_old_version_in_a_scale_is_a_conflict():
    """The version of the scale is the object's."""

    async def scenario(world: World) -> None:
        scale, made = await deployed(world)
        name = made["metadata"]["name"]
        body = await scale.get(world.context(), name)
        await world.change(made, lambda obj: obj["metadata"].update(labels={"x": "y"}))
        error = await refusal(scale.update(world.context(), name, {**body, "spec": {"replicas": 3}}))
        assert (error.code, error.reason) == (409, "Conflict")
        await scale.update(world.context(), name, {**body, "metadata": {"name": name}, "spec": {"replicas": 3}})

    run(scenario)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"metadata": {"name": "other"}}, 400),
        ({"kind": "Deployment"}, 400),
        ({"spec": {"replicas": -1}}, 422),
        ({"spec": {"replicas": "3"}}, 400),
        ({"spec": {"replicas": True}}, 400),
    ],
)
def test_scale_that_is_none_is_refused(change: Any, code: int):
    """Nothing is written."""

    async def scenario(world: World) -> None:
        scale, made = await deployed(world)
        name, before = made["metadata"]["name"], world.store.now
        body = {**await scale.get(world.context(), name), **change}
        assert (await refusal(scale.update(world.context(), name, body))).code == code
        assert world.store.now == before

    run(scenario)


def test_custom_kind_says_where_its_count_stands():
    """Its selector is text already; values of other types are told as upstream tells them."""
    paths = ScalePaths(".spec.size.count", ".status.count", ".status.selector", custom=True)

    async def scenario(world: World) -> None:
        view = ScaleView(world.of("configmaps"), paths)
        obj = {"metadata": {"name": "w", "uid": "u"}, "spec": {"size": {"count": 2}}, "status": {"count": 1, "selector": "a=b"}}
        found = view.of(obj)
        assert (found["spec"], found["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})
        for wrong, text in (
            ({"spec": {"size": {"count": "2"}}}, ".spec.size.count accessor error: 2 is of the type string, expected int64"),
            ({"spec": {"size": [1]}}, ".spec.size accessor error: [1] is of the type []interface {}, expected map[string]interface{}"),
            ({"status": {"selector": 3}}, ".status.selector accessor error: 3 is of the type int64, expected string"),
        ):
            with pytest.raises(StatusError) as refused:
                view.of({**obj, **wrong})
            assert (refused.value.code, refused.value.message) == (500, text)

    run(scenario)


def test_custom_object_without_a_count_is_given_one():
    """Reading its scale is refused, and so is a patch that leaves it without; nothing is the zero that clients leave out."""

    async def scenario(world: World) -> None:
        crd = definition()
        crd["spec"]["versions"][0]["subresources"]["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
        }
        [model] = custom_models(crd)
        resource = world.catalog.resource(model, scale=model.scale_paths)
        world.api.add(resource)
        view = resource.scale
        assert view is not None

        def patch(body: Object) -> Callable[[Object], Object]:
            return lambda scale: merge.apply(scale, body)  # type: ignore[return-value]

        async def made(name: str, **fields: Any) -> None:
            await resource.create(world.context(), widget(name, **fields))

        async def count(name: str) -> Any:
            return (await resource.get_object("default", name))["spec"].get("replicas")

        await made("a", spec={})
        error = await refusal(view.get(world.context(), "a"))
        text = 'Internal error occurred: the spec replicas field ".spec.replicas" does not exist'
        assert (error.code, error.message) == (500, text)
        for nothing in ({}, {"metadata": {"labels": {"x": "y"}}}):
            error = await refusal(view.patch(world.context(), "a", patch(nothing), patch_text=""))
            assert (error.code, error.message) == (400, 'the spec replicas field ".spec.replicas" cannot be empty')
        answer = await view.patch(world.context(), "a", patch({"spec": {"replicas": 3}}), patch_text="")
        assert (answer["spec"], await count("a")) == ({"replicas": 3}, 3)
        answer = await view.patch(world.context(), "a", patch({"spec": {"replicas": None}}), patch_text="")
        assert (answer["spec"], await count("a")) == ({}, 0)
        assert (await view.get(world.context(), "a"))["spec"] == {}
        error = await refusal(view.patch(world.context(), "a", patch({"spec": {"replicas": -1}}), patch_text=""))
        assert (error.code, error.message) == (
            422,
            'Widget.example.com "a" is invalid: .spec.replicas: Invalid value: -1: should be a non-negative integer',
        )
        for name, spec, wanted in (("b", {"replicas": 5}, 5), ("c", {}, 0)):
            await made(name)
            scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
            answer = await view.update(world.context(), name, scale)
            assert (answer["spec"], await count(name)) == (spec, wanted)

    run(scenario)


def test_paths_are_walked_and_made():
    """What is no object on the way ends the walk."""
    obj: Object = {"a": {"b": 1}}
    assert [at_path(obj, path) for path in (".a.b", ".a", ".a.c", ".a.b.c", ".x.y")] == [1, {"b": 1}, None, None, None]
    before = copy.deepcopy(obj)
    put_at_path(obj, ".x.y.z", 2)
    assert obj == {**before, "x": {"y": {"z": 2}}}
