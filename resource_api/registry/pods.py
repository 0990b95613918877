"""What clients do to pods besides changing them: bind one to a node, evict one (spec B.12; upstream's registry/core/pod)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resource_api import errors
from resource_api.cache.selectors import label_selector_of
from resource_api.errors import Cause, Object, StatusError
from resource_api.registry.objects import name_of
from resource_api.registry.requests import OWN, Action, ActionName, Context, DeleteOptions, loopback
from resource_api.registry.scale import not_this, success
from resource_api.schema.times import rfc3339

if TYPE_CHECKING:
    from resource_api.registry.api import Api
    from resource_api.registry.resource import Resource

BUDGET_TEXT = "Cannot evict pod as it would violate the pod's disruption budget."
RETRY_AFTER_S = 10


class Binding:
    """POST pods/NAME/binding, and POST bindings: the scheduler's decision."""

    def __init__(self, pods: Resource) -> None:
        self._pods = pods

    async def __call__(self, ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        """201 and a Status. Raises StatusError: 404, 409 when the pod has a node already, 422."""
        wrong = not_this("Binding", body)
        if wrong is not None:
            raise wrong
        metadata, target = body.get("metadata") or {}, body.get("target") or {}
        name = name or str(metadata.get("name") or "")
        problems = []
        if target.get("kind") not in (None, "", "Node"):
            problems.append(errors.not_supported("target.kind", target["kind"], ["Node", "<empty>"]))
        if not target.get("name"):
            problems.append(errors.required("target.name"))
        if problems:
            raise errors.invalid_object("", "Binding", name, problems)
        now = rfc3339(self._pods.clock.wall_s())

        def bind(pod: Object) -> Object:
            self._check(pod, name, metadata)
            pod["spec"]["nodeName"] = target["name"]
            for field in ("annotations", "labels"):
                if metadata.get(field):
                    pod["metadata"].setdefault(field, {}).update(metadata[field])
            status = pod.setdefault("status", {})
            conditions = [one for one in status.get("conditions") or [] if one.get("type") != "PodScheduled"]
            scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
            status["conditions"] = [*conditions, scheduled]
            return pod

        await self._pods.patch(ctx, name, bind, patch_text="", subresource="binding")
        return 201, success()

    def _check(self, pod: Object, name: str, metadata: Object) -> None:
        if metadata.get("uid") and metadata["uid"] != pod["metadata"].get("uid"):
            detail = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {pod['metadata'].get('uid')}"
            raise errors.conflict("", "pods/binding", name, detail)
        if pod["metadata"].get("deletionTimestamp"):
            raise errors.conflict("", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
        node = pod["spec"].get("nodeName")
        if node:
            raise errors.conflict("", "pods/binding", name, f'pod {name} is already assigned to node "{node}"')
        if pod["spec"].get("schedulingGates"):
            detail = f"pod {name} has non-empty .spec.schedulingGates"
            raise errors.conflict("", "pods/binding", name, detail)


class Eviction:
    """POST pods/NAME/eviction: a deletion that asks the pod's disruption budget first."""

    def __init__(self, api: Api, pods: Resource) -> None:
        self._api = api
        self._pods = pods

    async def __call__(self, ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        """201 and a Status. Raises StatusError: 404, 429 while the budget forbids it, 500 for a pod with several budgets."""
        wrong = not_this("Eviction", body)
        if wrong is not None:
            raise wrong
        given = name_of(body)
        if given and given != name:
            raise errors.bad_request("name in URL does not match name in Eviction object")
        pod = await self._pods.get_object(ctx.namespace, name)
        if not _ignores_budgets(pod):
            budgets = self._budgets_of(pod)
            if len(budgets) > 1:
                text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
                raise errors.internal_error(text)
            if budgets:
                await self._charge(ctx, pod, budgets[0])
        await self._pods.delete(ctx, name, _delete_options(body.get("deleteOptions") or {}))
        return 201, success()

    def _budgets_of(self, pod: Object) -> Sequence[Object]:
        found = (item.object() for item in self._api.items_nowait("policy", "poddisruptionbudgets", pod["metadata"]["namespace"]))
        labels = pod["metadata"].get("labels") or {}
        return [one for one in found if "selector" in one["spec"] and label_selector_of(one["spec"]["selector"]).matches(labels)]

    async def _charge(self, ctx: Context, pod: Object, budget: Object) -> None:
        policy, status = budget["spec"].get("unhealthyPodEvictionPolicy"), budget.get("status") or {}
        if not _is_ready(pod) and (policy == "AlwaysAllow" or 0 < status.get("desiredHealthy", 0) <= status.get("currentHealthy", 0)):
            return
        budgets = self._api.find("policy", "poddisruptionbudgets")
        name, now = pod["metadata"]["name"], rfc3339(self._pods.clock.wall_s())

        def charge(one: Object) -> Object:
            _check_budget(one)
            one["status"]["disruptionsAllowed"] -= 1
            one["status"].setdefault("disruptedPods", {})[name] = now
            return one

        if ctx.dry_run:
            _check_budget(budget)
            return
        context = loopback(pod["metadata"]["namespace"])
        await budgets.patch(context, budget["metadata"]["name"], charge, patch_text="", subresource="status")


def _check_budget(budget: Object) -> None:
    status, name = budget.get("status") or {}, budget["metadata"]["name"]
    allowed = status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", RETRY_AFTER_S)
    if allowed < 0:
        raise errors.forbidden("policy", "poddisruptionbudgets", name, "pdb disruptions allowed is negative")
    if allowed == 0:
        healthy = f"needs {status.get('desiredHealthy', 0)} healthy pods and has {status.get('currentHealthy', 0)} currently"
        raise _refused(f"The disruption budget {name} {healthy}", 0)


def _refused(detail: str, retry_after_s: int) -> StatusError:
    return errors.too_many_requests(BUDGET_TEXT, retry_after_s, [Cause("DisruptionBudget", detail)])


def _ignores_budgets(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _delete_options(body: Object) -> DeleteOptions:
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace_period_s=body.get("gracePeriodSeconds"),
        propagation=body.get("propagationPolicy") or "",
        orphan_dependents=body.get("orphanDependents"),
        precondition_uid=preconditions.get("uid"),
        precondition_resource_version=preconditions.get("resourceVersion"),
    )


def pod_actions(api: Api) -> dict[ActionName, Action]:
    """What a POST to each of them does."""
    pods = api.find("", "pods")
    return {
        ("", "bindings", OWN): Binding(pods),
        ("", "pods", "binding"): Binding(pods),
        ("", "pods", "eviction"): Eviction(api, pods),
    }
