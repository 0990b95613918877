"""The CA, what it signs, TLS contexts, the kubeconfig, and signed requests."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import pathlib
import ssl
import stat
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from raftkv.clock import SystemClock
from resource_api.errors import Object
from resource_api.security import signers, signing
from resource_api.security.certificates import ADMIN_LEAF, Leaf, open_authority, open_leaf, server_context, serving_leaf
from resource_api.security.kubeconfig import kubeconfig, new_admin_token, write_kubeconfig
from tests.resource_api.security.cluster import FakeCluster, SetClock

DAY_S = 86400


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_kept_across_starts_and_private(tmp_path):
    """The second start reads what the first wrote; keys are the owner's alone."""
    clock = SetClock()
    authority = open_authority(tmp_path / "pki", clock)
    serving = open_leaf(authority, tmp_path / "pki", "apiserver", serving_leaf(service_ip="10.0.0.1"), clock)
    again = open_authority(tmp_path / "pki", clock)
    assert again.pair.certificate == authority.pair.certificate
    assert open_leaf(again, tmp_path / "pki", "apiserver", serving_leaf(service_ip="10.0.0.1"), clock).certificate == serving.certificate
    assert mode(tmp_path / "pki") == 0o700
    assert {mode(path) for path in (tmp_path / "pki").glob("*.key")} == {0o600}
    assert sorted(path.name for path in (tmp_path / "pki").iterdir()) == ["apiserver.crt", "apiserver.key", "ca.crt", "ca.key"]


def test_leaf_is_renewed_near_its_end_for_new_names_and_for_a_new_ca(tmp_path):
    """Anything that would make a client refuse it, or will soon, makes a new one."""
    clock = SetClock()
    authority = open_authority(tmp_path, clock)
    first = open_leaf(authority, tmp_path, "apiserver", serving_leaf(), clock)
    clock.now_s += 200 * DAY_S
    assert open_leaf(authority, tmp_path, "apiserver", serving_leaf(), clock).certificate == first.certificate
    named = open_leaf(authority, tmp_path, "apiserver", serving_leaf(extra_names=["api.example"]), clock)
    assert named.certificate != first.certificate
    assert open_leaf(authority, tmp_path, "apiserver", serving_leaf(), clock).certificate == named.certificate
    clock.now_s += 300 * DAY_S
    renewed = open_leaf(authority, tmp_path, "apiserver", serving_leaf(), clock)
    assert renewed.certificate != named.certificate
    other = open_authority(tmp_path / "other", clock)
    assert open_leaf(other, tmp_path, "apiserver", serving_leaf(), clock).certificate != renewed.certificate
    (tmp_path / "apiserver.key").write_bytes(b"rubbish")
    open_leaf(authority, tmp_path, "apiserver", serving_leaf(), clock)
    clock.now_s += 3500 * DAY_S
    assert open_authority(tmp_path, clock).pair.certificate != authority.pair.certificate


def test_damaged_ca_is_not_replaced_silently(tmp_path):
    """Clients trust it: the server refuses to start and names the files."""
    open_authority(tmp_path, SetClock())
    (tmp_path / "ca.key").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="ca.key"):
        open_authority(tmp_path, SetClock())


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[bytes | None, str | None]:
    """Both ends in memory: what the server sees of the client, and the protocol chosen."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname=name),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    try:
        ends[0].read(1)
    except ssl.SSLWantReadError:
        pass
    return ends[0].getpeercert(binary_form=True), ends[0].selected_alpn_protocol()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc", "10.96.0.1", "api.example"])
def test_tls_names_and_client_certificates(tmp_path, name):
    """Every name of the certificate verifies; a client may bring a certificate or none; one of a stranger's CA is refused."""
    clock = SystemClock()
    authority = open_authority(tmp_path, clock)
    serving = open_leaf(authority, tmp_path, "apiserver", serving_leaf(service_ip="10.96.0.1", extra_names=["api.example"]), clock)
    admin = open_leaf(authority, tmp_path, "admin", ADMIN_LEAF, clock)
    server = server_context(serving.certificate_path, serving.key_path, [authority.pair.certificate_path])
    client = ssl.create_default_context(cafile=str(authority.pair.certificate_path))
    client.set_alpn_protocols(["h2", "http/1.1"])
    assert handshake(server, client, name) == (None, "http/1.1")
    client.load_cert_chain(admin.certificate_path, admin.key_path)
    der, _ = handshake(server, client, name)
    assert der == admin.certificate.public_bytes(Encoding.DER)
    stranger = open_authority(tmp_path / "stranger", clock)
    other = open_leaf(stranger, tmp_path / "stranger", "admin", Leaf("eve", ("system:masters",)), clock)
    client.load_cert_chain(other.certificate_path, other.key_path)
    with pytest.raises(ssl.SSLError):
        handshake(server, client, name)


def test_kubeconfig_is_complete_and_private(tmp_path):
    """Inline certificate and key, one context, 0600, replaced in one step."""
    authority = open_authority(tmp_path, SetClock())
    admin = open_leaf(authority, tmp_path, "admin", ADMIN_LEAF, SetClock())
    path = tmp_path / "deep" / "config"
    write_kubeconfig(path, kubeconfig("https://127.0.0.1:6443", authority.pair.certificate_pem, admin=admin, token="t"))
    assert mode(path) == 0o600
    read = yaml.safe_load(path.read_text())
    assert read["current-context"] == read["contexts"][0]["name"]
    assert base64.b64decode(read["users"][0]["user"]["client-key-data"]) == admin.key_pem
    assert base64.b64decode(read["clusters"][0]["cluster"]["certificate-authority-data"]) == authority.pair.certificate_pem
    assert kubeconfig("http://127.0.0.1:8080", None, token="t")["clusters"][0]["cluster"] == {"server": "http://127.0.0.1:8080"}
    assert len(new_admin_token()) == 43 and new_admin_token() != new_admin_token()


def csr(
    *,
    usages: tuple[str, ...] = ("client auth", "digital signature"),
    signer: str = signers.CLIENT_SIGNER,
    conditions: tuple[str, ...] = ("Approved",),
    name: str = "carol",
    groups: tuple[str, ...] = ("devs",),
    names: tuple[x509.GeneralName, ...] = (),
    **spec: Any,
) -> Object:
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "carol"},
        "spec": {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": list(usages), **spec},
        "status": {"conditions": [{"type": kind, "status": "True"} for kind in conditions]},
    }


def test_approved_request_gets_a_client_certificate(tmp_path):
    """The subject asked for, signed by the CA, for clients, no longer than asked; a second look does nothing."""
    clock = SetClock()
    authority = open_authority(tmp_path, clock)
    cluster = FakeCluster(csr(expirationSeconds=3600))
    resource = cluster.find(signing.GROUP, signing.PLURAL)
    stored = resource.objects["", "carol"]
    assert asyncio.run(signing.sign_approved(cluster, authority, clock, stored))
    stored = resource.objects["", "carol"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(stored["status"]["certificate"]))
    certificate.verify_directly_issued_by(authority.pair.certificate)
    assert certificate.subject.rfc4514_string() == "CN=carol,O=devs"
    assert certificate.not_valid_after_utc.timestamp() == clock.now_s + 3600
    assert not asyncio.run(signing.sign_approved(cluster, authority, clock, stored))


@pytest.mark.parametrize(
    ("usages", "bits"),
    [
        (("client auth",), None),
        (("client auth", "digital signature"), (True, False)),
        (("client auth", "key encipherment"), (False, True)),
    ],
)
def test_certificate_says_the_key_usages_asked_for_or_none(tmp_path, usages, bits):
    """OpenSSL refuses a certificate whose key usage has no bit: without one there is no extension."""
    pem = signing.sign(csr(usages=usages), open_authority(tmp_path, SetClock()))
    extensions = x509.load_pem_x509_certificate(pem).extensions
    said = [one.value for one in extensions if isinstance(one.value, x509.KeyUsage)]
    assert [(one.digital_signature, one.key_encipherment) for one in said] == ([bits] if bits else [])


def test_requests_that_are_not_ours_or_not_approved_wait(tmp_path):
    """Pending, denied, failed or another signer's: nothing is written."""
    assert not signing.is_approved(csr(conditions=()))
    assert not signing.is_approved(csr(conditions=("Approved", "Denied")))
    assert not signing.is_approved(csr(conditions=("Approved", "Failed")))
    assert not signing.is_approved(csr(signer="example.com/mine"))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"usages": ("client auth", "server auth")}, "invalid usage for client certificate: server auth"),
        ({"usages": ("digital signature",)}, "missing required usage for client certificate: client auth"),
        ({"request": "cnViYmlzaA=="}, "parse"),
    ],
)
def test_unsignable_request_fails_with_a_reason(tmp_path, wrong, text):
    """A condition says why; no certificate is written."""
    clock = SetClock()
    result = signing.signed(csr(**wrong), open_authority(tmp_path, clock), clock)
    assert "certificate" not in result["status"]
    failed = result["status"]["conditions"][-1]
    assert failed["type"] == "Failed" and failed["reason"] == "SignerValidationFailure" and text in failed["message"]


BOTH = ("digital signature", "key encipherment")
DNS, ADDRESS = x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))
EMAIL, URI = x509.RFC822Name("a@example.com"), x509.UniformResourceIdentifier("spiffe://x")
NODE: dict[str, Any] = {"name": "system:node:n1", "groups": ("system:nodes",)}
CLIENT = {**NODE, "signer": signers.KUBELET_CLIENT_SIGNER, "usages": (*BOTH, "client auth")}
SERVING = {**NODE, "signer": signers.KUBELET_SERVING_SIGNER, "usages": (*BOTH, "server auth"), "names": (DNS, ADDRESS)}
NOT_NODES, NOT_A_NODE = "subject organization is not system:nodes", "subject common name does not begin with system:node:"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({**CLIENT, "groups": ("devs",)}, NOT_NODES),
        ({**CLIENT, "groups": ("system:nodes", "devs")}, NOT_NODES),
        ({**CLIENT, "groups": ()}, NOT_NODES),
        ({**CLIENT, "name": "n1"}, NOT_A_NODE),
        ({**CLIENT, "names": (DNS,)}, "DNS subjectAltNames are not allowed"),
        ({**CLIENT, "names": (EMAIL,)}, "Email subjectAltNames are not allowed"),
        ({**CLIENT, "names": (ADDRESS,)}, "IP subjectAltNames are not allowed"),
        ({**CLIENT, "names": (URI,)}, "URI subjectAltNames are not allowed"),
        ({**CLIENT, "usages": (*BOTH, "server auth")}, "usages did not match [client auth digital signature key encipherment]"),
        ({**CLIENT, "usages": ("client auth",)}, "usages did not match [client auth digital signature key encipherment]"),
        ({**SERVING, "groups": ("devs",)}, NOT_NODES),
        ({**SERVING, "names": ()}, "DNS or IP subjectAltName is required"),
        ({**SERVING, "names": (DNS, EMAIL)}, "Email subjectAltNames are not allowed"),
        ({**SERVING, "names": (ADDRESS, URI)}, "URI subjectAltNames are not allowed"),
        ({**SERVING, "usages": (*BOTH, "client auth")}, "usages did not match [digital signature key encipherment server auth]"),
        ({**SERVING, "name": "carol"}, NOT_A_NODE),
    ],
)
def test_signer_of_kubelets_refuses_what_upstreams_refuses(tmp_path, asked, text):
    """With the condition Failed and its reason."""
    clock = SetClock()
    result = signing.signed(csr(**asked), open_authority(tmp_path, clock), clock)
    failed = result["status"]["conditions"][-1]
    assert (failed["type"], failed["reason"], failed["message"]) == ("Failed", "SignerValidationFailure", text)
    assert "certificate" not in result["status"]


@pytest.mark.parametrize(
    ("asked", "purposes"),
    [
        (CLIENT, ["client auth"]),
        ({**CLIENT, "usages": ("client auth", "digital signature")}, ["client auth"]),
        (SERVING, ["server auth"]),
        ({**SERVING, "usages": ("server auth", "digital signature"), "names": (ADDRESS,)}, ["server auth"]),
        ({"signer": signers.LEGACY_SIGNER, "usages": ("any", "s/mime", "email protection")}, ["any", "s/mime"]),
    ],
)
def test_signer_gives_what_was_asked_for(tmp_path, asked, purposes):
    """Subject, names and usages of the request; each purpose once."""
    request = csr(**asked)
    assert signing.is_approved(request)
    certificate = x509.load_pem_x509_certificate(signing.sign(request, open_authority(tmp_path, SetClock())))
    held = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(held) == [signers.EXTENDED[one] for one in purposes]
    assert certificate.subject == signing.parse_request(request).subject
    named = [one.value for one in certificate.extensions if isinstance(one.value, x509.SubjectAlternativeName)]
    assert [list(one) for one in named] == ([list(asked["names"])] if asked.get("names") else [])
