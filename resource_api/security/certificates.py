"""The server's own CA and what it signs: the serving certificate, the administrator's, and certificates of approved requests.

Files in `--cert-dir` are kept across restarts and replaced when they are near their end, damaged, or lack a name; keys are 0600. Nothing
here reads a clock. Source: spec D.2, D.5; RFC 5280.
"""

from __future__ import annotations

import datetime
import ipaddress
import pathlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from raftkv.clock import Clock
from resource_api.security.files import FileContentError, write_private

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
BACKDATE_S = 300
"""Certificates are valid from a little before now, for clocks that are behind."""
RENEW_BELOW = 0.2
"""The part of its life a certificate has left when a start replaces it."""

SERVING_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    "::1",
)
"""Always in the serving certificate."""

ADMIN_NAME = "kubernetes-admin"

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Pair(NamedTuple):
    """A certificate and its key, and the files they are in."""

    certificate: x509.Certificate
    key: SigningKey
    certificate_path: pathlib.Path
    key_path: pathlib.Path

    @property
    def certificate_pem(self) -> bytes:
        """As it stands in the file."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """As it stands in the file."""
        return key_pem(self.key)


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a certificate is to say."""

    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """DNS names and IP addresses, as text."""
    server: bool = False


def key_pem(key: SigningKey) -> bytes:
    """A private key as PKCS#8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def moment(seconds: float) -> datetime.datetime:
    """Seconds since 1970 as certificates want them."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Texts as DNS names or, where they are, IP addresses."""
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


class Authority:
    """A CA: a certificate that may sign, and its key."""

    def __init__(self, pair: Pair, clock: Clock) -> None:
        self.pair = pair
        self._clock = clock

    def sign_leaf(self, leaf: Leaf, key: SigningKey) -> x509.Certificate:
        """A certificate of ours for a year, or for as long as the CA lives."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH if leaf.server else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in leaf.organizations),
                x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name),
            ]
        )
        builder = self.builder(subject, LEAF_DAYS * 86400).public_key(key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(key_usage(digital_signature=True, key_encipherment=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if leaf.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(general_names(leaf.names)), critical=False)
        return builder.sign(self.pair.key, hashes.SHA256())

    def builder(self, subject: x509.Name, lives_s: int) -> x509.CertificateBuilder:
        """What every certificate of this CA begins with: names, serial, times within the CA's own, and whose key it was signed with."""
        now_s = self._clock.wall_s()
        start = max(moment(now_s - BACKDATE_S), self.pair.certificate.not_valid_before_utc)
        end = min(moment(now_s + lives_s), self.pair.certificate.not_valid_after_utc)
        issuer_key = self.pair.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.pair.certificate.subject)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
        )


def key_usage(**on: bool) -> x509.KeyUsage:
    """The usages named, and no others."""
    every = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**(every | on))


def open_authority(directory: pathlib.Path, clock: Clock, name: str = "resource-api-ca") -> Authority:
    """The CA in `ca.crt` and `ca.key`; made when there is none or it is near its end.

    Raises ValueError when files are there that are no pair: a CA that clients may trust is never replaced because it could not be read.
    """
    certificate_path, key_path = directory / "ca.crt", directory / "ca.key"
    pair = _read(certificate_path, key_path)
    # A key alone is what a first start leaves that died between its two writes.
    if pair is None and certificate_path.exists():
        text = f"{certificate_path} and {key_path} are no certificate with its key; move both away to have new ones made"
        raise FileContentError(text, has_advice=True)
    if pair is None or not has_time_left(pair.certificate, clock):
        key = ec.generate_private_key(ec.SECP256R1())
        pair = Pair(_self_signed(key, name, clock), key, certificate_path, key_path)
        _write(pair)
    return Authority(pair, clock)


def _self_signed(key: SigningKey, common_name: str, clock: Clock) -> x509.Certificate:
    now_s = clock.wall_s()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(now_s - BACKDATE_S))
        .not_valid_after(moment(now_s + AUTHORITY_DAYS * 86400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(digital_signature=True, key_encipherment=True, key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def open_leaf(authority: Authority, directory: pathlib.Path, file_name: str, leaf: Leaf, clock: Clock) -> Pair:
    """The pair in `FILE_NAME.crt` and `.key`; signed anew when it is missing, near its end, of another CA or lacks what `leaf` says."""
    certificate_path, key_path = directory / f"{file_name}.crt", directory / f"{file_name}.key"
    pair = _read(certificate_path, key_path)
    if pair is None or not has_time_left(pair.certificate, clock) or not _says(pair.certificate, authority, leaf):
        key = ec.generate_private_key(ec.SECP256R1())
        pair = Pair(authority.sign_leaf(leaf, key), key, certificate_path, key_path)
        _write(pair)
    return pair


def serving_leaf(*, service_ip: str = "", extra_names: Sequence[str] = ()) -> Leaf:
    """What the serving certificate says; `service_ip` is the first address of the service range."""
    names = (*SERVING_NAMES, *((service_ip,) if service_ip else ()), *extra_names)
    return Leaf("kube-apiserver", names=tuple(dict.fromkeys(names)), server=True)


ADMIN_LEAF = Leaf(ADMIN_NAME, ("system:masters",))
"""The administrator's certificate."""


def has_time_left(certificate: x509.Certificate, clock: Clock) -> bool:
    """Whether it is valid and has more than a fifth of its life left."""
    start, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return start <= clock.wall_s() < end - (end - start) * RENEW_BELOW


def _says(certificate: x509.Certificate, authority: Authority, leaf: Leaf) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.pair.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    subject = [attribute.value for attribute in certificate.subject]
    if subject != [*leaf.organizations, leaf.common_name]:
        return False
    try:
        held = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        held = []
    return all(name in held for name in general_names(leaf.names))


def _read(certificate_path: pathlib.Path, key_path: pathlib.Path) -> Pair | None:
    """The pair in two files; None when one is missing or they are no pair."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        return None
    return Pair(certificate, key, certificate_path, key_path)


def _write(pair: Pair) -> None:
    # The key first: a certificate without its key is made anew, a key without a certificate too.
    write_private(pair.key_path, pair.key_pem)
    write_private(pair.certificate_path, pair.certificate_pem, mode=0o644)


def server_context(
    certificate_path: pathlib.Path,
    key_path: pathlib.Path,
    client_authorities: Sequence[pathlib.Path] = (),
    *,
    protocols: Sequence[str] = ("http/1.1",),
) -> ssl.SSLContext:
    """TLS 1.2 or later; asks clients for a certificate but does without. One of a CA that is not named here ends the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate_path, key_path)
    context.set_alpn_protocols(list(protocols))
    if client_authorities:
        context.verify_mode = ssl.CERT_OPTIONAL
        for path in client_authorities:
            context.load_verify_locations(path)
    return context
