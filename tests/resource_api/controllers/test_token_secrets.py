"""Tokens of service accounts through a whole server: in Secrets, requested, reviewed, verified by others."""

from __future__ import annotations

import base64

import jwt
import pytest

from resource_api.client import Kind
from resource_api.errors import Object
from tests.resource_api.plane import SECRETS, Served, served

pytestmark = pytest.mark.asyncio

ACCOUNTS = Kind("", "v1", "serviceaccounts")
REVIEWS = Kind("authentication.k8s.io", "v1", "tokenreviews")
SELF = Kind("authentication.k8s.io", "v1", "selfsubjectreviews")
RULES = Kind("authorization.k8s.io", "v1", "selfsubjectrulesreviews")
ROLES = Kind("rbac.authorization.k8s.io", "v1", "roles")
BINDINGS = Kind("rbac.authorization.k8s.io", "v1", "rolebindings")

ISSUER = "https://kubernetes.default.svc.cluster.local"


def secret(name: str, account: str) -> Object:
    """One to be filled."""
    metadata = {"name": name, "annotations": {"kubernetes.io/service-account.name": account}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/service-account-token"}


async def account(server: Served, name: str) -> Object:
    """A new one."""
    return await server.client.create(ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, "default")


async def token_of(server: Served, name: str) -> str:
    """What the Secret has, when it has it."""
    found = await server.until(SECRETS, name, "default", lambda one: "token" in (one.get("data") or {}))
    assert set(found["data"]) == {"ca.crt", "namespace", "token"}
    return base64.b64decode(found["data"]["token"]).decode()


async def review(server: Served, token: str, *audiences: str) -> Object:
    """The status of a TokenReview."""
    spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
    answer = await server.client.create(REVIEWS, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})
    return dict(answer["status"])


async def who(server: Served, token: str) -> Object:
    """The user of a token. Raises StatusError 401."""
    async with server.client.as_token(token) as client:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        return dict((await client.create(SELF, body))["status"]["userInfo"])


async def test_secret_of_an_account_is_filled_and_dies_with_it():
    """The token is the account's until the Secret or the account goes; a Secret of no account goes at once."""
    async with served() as server:
        made = await account(server, "robot")
        await server.client.create(SECRETS, secret("old", "robot"), "default")
        token = await token_of(server, "old")
        user = await who(server, token)
        assert (user["username"], user["uid"]) == ("system:serviceaccount:default:robot", made["metadata"]["uid"])
        assert user["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
        assert (await review(server, token, ISSUER))["audiences"] == [ISSUER]
        assert (await review(server, token, "elsewhere"))["authenticated"] is False
        await server.client.create(SECRETS, secret("second", "robot"), "default")
        second = await token_of(server, "second")
        await server.client.delete(SECRETS, "second", "default")
        assert (await server.refusal(who(server, second))).code == 401
        await server.client.delete(ACCOUNTS, "robot", "default")
        await _gone(server, "old")
        assert (await server.refusal(who(server, token))).code == 401
        await server.client.create(SECRETS, secret("nobody", "missing"), "default")
        await _gone(server, "nobody")


async def _gone(server: Served, name: str) -> None:
    async with server.client.watch(SECRETS, "default", fieldSelector=f"metadata.name={name}") as events:
        there = await server.client.list(SECRETS, "default", fieldSelector=f"metadata.name={name}")
        if there["items"]:
            async for event in events:
                if event.type == "DELETED":
                    return


async def test_requested_token_is_for_its_audiences():
    """Another audience's token is nobody here, and somebody in a review for that audience; its key is published for those who verify."""
    async with served() as server:
        await account(server, "robot")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["vault"]}}
        made = await server.client.create(ACCOUNTS, body, "default", name="robot", subresource="token")
        token = made["status"]["token"]
        assert (await server.refusal(who(server, token))).code == 401
        status = await review(server, token, "vault", "other")
        assert (status["authenticated"], status["audiences"]) == (True, ["vault"])
        assert (await review(server, token))["authenticated"] is False
        found = await server.client.request("GET", "/.well-known/openid-configuration")
        assert (found["issuer"], found["jwks_uri"].endswith("/openid/v1/jwks")) == (ISSUER, True)
        session, url = server.client._opened("/openid/v1/jwks")
        async with session.get(url) as answer:
            assert answer.headers["Content-Type"] == "application/jwk-set+json"
            keys = jwt.PyJWKSet.from_dict(await answer.json(content_type=None))
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, audience="vault", issuer=ISSUER, algorithms=found["id_token_signing_alg_values_supported"])
        assert claims["sub"] == "system:serviceaccount:default:robot"
        assert (await server.refusal(server.user.request("GET", "/openid/v1/jwks"))).code == 403


async def test_rules_review_lists_what_a_user_may():
    """What everybody may, and what her role adds in that namespace and in no other."""
    async with served() as server:
        group = "rbac.authorization.k8s.io"
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
        role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": [rule]}
        await server.client.create(ROLES, role, "default")
        bound = {"apiGroup": group, "kind": "Group", "name": "developers"}
        reference = {"apiGroup": group, "kind": "Role", "name": "r"}
        binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "b"}, "subjects": [bound], "roleRef": reference}
        await server.client.create(BINDINGS, binding, "default")
        await server.until(BINDINGS, "b", "default", lambda one: True)
        for namespace, wanted in (("default", [rule]), ("kube-system", [])):
            spec = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
            status = (await server.user.create(RULES, spec))["status"]
            assert [one for one in status["resourceRules"] if "pods" in one["resources"]] == wanted
            assert any("selfsubjectaccessreviews" in one["resources"] for one in status["resourceRules"])
            assert any("/healthz" in one["nonResourceURLs"] for one in status["nonResourceRules"])
            assert status["incomplete"] is False
