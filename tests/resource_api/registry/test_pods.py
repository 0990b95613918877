"""Binding a pod to a node, and evicting one (spec B.12)."""

from __future__ import annotations

from typing import Any

import pytest

from resource_api.errors import Object
from resource_api.registry.pods import Binding, Eviction
from tests.resource_api.registry.builtins import object_of
from tests.resource_api.world import World, refusal, run


async def a_pod(world: World, name: str = "p", **status: Any) -> Object:
    """Pending, or with that status."""
    pod = {**object_of("Pod"), "metadata": {"name": name, "namespace": "default", "labels": {"app": "x"}}}
    made = await world.create(pod)
    return await world.change(made, lambda obj: obj["status"].update(status), "status") if status else made


def binding(**fields: Any) -> Object:
    """To node `n`."""
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}, **fields}


def test_binding_sets_the_node_and_says_when():
    """With the annotations and labels it brings; once."""

    async def scenario(world: World) -> None:
        pod = await a_pod(world)
        bind = Binding(world.of("pods"))
        body = binding(metadata={"name": "p", "annotations": {"a": "b"}, "uid": pod["metadata"]["uid"]})
        assert (await bind(world.context(), "p", body))[0] == 201
        found = await world.find(pod)
        assert found is not None
        assert (found["spec"]["nodeName"], found["metadata"]["annotations"]["a"]) == ("n", "b")
        condition = next(one for one in found["status"]["conditions"] if one["type"] == "PodScheduled")
        assert (condition["status"], condition["lastTransitionTime"]) == ("True", "2027-01-15T08:00:00Z")
        error = await refusal(bind(world.context(), "p", binding(target={"name": "other"})))
        assert (error.code, 'pod p is already assigned to node "n"' in error.message) == (409, True)

    run(scenario)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (binding(target={}), 422, "target.name: Required value"),
        (binding(target={"kind": "Pod", "name": "n"}), 422, 'target.kind: Unsupported value: "Pod"'),
        (binding(metadata={"name": "p", "uid": "other"}), 409, "UID in precondition: other"),
        (binding(kind="Eviction"), 400, "expected Binding"),
    ],
)
def test_binding_that_cannot_be_is_refused(body: Object, code: int, text: str):
    """And the pod has no node."""

    async def scenario(world: World) -> None:
        pod = await a_pod(world)
        error = await refusal(Binding(world.of("pods"))(world.context(), "p", body))
        assert (error.code, text in error.message) == (code, True), error.message
        found = await world.find(pod)
        assert found is not None
        assert "nodeName" not in found["spec"]

    run(scenario)


def test_binding_of_a_pod_that_ends_or_is_gated_is_refused():
    """Nor of one that is not there."""

    async def scenario(world: World) -> None:
        bind = Binding(world.of("pods"))
        assert (await refusal(bind(world.context(), "none", binding()))).code == 404
        pod = await a_pod(world)
        await world.change(pod, lambda obj: obj["metadata"].update(finalizers=["example.com/hold"]))
        await world.delete(pod)
        assert "is being deleted" in (await refusal(bind(world.context(), "p", binding()))).message
        gated = {**object_of("Pod"), "metadata": {"name": "g", "namespace": "default"}}
        gated["spec"] = {**gated["spec"], "schedulingGates": [{"name": "wait"}]}
        await world.create(gated)
        error = await refusal(bind(world.context(), "g", binding(metadata={"name": "g"})))
        assert "non-empty .spec.schedulingGates" in error.message

    run(scenario)


READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


async def budget(world: World, name: str = "b", allowed: int = 1, observed: int = 1, **spec: Any) -> Object:
    """A disruption budget over `app=x`, with its status as its controller writes it."""
    made = await world.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}, **spec},
        }
    )
    status = {"disruptionsAllowed": allowed, "desiredHealthy": 1, "currentHealthy": 1, "expectedPods": 1, "observedGeneration": observed}
    made = await world.change(made, lambda obj: obj.update(status=status), "status")
    await world.of("poddisruptionbudgets", "policy").list_objects()
    return made


def evict(world: World) -> Eviction:
    """The action."""
    return Eviction(world.api, world.of("pods"))


def test_eviction_without_a_budget_is_a_deletion():
    """With the options it brings."""

    async def scenario(world: World) -> None:
        pod = await a_pod(world, **READY)
        error = await refusal(evict(world)(world.context(), "p", {"deleteOptions": {"preconditions": {"uid": "other"}}}))
        assert error.code == 409
        assert (await evict(world)(world.context(), "p", {}))[0] == 201
        assert await world.find(pod) is None
        assert (await refusal(evict(world)(world.context(), "p", {}))).code == 404

    run(scenario)


def test_eviction_charges_the_budget_until_nothing_is_left():
    """429 with the budget's words; nobody knows when there is something to give again."""

    async def scenario(world: World) -> None:
        first, second = await a_pod(world, **READY), await a_pod(world, "q", **READY)
        kept = await budget(world)
        await evict(world)(world.context(), "p", {})
        assert await world.find(first) is None
        found = await world.find(kept)
        assert found is not None
        assert found["status"]["disruptionsAllowed"] == 0
        assert list(found["status"]["disruptedPods"]) == ["p"]
        error = await refusal(evict(world)(world.context(), "q", {}))
        assert (error.code, error.reason, error.retry_after_s) == (429, "TooManyRequests", 0)
        assert error.message == "Cannot evict pod as it would violate the pod's disruption budget."
        (cause,) = error.causes
        assert (cause.reason, cause.message) == ("DisruptionBudget", "The disruption budget b needs 1 healthy pods and has 1 currently")
        assert await world.find(second) is not None

    run(scenario)


def test_budget_that_is_behind_its_spec_is_waited_for():
    """429, and when to come back."""

    async def scenario(world: World) -> None:
        await a_pod(world, **READY)
        await budget(world, observed=0)
        error = await refusal(evict(world)(world.context(), "p", {}))
        assert (error.code, error.retry_after_s) == (429, 10)
        assert error.causes[0].message == "The disruption budget b is still being processed by the server."

    run(scenario)


def test_pod_of_two_budgets_cannot_be_evicted():
    """500, as upstream."""

    async def scenario(world: World) -> None:
        await a_pod(world, **READY)
        await budget(world)
        await budget(world, "c")
        error = await refusal(evict(world)(world.context(), "p", {}))
        assert (error.code, "more than one PodDisruptionBudget" in error.message) == (500, True)

    run(scenario)


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pod_that_serves_nobody_costs_no_budget(phase: str):
    """It goes although nothing is allowed."""

    async def scenario(world: World) -> None:
        pod = await a_pod(world, phase=phase)
        kept = await budget(world, allowed=0)
        await evict(world)(world.context(), "p", {})
        assert await world.find(pod) is None
        assert await world.find(kept) == kept

    run(scenario)


def test_dry_eviction_changes_neither_pod_nor_budget():
    """It only says whether it could be."""

    async def scenario(world: World) -> None:
        pod = await a_pod(world, **READY)
        kept = await budget(world)
        before = world.store.now
        assert (await evict(world)(world.context(dry_run=True), "p", {}))[0] == 201
        assert world.store.now == before
        assert await world.find(pod) == pod
        assert await world.find(kept) == kept

    run(scenario)
