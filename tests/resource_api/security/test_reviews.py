"""Access reviews, impersonation and in-flight limits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from resource_api.errors import StatusError
from resource_api.registry.requests import User
from resource_api.security import reviews
from resource_api.security.authn import Authenticator
from resource_api.security.impersonation import impersonate
from resource_api.security.limits import InFlight
from tests.resource_api.security.cluster import FakeCluster, SetClock
from tests.resource_api.security.test_authn import static
from tests.resource_api.security.test_rbac import ALICE, DEVS, authorizer, binding, role, rule
from tests.resource_api.security.test_tokens import account, ask, issuer

RBAC = authorizer(
    clusterroles=[role("reader", rule("get,list", "", "pods"), rule("get", urls="/metrics"))],
    clusterrolebindings=[binding("b", "ClusterRole", "reader", DEVS)],
)
GET_PODS = {"verb": "get", "resource": "pods", "namespace": "ns1"}
REASON = 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "reader" to Group "devs"'


def test_self_subject_access_review_answers_with_the_reason():
    """The object comes back with its spec and a status."""
    review = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": GET_PODS}}
    answer = reviews.self_subject_access_review(review, ALICE, RBAC)
    assert answer["spec"] == review["spec"]
    assert answer["status"] == {"allowed": True, "reason": REASON}
    refused = {"spec": {"resourceAttributes": {**GET_PODS, "verb": "delete"}}}
    assert reviews.self_subject_access_review(refused, ALICE, RBAC)["status"] == {"allowed": False}
    path = {"spec": {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}}
    assert reviews.self_subject_access_review(path, ALICE, RBAC)["status"]["allowed"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [({}, "spec.resourceAttributes"), ({"resourceAttributes": {}, "nonResourceAttributes": {}}, "spec.nonResourceAttributes")],
)
def test_review_needs_exactly_one_question(spec, field):
    """None or both is 422."""
    with pytest.raises(StatusError) as raised:
        reviews.self_subject_access_review({"spec": spec}, ALICE, RBAC)
    assert raised.value.code == 422 and raised.value.causes[0].field == field


def test_subject_access_review_asks_about_somebody_else():
    """User or group is required; a local one stays in its namespace."""
    spec = {"user": "x", "groups": ["devs"], "resourceAttributes": GET_PODS}
    assert reviews.subject_access_review({"spec": spec}, RBAC)["status"]["allowed"]
    assert reviews.subject_access_review({"spec": spec}, RBAC, namespace="ns1")["kind"] == "LocalSubjectAccessReview"
    with pytest.raises(StatusError) as raised:
        reviews.subject_access_review({"spec": spec}, RBAC, namespace="ns2")
    assert raised.value.code == 400
    with pytest.raises(StatusError, match="at least one of user or group must be specified"):
        reviews.subject_access_review({"spec": {"resourceAttributes": GET_PODS}}, RBAC)


def test_rules_review_lists_resource_and_path_rules():
    """Each rule once; a namespace is required."""
    status = reviews.self_subject_rules_review({"spec": {"namespace": "ns1"}}, ALICE, [RBAC, RBAC])["status"]
    assert status == {
        "resourceRules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
        "incomplete": False,
    }
    with pytest.raises(StatusError, match="no namespace on request"):
        reviews.self_subject_rules_review({}, ALICE, [RBAC])


def test_self_subject_review_and_user_info():
    """What `kubectl auth whoami` shows."""
    user = User("a", ("g",), "u", {"k": ("v",)})
    info = {"username": "a", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]}}
    assert reviews.self_subject_review({}, user)["status"] == {"userInfo": info}


def test_token_review_tells_user_and_audiences():
    """A token of this server, one for somebody else, a static one, a wrong one, none."""
    tokens = issuer(FakeCluster(account()))
    one = Authenticator(SetClock(), issuer=tokens, tokens=static())

    def review(token: str, *audiences: str) -> Any:
        return asyncio.run(reviews.token_review({"spec": {"token": token, "audiences": list(audiences)}}, one))["status"]

    token = ask(tokens)["status"]["token"]
    assert review(token)["user"]["username"] == "system:serviceaccount:ns1:robot"
    assert review(token)["audiences"] == [tokens.issuer]
    assert review(token, "vault")["authenticated"] is False
    assert review(ask(tokens, audiences=["vault"])["status"]["token"], "vault")["audiences"] == ["vault"]
    assert review("secret")["authenticated"] and not review("secret", "vault")["authenticated"]
    assert review("wrong") == {"authenticated": False, "user": {}, "error": "invalid bearer token"}
    with pytest.raises(StatusError) as raised:
        review("")
    assert raised.value.code == 400


def may(**names: str) -> Any:
    """An authorizer under which devs may impersonate these."""
    rules = [
        rule("impersonate", "authentication.k8s.io" if resource in ("uids", "userextras/scopes") else "", resource, names=name)
        for resource, name in ((key.replace("_", "/"), value) for key, value in names.items())
    ]
    return authorizer(clusterroles=[role("i", *rules)], clusterrolebindings=[binding("b", "ClusterRole", "i", DEVS)])


def test_impersonation_asks_for_every_part():
    """User, groups, uid and extras each need the verb; the result is a whole user."""
    headers = {
        "impersonate-user": ["carol"],
        "impersonate-group": ["ops"],
        "impersonate-uid": ["7"],
        "impersonate-extra-scopes": ["view"],
    }
    everything = {"users": "carol", "groups": "ops", "uids": "7", "userextras_scopes": "view"}
    wanted = User("carol", ("ops", "system:authenticated"), "7", {"scopes": ("view",)})
    assert impersonate(ALICE, headers, may(**everything)) == wanted
    for missing in everything:
        with pytest.raises(StatusError) as raised:
            impersonate(ALICE, headers, may(**{name: value for name, value in everything.items() if name != missing}))
        assert raised.value.code == 403
    assert impersonate(ALICE, {}, may()) is ALICE


def test_impersonation_text_and_service_accounts():
    """The 403 names the user wanted; a service account gets its groups and is asked for in its namespace."""
    with pytest.raises(StatusError) as raised:
        impersonate(ALICE, {"impersonate-user": ["root"]}, may())
    assert raised.value.message == (
        'users "root" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope'
    )
    got = impersonate(ALICE, {"impersonate-user": ["system:serviceaccount:ns1:robot"]}, may(serviceaccounts="robot"))
    assert got.groups == ("system:serviceaccounts", "system:serviceaccounts:ns1", "system:authenticated")
    got = impersonate(ALICE, {"impersonate-user": ["system:anonymous"]}, may(users="system:anonymous"))
    assert got.groups == ("system:unauthenticated",)
    for values, shown in ((["ops"], "[ops]"), (["ops", "devs"], "[ops devs]")):
        with pytest.raises(StatusError) as raised:
            impersonate(ALICE, {"impersonate-group": values}, may(groups="ops"))
        assert (raised.value.code, raised.value.message) == (400, f"requested {shown} without impersonating a user")


def test_in_flight_requests_are_bounded_apart():
    """Reads do not take writes' places; long requests and the administrator are not refused; a place is freed by errors too."""
    limit = InFlight(reads_max=1, writes_max=1)
    with limit.enter(ALICE, "get"), limit.enter(ALICE, "create"):
        with pytest.raises(StatusError) as raised, limit.enter(ALICE, "list"):
            pass
        assert raised.value.code == 429 and raised.value.retry_after_s == 1
        assert raised.value.message == "too many requests, please try again later"
        with limit.enter(ALICE, "watch"), limit.enter(ALICE, "get", "log"), limit.enter(User("r", ("system:masters",)), "update"):
            assert (limit.reads, limit.writes) == (1, 2)
    with pytest.raises(ValueError), limit.enter(ALICE, "get"):
        raise ValueError
    assert (limit.reads, limit.writes, limit.refused) == (0, 0, 1)
