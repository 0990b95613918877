"""Requests belong to the first FlowSchema that matches, and answers say to which."""

from __future__ import annotations

import pytest

from resource_api.client import Kind
from resource_api.errors import Object
from resource_api.http.request import RequestInfo
from resource_api.registry.requests import User
from resource_api.security.flow_control import flow_schemas, priority_levels
from resource_api.security.flow_matching import LEVEL_HEADER, SCHEMA_HEADER, Collection, FlowIndex
from tests.resource_api.plane import served

ACCOUNT = User("system:serviceaccount:kube-system:x", ("system:serviceaccounts", "system:authenticated"))
NODE = User("system:node:n", ("system:nodes", "system:authenticated"))
JANE = User("jane", ("system:authenticated",))


def named(objects: list[Object]) -> list[Object]:
    """With their names as uids."""
    return [{**one, "metadata": {**one["metadata"], "uid": one["metadata"]["name"]}} for one in objects]


def index() -> FlowIndex:
    """What every cluster has."""
    made = FlowIndex()
    made.set_levels(named(priority_levels()))
    made.set_schemas(named(flow_schemas()))
    return made


def resource(verb: str, plural: str, group: str = "", namespace: str = "", subresource: str = "") -> RequestInfo:
    """A request for a resource."""
    return RequestInfo(verb, "/x", True, group, "v1", namespace, plural, subresource)


@pytest.mark.parametrize(
    ("user", "asked", "schema", "level"),
    [
        (User("root", ("system:masters",)), resource("get", "pods"), "exempt", "exempt"),
        (JANE, RequestInfo("get", "/healthz"), "probes", "exempt"),
        (JANE, RequestInfo("get", "/version"), "global-default", "global-default"),
        (JANE, resource("list", "pods", namespace="default"), "global-default", "global-default"),
        (ACCOUNT, resource("update", "leases", "coordination.k8s.io", "kube-system"), "system-leader-election", "leader-election"),
        (ACCOUNT, resource("get", "pods", namespace="default"), "kube-system-service-accounts", "workload-high"),
        (NODE, resource("patch", "nodes", subresource="status"), "system-node-high", "node-high"),
        (NODE, resource("get", "pods"), "system-nodes", "system"),
        (User("system:serviceaccount:a:b", ("system:serviceaccounts",)), resource("get", "pods"), "service-accounts", "workload-low"),
        (User("nobody", ()), resource("get", "pods"), "", ""),
    ],
)
def test_first_schema_that_matches_counts(user: User, asked: RequestInfo, schema: str, level: str):
    """By subject, verb, group, resource, subresource, namespace or path."""
    assert dict(index().headers(user, asked)) == ({SCHEMA_HEADER: schema, LEVEL_HEADER: level} if schema else {})


def test_change_of_a_schema_is_seen_at_once():
    """What was remembered is forgotten; a schema without its level is passed over."""
    flows = index()
    collection = Collection(flows.set_schemas)
    collection.replace(named(flow_schemas()))
    assert dict(flows.headers(JANE, resource("get", "pods")))[SCHEMA_HEADER] == "global-default"
    rules = [{"subjects": [{"kind": "User", "user": {"name": "jane"}}]}]
    rules[0]["resourceRules"] = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["pods"], "clusterScope": True}]
    mine: Object = {"metadata": {"name": "mine", "uid": "mine"}, "spec": {"matchingPrecedence": 5, "rules": rules}}
    mine["spec"]["priorityLevelConfiguration"] = {"name": "missing"}
    collection.change(mine, is_deleted=False)
    assert dict(flows.headers(JANE, resource("get", "pods")))[SCHEMA_HEADER] == "global-default"
    mine["spec"]["priorityLevelConfiguration"] = {"name": "system"}
    collection.change(mine, is_deleted=False)
    assert dict(flows.headers(JANE, resource("get", "pods")))[SCHEMA_HEADER] == "mine"
    assert dict(flows.headers(JANE, resource("get", "secrets")))[SCHEMA_HEADER] == "global-default"
    collection.change(mine, is_deleted=True)
    assert dict(flows.headers(JANE, resource("get", "pods")))[SCHEMA_HEADER] == "global-default"


@pytest.mark.asyncio
async def test_answers_name_the_stored_objects():
    """Both headers are uids of what is stored, refusals have them too."""
    async with served() as server:
        schemas = Kind("flowcontrol.apiserver.k8s.io", "v1", "flowschemas")
        uid = (await server.client.get(schemas, "global-default"))["metadata"]["uid"]
        session, url = server.user._opened("/api/v1/namespaces/default/secrets")
        async with session.get(url) as answer:
            assert (answer.status, answer.headers[SCHEMA_HEADER]) == (403, uid)
            assert answer.headers[LEVEL_HEADER]
