"""Rules, bindings and decisions of RBAC."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_api.registry.requests import User
from resource_api.security.authorization import AlwaysAllow, AlwaysDeny, Attributes, AuthorizerChain, Decision, refusal
from resource_api.security.rbac import PolicyIndex, RbacAuthorizer, parse_rule

ALICE = User("alice", ("devs", "system:authenticated"))
SA = User("system:serviceaccount:ns1:robot", ("system:serviceaccounts",))


def role(name: str, *rules: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, "rules": list(rules)}


def binding(name: str, role_kind: str, role_name: str, *subjects: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "roleRef": {"kind": role_kind, "name": role_name}, "subjects": list(subjects)}


def rule(verbs: str, groups: str = "", resources: str = "", names: str = "", urls: str = "") -> dict[str, Any]:
    parts: dict[str, Any] = {"verbs": verbs.split(",")}
    if resources:
        parts |= {"apiGroups": groups.split(","), "resources": resources.split(",")}
    if names:
        parts["resourceNames"] = names.split(",")
    if urls:
        parts["nonResourceURLs"] = urls.split(",")
    return parts


USER_ALICE = {"kind": "User", "name": "alice"}
DEVS = {"kind": "Group", "name": "devs"}


def authorizer(*, roles: Any = (), clusterroles: Any = (), rolebindings: Any = (), clusterrolebindings: Any = ()) -> RbacAuthorizer:
    index = PolicyIndex()
    lists = (("roles", roles), ("clusterroles", clusterroles), ("rolebindings", rolebindings), ("clusterrolebindings", clusterrolebindings))
    for plural, objects in lists:
        index.replace(plural, objects)
    return RbacAuthorizer(index)


@pytest.mark.parametrize(
    ("verbs", "groups", "resources", "asked", "matches"),
    [
        ("get", "", "pods", ("get", "", "pods", ""), True),
        ("get", "", "pods", ("get", "", "pods", "log"), False),
        ("get", "", "pods/log", ("get", "", "pods", "log"), True),
        ("get", "", "pods/log", ("get", "", "pods", ""), False),
        ("get", "*", "*/scale", ("get", "apps", "deployments", "scale"), True),
        ("get", "*", "*/scale", ("get", "apps", "deployments", "status"), False),
        ("get", "*", "*/scale", ("get", "apps", "deployments", ""), False),
        ("*", "*", "*", ("bind", "x.io", "things", "sub"), True),
        ("get", "apps", "*", ("get", "", "pods", ""), False),
        ("list", "", "pods", ("get", "", "pods", ""), False),
        ("get", "", "pods/*", ("get", "", "pods", "log"), False),
    ],
)
def test_resource_rule_matches_by_verb_group_and_resource(verbs, groups, resources, asked, matches):
    """`pods` is not `pods/log`; `*` and `*/sub` are wildcards, `pods/*` is none."""
    assert parse_rule(rule(verbs, groups, resources)).matches_resource(*asked) is matches


@pytest.mark.parametrize(
    ("urls", "path", "matches"),
    [("/healthz", "/healthz", True), ("/healthz", "/healthz/etcd", False), ("/api/*", "/api/v1", True), ("/api/*", "/api", False),
     ("*", "/x", True), ("/a*", "/abc", True), ("/a*b", "/axb", False)],
)  # fmt: skip
def test_url_rule_matches_exactly_or_by_its_beginning(urls, path, matches):
    """A `*` counts only at the end."""
    assert parse_rule(rule("get", urls=urls)).matches_path("get", path) is matches


def test_binding_in_a_namespace_counts_only_there():
    """A RoleBinding to a ClusterRole grants its rules in the binding's namespace alone."""
    rbac = authorizer(
        clusterroles=[role("reader", rule("get", "", "pods"), rule("get", urls="/x"))],
        rolebindings=[binding("b", "ClusterRole", "reader", USER_ALICE, namespace="ns1")],
    )
    assert rbac.authorize(Attributes(ALICE, "get", resource="pods", namespace="ns1")).reason == (
        'RBAC: allowed by RoleBinding "b/ns1" of ClusterRole "reader" to User "alice"'
    )
    assert not rbac.authorize(Attributes(ALICE, "get", resource="pods", namespace="ns2")).allowed
    assert not rbac.authorize(Attributes(ALICE, "get", resource="pods")).allowed
    assert not rbac.authorize(Attributes(ALICE, "get", path="/x")).allowed


def test_role_of_another_namespace_is_not_found():
    """A RoleBinding sees Roles of its own namespace only; what is missing is the reason."""
    rbac = authorizer(
        roles=[role("reader", rule("get", "", "pods"), namespace="ns2")],
        rolebindings=[binding("b", "Role", "reader", DEVS, namespace="ns1")],
    )
    decision = rbac.authorize(Attributes(ALICE, "get", resource="pods", namespace="ns1"))
    assert decision == Decision(False, 'RBAC: role.rbac.authorization.k8s.io "reader" not found')


def test_resource_names_restrict_to_those_names():
    """A rule with names says nothing about requests without one."""
    rbac = authorizer(
        clusterroles=[role("one", rule("get,list", "", "configmaps", names="a,b"))],
        clusterrolebindings=[binding("b", "ClusterRole", "one", DEVS)],
    )
    ask = Attributes(ALICE, "get", resource="configmaps", namespace="ns1", name="a")
    assert rbac.authorize(ask).allowed
    assert rbac.authorize(ask._replace(name="b")).allowed
    assert not rbac.authorize(ask._replace(name="c")).allowed
    assert not rbac.authorize(ask._replace(verb="list", name="")).allowed


def test_service_account_is_found_by_its_user_name():
    """A ServiceAccount subject without a namespace takes the binding's; a ClusterRoleBinding has none to give."""
    rbac = authorizer(
        clusterroles=[role("r", rule("get", "", "pods"))],
        rolebindings=[binding("b", "ClusterRole", "r", {"kind": "ServiceAccount", "name": "robot"}, namespace="ns1")],
        clusterrolebindings=[binding("c", "ClusterRole", "r", {"kind": "ServiceAccount", "name": "robot"})],
    )
    ask = Attributes(SA, "get", resource="pods", namespace="ns1")
    assert rbac.authorize(ask).reason == 'RBAC: allowed by RoleBinding "b/ns1" of ClusterRole "r" to ServiceAccount "robot/ns1"'
    assert not rbac.authorize(ask._replace(namespace="ns2")).allowed


def test_remembered_decisions_fall_with_every_change():
    """A role, a binding or their removal changes the next answer."""
    index = PolicyIndex()
    rbac = RbacAuthorizer(index)
    ask = Attributes(ALICE, "get", resource="pods", namespace="ns1")
    assert not rbac.authorize(ask).allowed
    index.put("clusterrolebindings", binding("b", "ClusterRole", "r", DEVS))
    assert "not found" in rbac.authorize(ask).reason
    index.put("clusterroles", role("r", rule("get", "", "pods")))
    assert rbac.authorize(ask).allowed
    index.put("clusterrolebindings", binding("b", "ClusterRole", "r", {"kind": "Group", "name": "ops"}))
    assert not rbac.authorize(ask).allowed
    index.put("clusterrolebindings", binding("b", "ClusterRole", "r", USER_ALICE))
    assert rbac.authorize(ask).allowed
    index.remove("clusterrolebindings", "", "b")
    assert not rbac.authorize(ask).allowed
    index.replace("clusterroles", [])
    assert index.describe().startswith("0 roles, 0 bindings, 0 subjects")


def test_masters_pass_before_any_mode_and_denials_end_the_chain():
    """`system:masters` needs no rule; the first opinion wins."""
    root = User("root", ("system:masters",))
    assert AuthorizerChain([AlwaysDeny()]).authorize(Attributes(root, "get", resource="pods")).allowed
    assert AuthorizerChain([AlwaysDeny(), AlwaysAllow()]).authorize(Attributes(ALICE, "get", resource="pods")).allowed
    assert AuthorizerChain([AlwaysDeny()]).authorize(Attributes(ALICE, "get", resource="pods")) == Decision(
        False, "Everything is forbidden."
    )
    assert AuthorizerChain([]).authorize(Attributes(ALICE, "get", resource="pods")) == Decision(False)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (Attributes(ALICE, "list", resource="pods", namespace="default"),
         'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"'),
        (Attributes(ALICE, "get", "apps", "v1", "deployments", "scale", "default", "web"),
         'deployments.apps "web" is forbidden: User "alice" cannot get resource "deployments/scale" in API group "apps" in the namespace '
         '"default"'),
        (Attributes(ALICE, "list", resource="nodes"),
         'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope'),
        (Attributes(ALICE, "get", path="/metrics"), 'forbidden: User "alice" cannot get path "/metrics"'),
    ],
)  # fmt: skip
def test_refusal_names_user_verb_and_resource(attributes, message):
    """The 403 kubectl prints."""
    assert refusal(attributes).message == message
    assert refusal(attributes).code == 403


NAMES = st.sampled_from(["", "a", "b"])
VERBS = st.sampled_from(["get", "list", "create", "*"])
GROUPS = st.sampled_from(["", "apps", "*"])
RESOURCES = st.sampled_from(["pods", "pods/log", "deployments", "*", "*/log", "deployments/scale"])
URLS = st.sampled_from(["/a", "/a/*", "*", "/b"])
RULES = st.one_of(
    st.builds(
        lambda v, g, r, n: {"verbs": v, "apiGroups": g, "resources": r, "resourceNames": n},
        st.lists(VERBS, max_size=2), st.lists(GROUPS, max_size=2), st.lists(RESOURCES, max_size=2), st.lists(NAMES, max_size=1),
    ),
    st.builds(lambda v, u: {"verbs": v, "nonResourceURLs": u}, st.lists(VERBS, max_size=2), st.lists(URLS, max_size=2)),
)  # fmt: skip
SUBJECTS = st.sampled_from([USER_ALICE, DEVS, {"kind": "User", "name": "bob"}, {"kind": "ServiceAccount", "name": "robot"}])
PLACES = st.sampled_from(["ns1", "ns2"])
ROLES = st.dictionaries(
    st.tuples(st.sampled_from(["", "ns1", "ns2"]), st.sampled_from(["r", "s"])), st.lists(RULES, max_size=3), max_size=4
)
BINDINGS = st.lists(
    st.tuples(st.sampled_from(["", "ns1", "ns2"]), st.sampled_from(["ClusterRole", "Role"]), st.sampled_from(["r", "s"]),
              st.lists(SUBJECTS, max_size=2)),
    max_size=4,
)  # fmt: skip
QUESTIONS = st.one_of(
    st.builds(
        lambda u, v, g, r, s, ns, n: Attributes(u, v, g, "v1", r, s, ns, n),
        st.sampled_from([ALICE, SA]), st.sampled_from(["get", "list"]), st.sampled_from(["", "apps"]),
        st.sampled_from(["pods", "deployments"]), st.sampled_from(["", "log", "scale"]), st.sampled_from(["", "ns1", "ns2"]), NAMES,
    ),
    st.builds(lambda u, p: Attributes(u, "get", path=p), st.sampled_from([ALICE, SA]), st.sampled_from(["/a", "/a/b", "/b"])),
)  # fmt: skip


def naive(roles: Any, bindings: Any, ask: Attributes) -> bool:
    """The rule, word for word, without any index."""
    for namespace, kind, name, subjects in bindings:
        if namespace and namespace != ask.namespace:
            continue
        applies = any(
            (s["kind"] == "User" and s["name"] == ask.user.name)
            or (s["kind"] == "Group" and s["name"] in ask.user.groups)
            or (s["kind"] == "ServiceAccount" and namespace and ask.user.name == f"system:serviceaccount:{namespace}:{s['name']}")
            for s in subjects
        )
        for one in roles.get((namespace if kind == "Role" else "", name), ()) if applies else ():
            if not {ask.verb, "*"} & set(one["verbs"]):
                continue
            if ask.path:
                if any(u in ("*", ask.path) or (u[-1] == "*" and ask.path.startswith(u[:-1])) for u in one.get("nonResourceURLs", ())):
                    return True
                continue
            full = f"{ask.resource}/{ask.subresource}" if ask.subresource else ask.resource
            wanted = {"*", full} | ({f"*/{ask.subresource}"} if ask.subresource else set())
            names = one.get("resourceNames", [])
            if (
                {ask.group, "*"} & set(one.get("apiGroups", ()))
                and wanted & set(one.get("resources", ()))
                and (not names or ask.name in names)
            ):
                return True
    return False


@settings(max_examples=250, derandomize=True, deadline=None)
@given(ROLES, BINDINGS, st.lists(QUESTIONS, min_size=1, max_size=6), st.integers(0, 3))
def test_authorizer_agrees_with_the_rule_read_word_by_word(roles, bindings, questions, gone):
    """Index and memory change no answer, before and after objects went; a Role bound cluster-wide reads what stands at no namespace."""
    index = PolicyIndex()
    for (namespace, name), rules in roles.items():
        index.put("roles" if namespace else "clusterroles", role(name, *rules, namespace=namespace))
    for number, (namespace, kind, name, subjects) in enumerate(bindings):
        plural = "rolebindings" if namespace else "clusterrolebindings"
        index.put(plural, binding(f"b{number}", kind, name, *subjects, namespace=namespace))
    rbac = RbacAuthorizer(index)
    for ask in questions * 2:
        assert rbac.authorize(ask).allowed == naive(roles, bindings, ask)
    if gone < len(bindings):
        namespace = bindings[gone][0]
        index.remove("rolebindings" if namespace else "clusterrolebindings", namespace, f"b{gone}")
        left = bindings[:gone] + bindings[gone + 1 :]
        for ask in questions:
            assert rbac.authorize(ask).allowed == naive(roles, left, ask)


@pytest.mark.bench
def test_bench_authorize_of_a_known_user(capsys):
    """How long a remembered and a new question take with every bootstrap role."""
    from resource_api.security.bootstrap_policy import cluster_role_bindings, cluster_roles

    rbac = authorizer(clusterroles=cluster_roles(), clusterrolebindings=cluster_role_bindings())
    user = User("system:kube-scheduler", ("system:authenticated",))
    ask = Attributes(user, "get", "storage.k8s.io", "v1", "csidrivers", "", "", "x")
    started = time.perf_counter()
    for _ in range(20000):
        rbac.authorize(ask)
    known_us = (time.perf_counter() - started) / 20000 * 1e6
    started = time.perf_counter()
    for number in range(2000):
        rbac.authorize(ask._replace(namespace=f"n{number}"))
    new_us = (time.perf_counter() - started) / 2000 * 1e6
    with capsys.disabled():
        print(f"\nauthorize: remembered {known_us:.2f} us, new {new_us:.2f} us")
