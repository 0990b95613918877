"""LimitRanger and ResourceQuota."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.errors import Object, StatusError
from resource_api.registry.admission import Admission, AdmissionRequest
from resource_api.schema.kinds import ResourceType
from resource_api.schema.quantity import amount
from resource_api.security.admission.limit_ranger import LimitRanger
from resource_api.security.admission.pod_resources import pod_totals
from resource_api.security.admission.quota_usage import counts_for, usage_of
from resource_api.security.admission.resource_quota import ResourceQuota
from tests.resource_api.security.admission.test_small_plugins import pod, refusal, run
from tests.resource_api.security.cluster import FakeCluster, FakeResource, request


def limit_range(*limits: Object) -> Object:
    metadata = {"name": "l", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": list(limits)}}


def container(name: str = "c", *, requests: Any = None, limits: Any = None) -> Object:
    resources = {part: values for part, values in (("requests", requests), ("limits", limits)) if values}
    return {"name": name, **({"resources": resources} if resources else {})}


def test_defaults_fill_gaps_and_are_told():
    """What a container says stays; an annotation lists what was set."""
    plugin = LimitRanger(
        FakeCluster(limit_range({"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "0.5"}}))
    )
    obj = pod(containers=[container("a", limits={"cpu": "2"}), container("b")], initContainers=[container("i", requests={"cpu": "1"})])
    run(plugin, request("Pod", "pods", obj))
    a, b = obj["spec"]["containers"]
    assert a["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    assert b["resources"] == {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    assert obj["spec"]["initContainers"][0]["resources"]["requests"] == {"cpu": "1"}
    assert obj["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: memory limit for container a; cpu request for container a; cpu, memory limit for container b; "
        "cpu request for container b; cpu, memory limit for init container i"
    )


@pytest.mark.parametrize(
    ("limit", "resources", "text"),
    [
        ({"min": {"cpu": "1"}}, {}, "minimum cpu usage per Container is 1.  No request is specified"),
        ({"min": {"cpu": "1"}}, {"requests": {"cpu": "500m"}}, "minimum cpu usage per Container is 1, but request is 500m"),
        ({"min": {"cpu": "1"}}, {"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}},
         "minimum cpu usage per Container is 1, but limit is 500m"),
        ({"max": {"memory": "1Gi"}}, {}, "maximum memory usage per Container is 1Gi.  No limit is specified"),
        ({"max": {"memory": "1Gi"}}, {"limits": {"memory": "2Gi"}}, "maximum memory usage per Container is 1Gi, but limit is 2Gi"),
        ({"max": {"cpu": "1"}}, {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}},
         "maximum cpu usage per Container is 1, but request is 2"),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}},
         "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {"limits": {"cpu": "3"}},
         "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {"requests": {"cpu": "3"}},
         "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"),
    ],
)  # fmt: skip
def test_bounds_of_containers_are_upstreams_sentences(limit, resources, text):
    """One per bound."""
    plugin = LimitRanger(FakeCluster(limit_range({"type": "Container", **limit})))
    assert refusal(plugin, request("Pod", "pods", pod(containers=[container(**resources)]))) == f'pods "p" is forbidden: {text}'


def test_several_problems_stand_in_brackets_and_pods_are_summed():
    """Pod bounds count all containers together; claims have requests only."""
    plugin = LimitRanger(FakeCluster(limit_range({"type": "Pod", "max": {"cpu": "1", "memory": "1Gi"}})))
    both = [container("a", limits={"cpu": "600m"}), container("b", limits={"cpu": "600m"})]
    assert refusal(plugin, request("Pod", "pods", pod(containers=both))).endswith(
        "[maximum cpu usage per Pod is 1, but limit is 1200m, maximum memory usage per Pod is 1Gi.  No limit is specified]"
    )
    claims = LimitRanger(FakeCluster(limit_range({"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}})))
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    assert "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi" in refusal(
        claims, request("PersistentVolumeClaim", "persistentvolumeclaims", claim)
    )


def test_pod_totals_count_init_containers_and_sidecars():
    """The highest init container, sidecars beside everything, overhead on top, pod-level values first."""
    spec: Object = {
        "containers": [container("a", requests={"cpu": "1"}), container("b", requests={"cpu": "500m"})],
        "initContainers": [
            {**container("side", requests={"cpu": "1"}), "restartPolicy": "Always"},
            container("big", requests={"cpu": "3", "memory": "1Gi"}),
        ],
        "overhead": {"cpu": "100m"},
    }
    assert pod_totals(spec, "requests") == {"cpu": "4100m", "memory": "1Gi"}
    spec["initContainers"].pop()
    assert pod_totals(spec, "requests") == {"cpu": "2600m"}
    spec["resources"] = {"requests": {"cpu": "9"}}
    assert pod_totals(spec, "requests") == {"cpu": "9100m"}


# ResourceQuota

PODS = ResourceType("", "v1", "Pod", "pods", "pod", True)
CONFIG_MAPS = ResourceType("", "v1", "ConfigMap", "configmaps", "configmap", True)
SERVICES = ResourceType("", "v1", "Service", "services", "service", True)
CLAIMS = ResourceType("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim", True)
WIDGETS = ResourceType("example.com", "v1", "Widget", "widgets", "widget", True)


class Counted(FakeResource):
    def __init__(self, resource: ResourceType, objects: FakeResource) -> None:
        super().__init__(resource.group, resource.plural)
        self.type = resource
        self.objects = objects.objects


def quota(hard: dict[str, str], name: str = "q", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard, **spec}}


def plugin_of(cluster: FakeCluster) -> ResourceQuota:
    kinds = (PODS, CONFIG_MAPS, SERVICES, CLAIMS, WIDGETS)
    return ResourceQuota(cluster, lambda: [Counted(kind, cluster.find(kind.group, kind.plural)) for kind in kinds])


def config_map(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


def used(cluster: FakeCluster, name: str = "q") -> Object:
    return dict(cluster.find("", "resourcequotas").objects["default", name]["status"]["used"])


def write(plugin: ResourceQuota, asked: AdmissionRequest, *, written: bool = True) -> None:
    async def whole() -> None:
        admission = Admission([plugin])
        await admission.validate(asked)
        await admission.settle(asked, written=written)

    asyncio.run(whole())


def test_quota_charges_counts_and_refuses_with_upstreams_text():
    """A quota that was never counted is counted first; what is too much is refused; nothing of it is charged."""
    cluster = FakeCluster(quota({"configmaps": "2", "count/configmaps": "5"}), config_map("there"))
    plugin = plugin_of(cluster)
    write(plugin, request("ConfigMap", "configmaps", config_map("a")))
    assert used(cluster) == {"configmaps": "2", "count/configmaps": "2"}
    with pytest.raises(StatusError) as raised:
        write(plugin, request("ConfigMap", "configmaps", config_map("b")))
    assert raised.value.message == (
        'configmaps "b" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2'
    )
    assert used(cluster) == {"configmaps": "2", "count/configmaps": "2"}


def test_quota_gives_back_when_the_write_fails_and_dry_runs_take_nothing():
    """`settles` is told; a dry run is checked all the same."""
    cluster = FakeCluster(quota({"configmaps": "1"}))
    plugin = plugin_of(cluster)
    write(plugin, request("ConfigMap", "configmaps", config_map("a")), written=False)
    assert used(cluster) == {"configmaps": "0"}
    write(plugin, request("ConfigMap", "configmaps", config_map("a"), dry_run=True))
    assert used(cluster) == {"configmaps": "0"}
    write(plugin, request("ConfigMap", "configmaps", config_map("a")))
    with pytest.raises(StatusError):
        write(plugin, request("ConfigMap", "configmaps", config_map("b"), dry_run=True))


def test_quota_survives_other_servers_charges():
    """A conflict is tried again with what is there now; too many are passed on."""
    cluster = FakeCluster(quota({"configmaps": "9"}))
    plugin = plugin_of(cluster)
    write(plugin, request("ConfigMap", "configmaps", config_map("a")))
    resource = cluster.find("", "resourcequotas")
    left = [3]

    def other_server() -> None:
        if left[0]:
            left[0] -= 1
            there = resource.objects["default", "q"]
            there["status"]["used"]["configmaps"] = str(int(there["status"]["used"]["configmaps"]) + 1)
            there["metadata"]["resourceVersion"] += "0"

    resource.before_update = other_server
    write(plugin, request("ConfigMap", "configmaps", config_map("b")))
    assert used(cluster) == {"configmaps": "5"}
    left[0] = -1
    with pytest.raises(StatusError) as raised:
        write(plugin, request("ConfigMap", "configmaps", config_map("c")))
    assert raised.value.code in (403, 409)


def test_two_quotas_are_charged_together_or_not_at_all():
    """The second refuses: the first gets its charge back."""
    cluster = FakeCluster(quota({"configmaps": "5"}, "a"), quota({"configmaps": "0"}, "b"))
    with pytest.raises(StatusError):
        asked = request("ConfigMap", "configmaps", config_map("x"))

        async def whole() -> None:
            admission = Admission([plugin_of(cluster)])
            try:
                await admission.validate(asked)
            finally:
                await admission.settle(asked, written=False)

        asyncio.run(whole())
    assert used(cluster, "a") == {"configmaps": "0"}


def test_pods_must_say_what_is_limited():
    """Every container, for every limited compute resource."""
    cluster = FakeCluster(quota({"limits.cpu": "1", "requests.memory": "1Gi"}))
    obj = pod(containers=[container("b"), container("a", limits={"cpu": "1"})])
    assert refusal(plugin_of(cluster), request("Pod", "pods", obj)) == (
        'pods "p" is forbidden: failed quota: q: must specify limits.cpu for: b; requests.memory for: a,b'
    )


def test_quota_of_compute_resources_is_written_in_its_own_form():
    """Binary limits are answered binary."""
    cluster = FakeCluster(quota({"requests.memory": "2Gi", "limits.cpu": "2", "pods": "10"}))
    plugin = plugin_of(cluster)
    obj = pod(containers=[container(requests={"memory": "1Gi"}, limits={"cpu": "1500m"})])
    write(plugin, request("Pod", "pods", obj))
    assert used(cluster) == {"requests.memory": "1Gi", "limits.cpu": "1500m", "pods": "1"}
    assert refusal(plugin, request("Pod", "pods", obj)).endswith(
        "exceeded quota: q, requested: limits.cpu=1500m, used: limits.cpu=1500m, limited: limits.cpu=2"
    )


def test_services_and_claims_are_charged_for_changes():
    """Another type of service, a bigger claim: the difference counts, both ways."""
    cluster = FakeCluster(
        quota({"services.nodeports": "2", "requests.storage": "5Gi", "fast.storageclass.storage.k8s.io/requests.storage": "3Gi"})
    )
    plugin = plugin_of(cluster)
    cluster_ip: Object = {"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "ports": [{"port": 1}, {"port": 2}]}}
    node_port = {**cluster_ip, "spec": {**cluster_ip["spec"], "type": "NodePort"}}
    write(plugin, request("Service", "services", node_port, old=cluster_ip, operation="UPDATE"))
    assert used(cluster)["services.nodeports"] == "2"
    write(plugin, request("Service", "services", cluster_ip, old=node_port, operation="UPDATE"))
    assert used(cluster)["services.nodeports"] == "0"

    def claim(size: str) -> Object:
        return {"metadata": {"name": "c"}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": size}}}}

    write(plugin, request("PersistentVolumeClaim", "persistentvolumeclaims", claim("1Gi")))
    write(plugin, request("PersistentVolumeClaim", "persistentvolumeclaims", claim("3Gi"), old=claim("1Gi"), operation="UPDATE"))
    assert used(cluster)["requests.storage"] == "3Gi"
    with pytest.raises(StatusError, match="fast.storageclass"):
        write(plugin, request("PersistentVolumeClaim", "persistentvolumeclaims", claim("1Gi")))


@pytest.mark.parametrize(
    ("spec", "more", "counts"),
    [
        ({"scopes": ["BestEffort"]}, {}, True),
        ({"scopes": ["NotBestEffort"]}, {}, False),
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 5}, True),
        ({"scopes": ["NotTerminating"]}, {"activeDeadlineSeconds": 5}, False),
        ({"scopes": ["BestEffort", "Terminating"]}, {}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
         {"priorityClassName": "high"}, True),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]}]}},
         {"priorityClassName": "high"}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, {}, False),
        ({"scopes": ["CrossNamespacePodAffinity"]},
         {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}}, True),
        ({}, {}, True),
    ],
)  # fmt: skip
def test_scopes_pick_pods(spec, more, counts):
    """All scopes of a quota must hold; other kinds are in none."""
    assert counts_for(quota({}, **spec), PODS, pod(**more)) is counts
    assert counts_for(quota({}, **spec), CONFIG_MAPS, config_map("x")) is (not spec)


def test_finished_pods_and_custom_kinds_are_counted_as_objects():
    """`count/…` is everything's; a finished pod costs nothing else."""
    finished = {**pod(containers=[container(requests={"cpu": "1"})]), "status": {"phase": "Succeeded"}}
    assert usage_of(PODS, finished) == {"count/pods": 10**9}
    assert usage_of(WIDGETS, {"metadata": {}}) == {"count/widgets.example.com": 10**9}


def test_recalculation_sets_usage_right():
    """After deletions; nothing is written when nothing changed; a quota that is gone is no error."""
    cluster = FakeCluster(quota({"configmaps": "9"}), config_map("a"), config_map("b"))
    plugin = plugin_of(cluster)
    assert asyncio.run(plugin.recalculate("default", "q"))
    assert used(cluster) == {"configmaps": "2"}
    assert not asyncio.run(plugin.recalculate("default", "q"))
    del cluster.find("", "configmaps").objects["default", "a"]
    assert asyncio.run(plugin.recalculate("default", "q"))
    assert used(cluster) == {"configmaps": "1"}
    assert not asyncio.run(plugin.recalculate("default", "gone"))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 6), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_concurrent_charges_never_exceed_the_limit(limit, writes):
    """Whatever runs at once and whatever fails: the usage is what was written, and never more than the limit."""
    cluster = FakeCluster(quota({"configmaps": str(limit)}))
    plugin = plugin_of(cluster)
    done: list[int] = []

    async def one(number: int, fails: bool, late: bool) -> None:
        asked = request("ConfigMap", "configmaps", config_map(f"c{number}"))
        written = False
        try:
            await plugin.validate(asked)
            if late:
                await asyncio.sleep(0)
            written = not fails
            if written:
                done.append(number)
                assert len(done) <= limit
        except StatusError as error:
            assert error.code == 403
        finally:
            await Admission().settle(asked, written=written)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for number, (fails, late) in enumerate(writes):
                group.create_task(one(number, fails, late))

    asyncio.run(all_of_them())
    if writes and "status" in cluster.find("", "resourcequotas").objects["default", "q"]:
        assert amount(used(cluster)["configmaps"]) == len(done) * 10**9
