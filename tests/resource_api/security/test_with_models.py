"""What this package writes and adds, judged by the kinds' own rules."""

from __future__ import annotations

import asyncio
import copy

import pytest

from resource_api.errors import Object
from resource_api.registry.admission import Admission
from resource_api.registry.builtin import builtin_models
from resource_api.security.admission.plugins import Surroundings, plugins
from resource_api.security.authorization import AlwaysAllow
from resource_api.security.bootstrap_policy import everything
from resource_api.security.rbac import PolicyIndex
from tests.resource_api.security.admission.test_limits_and_quota import limit_range, quota
from tests.resource_api.security.admission.test_service_account import account
from tests.resource_api.security.admission.test_small_plugins import namespace, priority_class, runtime_class
from tests.resource_api.security.cluster import FakeCluster, SetClock, request


@pytest.mark.slow
def test_bootstrap_objects_are_valid_and_stay_as_they_are():
    """No unknown field, no fault, and a defaulted one is complete: a restart writes nothing."""
    models = builtin_models()
    for wanted in everything():
        model = next(model for (group, _, plural), model in models.items() if (group, plural) == (wanted.group, wanted.plural))
        for original in wanted.objects:
            obj = copy.deepcopy(original)
            model.default(obj)
            assert model.prune(obj) == []
            assert model.check_name(obj["metadata"]["name"]) == []
            assert [str(problem) for problem in model.validate(obj, None)] == []
            assert wanted.complete(obj, original) is obj


@pytest.mark.slow
def test_admitted_pod_is_valid_and_fully_defaulted():
    """What all plugins add needs no defaulting after them and breaks no rule of pods."""
    scheduling = {"nodeSelector": {"a": "1"}, "tolerations": [{"key": "k", "operator": "Exists"}]}
    cluster = FakeCluster(
        namespace(),
        account(imagePullSecrets=[{"name": "pull"}]),
        priority_class("usual", 5, globalDefault=True),
        runtime_class(handler="x", overhead={"podFixed": {"cpu": "100m"}}, scheduling=scheduling),
        limit_range({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "500m"}}),
        quota({"pods": "1", "limits.cpu": "2"}),
    )
    model = builtin_models()["", "v1", "pods"]
    obj: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "x"}], "runtimeClassName": "sandbox"},
    }
    model.default(obj)
    write = request("Pod", "pods", obj)

    async def passes() -> None:
        admission = Admission(plugins(Surroundings(cluster, SetClock(), AlwaysAllow(), PolicyIndex(), tuple)))
        await admission.admit(write)
        await admission.validate(write)
        await admission.settle(write, written=True)

    asyncio.run(passes())
    admitted = copy.deepcopy(obj)
    model.default(obj)
    assert obj == admitted
    assert model.prune(obj) == []
    assert [str(problem) for problem in model.validate(obj, None)] == []
    assert obj["spec"]["priority"] == 5 and obj["spec"]["overhead"] == {"cpu": "100m"}
    used = cluster.find("", "resourcequotas").objects["default", "q"]["status"]["used"]
    # A sandbox's overhead counts on top of limits as it does of requests.
    assert used == {"pods": "1", "limits.cpu": "1100m"}
