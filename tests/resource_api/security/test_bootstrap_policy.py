"""The objects every cluster has."""

from __future__ import annotations

import asyncio

from resource_api.registry.requests import User
from resource_api.security import bootstrap_policy
from resource_api.security.authorization import Attributes
from resource_api.security.rbac import RBAC_GROUP, PolicyIndex, RbacAuthorizer
from tests.resource_api.security.cluster import FakeCluster


def started() -> FakeCluster:
    cluster = FakeCluster()
    asyncio.run(bootstrap_policy.reconcile_bootstrap(cluster))
    return cluster


def authorizer(cluster: FakeCluster) -> RbacAuthorizer:
    index = PolicyIndex()
    for plural in ("clusterroles", "roles", "clusterrolebindings", "rolebindings"):
        index.replace(plural, cluster.find(RBAC_GROUP, plural).objects.values())
    return RbacAuthorizer(index)


def test_first_start_makes_everything_and_the_second_nothing():
    """Reconciling is idempotent; admin, edit and view are filled in at once."""
    cluster = started()
    assert asyncio.run(bootstrap_policy.reconcile_bootstrap(cluster)) == 0
    roles = cluster.find(RBAC_GROUP, "clusterroles").objects
    assert len(roles["", "admin"]["rules"]) > len(roles["", "edit"]["rules"]) > len(roles["", "view"]["rules"]) > 0
    assert len([name for _, name in roles if name.startswith("system:controller:")]) >= 35
    assert len(cluster.find("flowcontrol.apiserver.k8s.io", "flowschemas").objects) == 13
    assert len(cluster.find("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations").objects) == 8
    classes = cluster.find("scheduling.k8s.io", "priorityclasses").objects
    assert classes["", "system-node-critical"]["value"] == 2000001000


def test_every_binding_names_a_role_that_is_there():
    """A binding to a missing role would show in every refusal."""
    cluster = started()
    for plural in ("clusterrolebindings", "rolebindings"):
        for (namespace, _), binding in cluster.find(RBAC_GROUP, plural).objects.items():
            reference = binding["roleRef"]
            where = namespace if reference["kind"] == "Role" else ""
            assert (where, reference["name"]) in cluster.find(RBAC_GROUP, reference["kind"].lower() + "s").objects


def test_restart_completes_and_keeps_what_somebody_added():
    """Missing rules and subjects come back, extra ones stay, and `autoupdate: "false"` is left alone."""
    cluster = started()
    roles = cluster.find(RBAC_GROUP, "clusterroles")
    extra = {"apiGroups": ["x"], "resources": ["y"], "verbs": ["get"]}
    roles.objects["", "system:basic-user"]["rules"] = [extra]
    roles.objects["", "system:kube-dns"]["rules"] = []
    roles.objects["", "system:kube-dns"]["metadata"]["annotations"][bootstrap_policy.RECONCILE] = "false"
    bindings = cluster.find(RBAC_GROUP, "clusterrolebindings")
    carol = {"apiGroup": RBAC_GROUP, "kind": "User", "name": "carol"}
    bindings.objects["", "cluster-admin"]["subjects"] = [carol]
    bindings.objects["", "system:discovery"]["roleRef"]["name"] = "view"
    del roles.objects["", "system:node"]
    assert asyncio.run(bootstrap_policy.reconcile_bootstrap(cluster)) == 4
    assert extra in roles.objects["", "system:basic-user"]["rules"]
    assert len(roles.objects["", "system:basic-user"]["rules"]) == 3
    assert roles.objects["", "system:kube-dns"]["rules"] == []
    assert [subject["name"] for subject in bindings.objects["", "cluster-admin"]["subjects"]] == ["carol", "system:masters"]
    assert bindings.objects["", "system:discovery"]["roleRef"]["name"] == "system:discovery"
    assert ("", "system:node") in roles.objects


def test_start_beside_another_server_meets_its_writes():
    """Two servers that start at once on an empty store both come up: an aggregate that the other wrote is read again."""
    cluster = FakeCluster()
    roles = cluster.find(RBAC_GROUP, "clusterroles")
    met = []

    def other_server():
        roles.before_update = lambda: None
        roles.put(roles.objects["", "admin"])
        roles.put(roles.objects["", "edit"])
        roles.put(roles.objects["", "view"])
        met.append(True)

    roles.before_update = other_server
    asyncio.run(bootstrap_policy.reconcile_bootstrap(cluster))
    assert met
    assert roles.objects["", "admin"]["rules"] and not bootstrap_policy.outdated_aggregates(list(roles.objects.values()))


def test_flow_schema_is_set_back_unless_owned():
    """The annotation decides; defaults the server filled in are no difference."""
    wanted = bootstrap_policy.flow_schemas()[3]
    there = {"metadata": {"annotations": {}}, "spec": {**wanted["spec"], "more": 1}}
    assert bootstrap_policy.complete_flow(there, wanted) is there
    changed = {"metadata": {"annotations": {}}, "spec": {**wanted["spec"], "matchingPrecedence": 7}}
    assert bootstrap_policy.complete_flow(changed, wanted)["spec"] == wanted["spec"]
    changed["metadata"]["annotations"] = {"apf.kubernetes.io/autoupdate-spec": "false"}
    assert bootstrap_policy.complete_flow(changed, wanted) is changed


def test_default_roles_decide_as_documented():
    """Spot checks of who may do what after a first start."""
    rbac = authorizer(started())

    def may(user: User, verb: str, resource: str = "", group: str = "", namespace: str = "", name: str = "", path: str = "") -> bool:
        resource, _, sub = resource.partition("/")
        return rbac.authorize(Attributes(user, verb, group, "v1", resource, sub, namespace, name, path)).allowed

    anonymous = User("system:anonymous", ("system:unauthenticated",))
    somebody = User("alice", ("system:authenticated",))
    scheduler = User("system:kube-scheduler", ("system:authenticated",))
    account = User("system:serviceaccount:ns:x", ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"))
    collector = User("system:serviceaccount:kube-system:generic-garbage-collector", ("system:serviceaccounts",))
    assert may(anonymous, "get", path="/healthz") and may(anonymous, "get", path="/version")
    assert not may(anonymous, "get", path="/api") and not may(anonymous, "get", path="/metrics")
    assert may(somebody, "get", path="/apis/apps/v1") and may(somebody, "create", "selfsubjectaccessreviews", "authorization.k8s.io")
    assert not may(somebody, "get", "pods", namespace="default") and not may(
        somebody, "create", "subjectaccessreviews", "authorization.k8s.io"
    )
    assert may(scheduler, "create", "pods/binding", namespace="a") and not may(scheduler, "create", "pods", namespace="a")
    assert may(scheduler, "update", "leases", "coordination.k8s.io", "kube-system", "kube-scheduler")
    assert not may(scheduler, "update", "leases", "coordination.k8s.io", "kube-system", "other")
    assert may(account, "get", path="/openid/v1/jwks") and not may(somebody, "get", path="/openid/v1/jwks")
    assert may(collector, "delete", "widgets", "example.com", "ns")
    assert not may(User("n", ("system:nodes",)), "get", "secrets", namespace="a", name="s")
