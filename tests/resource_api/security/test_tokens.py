"""Service account tokens."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from resource_api.errors import Object, StatusError
from resource_api.security import tokens
from resource_api.security.lookup import get_or_none
from resource_api.security.tokens import TokenError, TokenIssuer
from tests.resource_api.security.cluster import FakeCluster, SetClock


def account(name: str = "robot", namespace: str = "ns1", uid: str = "u1") -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace, "uid": uid}}


def pod(name: str = "p", *, runs_as: str = "robot", node: str = "") -> Object:
    spec = {"serviceAccountName": runs_as, **({"nodeName": node} if node else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ns1", "uid": "pu"}, "spec": spec}


@functools.cache
def key() -> Any:
    return tokens.load_private_key(tokens.new_key())


def issuer(cluster: FakeCluster, clock: SetClock | None = None, **options: Any) -> TokenIssuer:
    async def lookup(plural: str, namespace: str, name: str) -> Object | None:
        return await get_or_none(cluster, "", plural, namespace, name)

    return TokenIssuer(clock or SetClock(), options.pop("key", key()), lookup, **options)


def ask(one: TokenIssuer, **spec: Any) -> Object:
    return asyncio.run(one.request("ns1", "robot", {"spec": spec}))


def claims(answer: Object) -> Object:
    return jwt.decode(answer["status"]["token"], options={"verify_signature": False})


def test_token_carries_upstreams_claims_and_is_verified():
    """Claims, header, defaults of the request and the user a token stands for."""
    clock = SetClock(1_800_000_000)
    one = issuer(FakeCluster(account()), clock)
    answer = ask(one)
    assert answer["spec"] == {"audiences": [tokens.DEFAULT_ISSUER], "expirationSeconds": 3600, "boundObjectRef": None}
    assert answer["status"]["expirationTimestamp"] == "2027-01-15T09:00:00Z"
    assert answer["metadata"]["name"] == "robot"
    said = claims(answer)
    jti = said.pop("jti")
    assert said == {
        "aud": [tokens.DEFAULT_ISSUER], "exp": 1_800_003_600, "iat": 1_800_000_000, "nbf": 1_800_000_000, "iss": tokens.DEFAULT_ISSUER,
        "sub": "system:serviceaccount:ns1:robot",
        "kubernetes.io": {"namespace": "ns1", "serviceaccount": {"name": "robot", "uid": "u1"}},
    }  # fmt: skip
    assert jwt.get_unverified_header(answer["status"]["token"])["kid"] == tokens.key_id(key().public_key())
    found = asyncio.run(one.verify(answer["status"]["token"]))
    assert found.user.name == "system:serviceaccount:ns1:robot"
    assert found.user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns1")
    assert found.user.uid == "u1"
    assert found.user.extra == {"authentication.kubernetes.io/credential-id": (f"JTI={jti}",)}
    assert found.audiences == (tokens.DEFAULT_ISSUER,)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(599, "may not specify a duration less than 10 minutes"), ((1 << 32) + 1, "may not specify a duration larger than 2^32 seconds")],
)
def test_expiration_out_of_bounds_is_invalid(seconds, text):
    """422 with upstream's sentence."""
    with pytest.raises(StatusError) as raised:
        ask(issuer(FakeCluster(account())), expirationSeconds=seconds)
    assert raised.value.code == 422
    assert raised.value.message == (
        f'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: {seconds}: {text}'
    )


def test_token_dies_with_time_account_and_uid():
    """Expired, account gone, account made again: each is refused."""
    clock, cluster = SetClock(), FakeCluster(account())
    one = issuer(cluster, clock)
    token = ask(one, expirationSeconds=600)["status"]["token"]
    clock.now_s += 599
    asyncio.run(one.verify(token))
    clock.now_s += 1
    with pytest.raises(TokenError, match="time"):
        asyncio.run(one.verify(token))
    clock.now_s -= 700
    with pytest.raises(TokenError, match="time"):
        asyncio.run(one.verify(token))
    clock.now_s += 200
    cluster.add(account(uid="u2"))
    with pytest.raises(TokenError, match="gone"):
        asyncio.run(one.verify(token))
    cluster.find("", "serviceaccounts").objects.clear()
    with pytest.raises(TokenError, match="gone"):
        asyncio.run(one.verify(token))
    with pytest.raises(StatusError, match='serviceaccounts "robot" not found'):
        ask(one)


def test_bound_pod_is_checked_at_issue_and_at_use():
    """A pod of the account, with its uid; the node it runs on is told; the token dies with the pod."""
    clock = SetClock()
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "nu"}}
    cluster = FakeCluster(account(), pod(node="n1"), node)
    one = issuer(cluster, clock)
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
    token = ask(one, boundObjectRef=reference)["status"]["token"]
    extra = asyncio.run(one.verify(token)).user.extra
    assert {name.split("/")[1]: values[0] for name, values in extra.items() if "credential" not in name} == {
        "pod-name": "p", "pod-uid": "pu", "node-name": "n1", "node-uid": "nu",
    }  # fmt: skip
    with pytest.raises(StatusError) as raised:
        ask(one, boundObjectRef={**reference, "uid": "other"})
    assert raised.value.code == 409 and "does not match the UID in record" in raised.value.message
    cluster.find("", "pods").objects["ns1", "p"]["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"
    asyncio.run(one.verify(token))
    clock.now_s += 61
    with pytest.raises(TokenError, match="deleted"):
        asyncio.run(one.verify(token))
    cluster.add(pod(runs_as="default"))
    with pytest.raises(StatusError, match="different serviceaccount name"):
        ask(one, boundObjectRef=reference)
    with pytest.raises(StatusError, match="cannot bind token to object of type apps/v1, Kind=Deployment"):
        ask(one, boundObjectRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"})
    with pytest.raises(StatusError, match='secrets "s" not found'):
        ask(one, boundObjectRef={"apiVersion": "v1", "kind": "Secret", "name": "s"})


def test_pod_tokens_live_a_year_and_warn_after_their_time():
    """The 3 607 seconds of the ServiceAccount plugin are extended for old clients, for the server's own audiences only."""
    one = issuer(FakeCluster(account(), pod()))
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
    said = claims(ask(one, boundObjectRef=reference, expirationSeconds=3607))
    assert said["exp"] - said["iat"] == tokens.EXTENDED_S
    assert said["kubernetes.io"]["warnafter"] - said["iat"] == 3607
    said = claims(ask(one, boundObjectRef=reference, expirationSeconds=3607, audiences=["vault"]))
    assert said["exp"] - said["iat"] == 3607


def test_audiences_must_meet():
    """A token for somebody else does not open this server; asked for that audience, it is what it is."""
    one = issuer(FakeCluster(account()))
    token = ask(one, audiences=["vault", "more"])["status"]["token"]
    with pytest.raises(TokenError, match="audiences"):
        asyncio.run(one.verify(token))
    assert asyncio.run(one.verify(token, ["x", "vault"])).audiences == ("vault",)


def test_longest_life_is_bounded_by_configuration():
    """`--service-account-max-token-expiration` cuts."""
    said = claims(ask(issuer(FakeCluster(account()), expiration_max_s=1000), expirationSeconds=100_000))
    assert said["exp"] - said["iat"] == 1000


@pytest.mark.parametrize("make", [lambda: rsa.generate_private_key(65537, 2048), lambda: ec.generate_private_key(ec.SECP384R1())])
def test_other_keys_sign_and_old_public_keys_still_verify(make):
    """RS256 and ES384; tokens of a former key pass while its public half is given; the JWKS tells both."""
    cluster = FakeCluster(account())
    other = make()
    token = ask(issuer(cluster, key=other))["status"]["token"]
    with pytest.raises(TokenError):
        asyncio.run(issuer(cluster).verify(token))
    both = issuer(cluster, public_keys=[other.public_key()])
    asyncio.run(both.verify(token))
    keys = {one["kid"]: jwt.PyJWK(one) for one in both.jwks()["keys"]}
    assert len(keys) == 2
    kid = jwt.get_unverified_header(token)["kid"]
    jwt.decode(token, keys[kid].key, algorithms=[keys[kid].algorithm_name], options={"verify_exp": False, "verify_aud": False,
               "verify_nbf": False, "verify_iat": False})  # fmt: skip
    assert both.openid_configuration("https://x/openid/v1/jwks")["issuer"] == tokens.DEFAULT_ISSUER


def test_forged_tokens_are_refused():
    """No signature, another algorithm with the public key as secret, another issuer, a swapped subject, rubbish."""
    one = issuer(FakeCluster(account()))
    said = claims(ask(one))
    pem = key().public_key()
    signed = functools.partial(jwt.encode, key=key(), algorithm="ES256", headers={"kid": tokens.key_id(pem)})
    forged = [
        jwt.encode(said, None, algorithm="none", headers={"kid": tokens.key_id(pem)}),
        jwt.encode(said, "x" * 32, algorithm="HS256", headers={"kid": tokens.key_id(pem)}),
        jwt.encode(said, "x" * 32, algorithm="HS256"),
        signed({**said, "iss": "https://other"}),
        signed({**said, "sub": "system:serviceaccount:kube-system:root"}),
        signed({name: value for name, value in said.items() if name != "kubernetes.io"}),
        signed({**said, "kubernetes.io": {"namespace": "ns1", "serviceaccount": {"name": "robot"}}}),
        signed({**said, "kubernetes.io": {**said["kubernetes.io"], "pod": 3}}),
        signed({name: value for name, value in said.items() if name != "exp"}),
        "a.b.c",
        "..",
        "\udcff.a.b",
    ]
    for token in forged:
        with pytest.raises(TokenError):
            asyncio.run(one.verify(token))
