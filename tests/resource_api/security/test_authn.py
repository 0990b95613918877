"""Who asks."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from resource_api.errors import StatusError
from resource_api.registry.requests import User
from resource_api.security.authn import ANONYMOUS, Authenticator, Credentials, FrontProxy, StaticTokens, websocket_bearer
from resource_api.security.certificates import Leaf, open_authority, open_leaf
from tests.resource_api.security.cluster import FakeCluster, SetClock
from tests.resource_api.security.test_tokens import account, ask, issuer


def who(authenticator: Authenticator, **credentials: Any) -> User:
    return asyncio.run(authenticator.authenticate(Credentials(**credentials)))


def refused(authenticator: Authenticator, **credentials: Any) -> bool:
    with pytest.raises(StatusError) as raised:
        who(authenticator, **credentials)
    return raised.value.code == 401 and raised.value.message == "Unauthorized"


def static() -> StaticTokens:
    tokens = StaticTokens()
    tokens.add_csv('# comment\n\nsecret,alice,u1,"devs,ops"\nplain,bob,u2\n')
    return tokens


def test_static_tokens_name_their_user_and_bad_ones_are_no_user():
    """A wrong credential is 401; none, an empty one and one of another scheme are anonymous, where that is allowed."""
    one = Authenticator(SetClock(), tokens=static())
    assert who(one, authorization="Bearer secret") == User("alice", ("devs", "ops", "system:authenticated"), "u1")
    assert who(one, authorization=" bearer plain more ") == User("bob", ("system:authenticated",), "u2")
    closed = Authenticator(SetClock(), tokens=static(), anonymous=False)
    for header in ("", "Bearer ", "Bearer", "Basic YTpi", "bearer  plain", "Bearerplain"):
        assert who(one, authorization=header) == ANONYMOUS
        assert refused(closed, authorization=header)
    for header in ("Bearer wrong", "Bearer a.b.c", "Bearer \udcff"):
        assert refused(one, authorization=header)


@pytest.mark.parametrize("text", ["token,user", ",user,uid"])
def test_token_file_faults_name_the_line(text):
    """A line nobody can mean stops the start."""
    with pytest.raises(ValueError, match="line 2"):
        StaticTokens().add_csv("a,b,c\n" + text)


def test_bearer_comes_as_websocket_subprotocol_too():
    """Browsers cannot set headers; another protocol must be offered beside it."""
    encoded = "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(b"secret").rstrip(b"=").decode()
    one = Authenticator(SetClock(), tokens=static())
    assert who(one, websocket_protocols=(encoded, "v5.channel.k8s.io")).name == "alice"
    assert websocket_bearer((encoded, "v5.channel.k8s.io")) == ("secret", ("v5.channel.k8s.io",))
    assert refused(one, websocket_protocols=(encoded,))
    assert refused(one, websocket_protocols=("base64url.bearer.authorization.k8s.io.%%", "x"))
    assert refused(one, websocket_protocols=(encoded, encoded, "x"))
    assert who(one, websocket_protocols=("v5.channel.k8s.io",)) == ANONYMOUS


def test_service_account_tokens_pass_while_the_account_lives():
    """The account's groups and those of everybody recognised."""
    cluster = FakeCluster(account())
    tokens = issuer(cluster)
    one = Authenticator(SetClock(), issuer=tokens)
    header = "Bearer " + ask(tokens)["status"]["token"]
    user = who(one, authorization=header)
    assert user.name == "system:serviceaccount:ns1:robot"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns1", "system:authenticated")
    cluster.find("", "serviceaccounts").objects.clear()
    assert refused(one, authorization=header)


def bootstrap_secret(**data: str) -> dict[str, Any]:
    plain = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", **data}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {name.replace("_", "-"): base64.b64encode(value.encode()).decode() for name, value in plain.items()},
    }


def test_bootstrap_token_is_a_secret_with_its_rules():
    """Type, id, secret, usage, expiration, groups: each can refuse."""
    header = "Bearer abcdef.0123456789abcdef"

    def one(secret: dict[str, Any]) -> Authenticator:
        return Authenticator(SetClock(), lookup=FakeCluster(secret))

    user = who(
        one(bootstrap_secret(auth_extra_groups="system:bootstrappers:kubeadm", expiration="2030-01-01T00:00:00Z")), authorization=header
    )
    assert user == User("system:bootstrap:abcdef", ("system:bootstrappers", "system:bootstrappers:kubeadm", "system:authenticated"))
    bad = [
        {**bootstrap_secret(), "type": "Opaque"},
        bootstrap_secret(**{"token-secret": "0000000000000000"}),
        bootstrap_secret(**{"usage-bootstrap-authentication": "false"}),
        bootstrap_secret(expiration="2020-01-01T00:00:00Z"),
        bootstrap_secret(expiration="tomorrow"),
        bootstrap_secret(auth_extra_groups="system:masters"),
        bootstrap_secret(**{"token-id": "fedcba"}),
    ]
    for secret in bad:
        assert refused(one(secret), authorization=header)
    assert refused(Authenticator(SetClock(), lookup=FakeCluster()), authorization=header)
    assert refused(Authenticator(SetClock(), lookup=FakeCluster(bootstrap_secret()), bootstrap_tokens=False), authorization=header)


def test_client_certificate_names_user_and_groups(tmp_path):
    """CN is the user, every O a group; a serving certificate is no client's, and one past its end is none any more."""
    clock = SetClock()
    authority = open_authority(tmp_path, clock)
    client = open_leaf(authority, tmp_path, "c", Leaf("carol", ("devs", "ops")), clock)
    serving = open_leaf(authority, tmp_path, "s", Leaf("api", server=True), clock)
    one = Authenticator(clock, tokens=static())
    der = client.certificate.public_bytes(Encoding.DER)
    user = who(one, certificate=der)
    assert (user.name, user.groups) == ("carol", ("devs", "ops", "system:authenticated"))
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    assert who(one, certificate=der, authorization="Bearer secret").name == "carol"
    assert refused(one, certificate=serving.certificate.public_bytes(Encoding.DER))
    assert refused(one, certificate=b"rubbish")
    clock.now_s += 366 * 86400
    assert refused(one, certificate=der)


def test_front_proxy_tells_who_asks_and_nobody_else_may(tmp_path):
    """Headers count only under a certificate of the proxy's CA with an allowed name; its certificate is no user of ours."""
    clock = SetClock()
    clients, proxies = open_authority(tmp_path / "c", clock), open_authority(tmp_path / "p", clock)
    proxy = open_leaf(proxies, tmp_path / "p", "proxy", Leaf("front", ("system:masters",)), clock).certificate.public_bytes(Encoding.DER)
    stranger = open_leaf(proxies, tmp_path / "p", "other", Leaf("back", ("system:masters",)), clock).certificate.public_bytes(Encoding.DER)
    client = open_leaf(clients, tmp_path / "c", "c", Leaf("carol"), clock).certificate.public_bytes(Encoding.DER)
    one = Authenticator(
        clock, front_proxy=FrontProxy((proxies.pair.certificate,), ("front",)), client_authorities=(clients.pair.certificate,)
    )
    headers = {"x-remote-user": ["dave"], "x-remote-group": ["a", "b"], "x-remote-extra-acme.com%2fx": ["1", "2"], "x-remote-uid": ["7"]}
    assert who(one, certificate=proxy, headers=headers) == User("dave", ("a", "b", "system:authenticated"), "7", {"acme.com/x": ("1", "2")})
    assert who(one, certificate=stranger, headers=headers) == ANONYMOUS
    assert who(one, certificate=proxy) == ANONYMOUS
    assert who(one, certificate=client, headers=headers).name == "carol"
    assert who(one, headers=headers) == ANONYMOUS


def test_authorities_that_change_count_for_certificates_known_already(tmp_path):
    """What was found out about a certificate under the old ones is forgotten."""
    clock = SetClock()
    clients, proxies = open_authority(tmp_path / "c", clock), open_authority(tmp_path / "p", clock)
    proxy = open_leaf(proxies, tmp_path / "p", "proxy", Leaf("front"), clock).certificate.public_bytes(Encoding.DER)
    client = open_leaf(clients, tmp_path / "c", "c", Leaf("carol"), clock).certificate.public_bytes(Encoding.DER)
    one = Authenticator(clock, front_proxy=FrontProxy((proxies.pair.certificate,)), client_authorities=(clients.pair.certificate,))
    headers = {"x-remote-user": ["dave"]}
    assert [who(one, certificate=der, headers=headers).name for der in (proxy, client)] == ["dave", "carol"]
    one.trust((proxies.pair.certificate,), (clients.pair.certificate,))
    assert [who(one, certificate=der, headers=headers).name for der in (proxy, client)] == ["front", "dave"]
