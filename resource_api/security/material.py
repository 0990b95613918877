"""The server's secrets and certificates on disk: made at the first start, kept, renewed (see certificates.py, renewal.py, tokens.py).

Reads and writes files; called once, before anything is served.
"""

from __future__ import annotations

import pathlib
import ssl
from dataclasses import dataclass

from cryptography import x509

from raftkv.clock import Clock
from resource_api.security.authn import StaticTokens
from resource_api.security.certificates import (
    ADMIN_LEAF,
    Authority,
    Leaf,
    Pair,
    open_authority,
    open_leaf,
    server_context,
)
from resource_api.security.files import alone_in, content_of, write_private
from resource_api.security.tokens import PrivateKey, PublicKey, load_private_key, load_public_key, new_key


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are; empty ones are made in `directory`."""

    directory: pathlib.Path
    serving_certificate: str = ""
    serving_key: str = ""
    client_authority: str = ""
    tokens: str = ""
    signing_key: str = ""
    verifying_keys: tuple[str, ...] = ()
    proxy_authority: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What was read or made."""

    authority: Authority
    """Our own CA: it signs the administrator's certificate and approved requests."""
    admin: Pair
    tls: ssl.SSLContext
    served_from: tuple[bytes, ...]
    """What `tls` began with: the contents of `serving_files`."""
    serving_authority_pem: bytes
    """What clients check the server by: our CA, or the given certificate itself."""
    client_authorities: tuple[x509.Certificate, ...]
    static_tokens: StaticTokens
    signing_key: PrivateKey
    verifying_keys: tuple[PublicKey, ...]
    proxy_authorities: tuple[x509.Certificate, ...] = ()


def open_material(paths: Paths, clock: Clock, leaf: Leaf) -> Material:
    """Raises OSError and ValueError, which name the file. Servers that share the directory and start at once read what one of them made.

    `leaf` is what the serving certificate has to say, unless it is given.
    """
    with alone_in(paths.directory):
        return _open(paths, clock, leaf)


def _open(paths: Paths, clock: Clock, leaf: Leaf) -> Material:
    directory = paths.directory
    with content_of(directory):
        authority = open_authority(directory, clock)
    if paths.serving_certificate:
        certificate, key = pathlib.Path(paths.serving_certificate), pathlib.Path(paths.serving_key)
        checked_by = certificate.read_bytes()
    else:
        serving = open_leaf(authority, directory, "apiserver", leaf, clock)
        certificate, key, checked_by = serving.certificate_path, serving.key_path, authority.pair.certificate_pem
    tokens = StaticTokens()
    if paths.tokens:
        with content_of(paths.tokens):
            tokens.add_csv(pathlib.Path(paths.tokens).read_text(encoding="utf-8"))
    client_authorities, proxy_authorities = trusted_authorities(paths, authority)
    return Material(
        authority=authority,
        admin=open_leaf(authority, directory, "admin", ADMIN_LEAF, clock),
        tls=serving_context(paths, authority, certificate, key),
        served_from=tuple(path.read_bytes() for path in serving_files(paths, certificate, key)),
        serving_authority_pem=checked_by,
        client_authorities=client_authorities,
        static_tokens=tokens,
        signing_key=_signing_key(directory, paths.signing_key),
        verifying_keys=tuple(_verifying_key(path) for path in paths.verifying_keys),
        proxy_authorities=proxy_authorities,
    )


def serving_context(paths: Paths, authority: Authority, certificate: pathlib.Path, key: pathlib.Path) -> ssl.SSLContext:
    """What connections are served with: this certificate, and the CAs that clients' certificates may come from."""
    with content_of(certificate, key):
        return server_context(certificate, key, [authority.pair.certificate_path, *serving_files(paths, certificate, key)[2:]])


def serving_files(paths: Paths, certificate: pathlib.Path, key: pathlib.Path) -> list[pathlib.Path]:
    """Where a context comes from that may change: certificate, key, given authorities."""
    return [certificate, key, *(pathlib.Path(path) for path in (paths.client_authority, paths.proxy_authority) if path)]


def trusted_authorities(paths: Paths, authority: Authority) -> tuple[tuple[x509.Certificate, ...], tuple[x509.Certificate, ...]]:
    """Whose certificates are users', ours first, and whose are front proxies'."""
    return (authority.pair.certificate, *_certificates(paths.client_authority)), _certificates(paths.proxy_authority)


def _certificates(path: str) -> tuple[x509.Certificate, ...]:
    if not path:
        return ()
    with content_of(path):
        return tuple(x509.load_pem_x509_certificates(pathlib.Path(path).read_bytes()))


def _verifying_key(path: str) -> PublicKey:
    with content_of(path):
        return load_public_key(pathlib.Path(path).read_bytes())


def _signing_key(directory: pathlib.Path, given: str) -> PrivateKey:
    """The key that signs service account tokens; tokens outlive restarts, so it is kept."""
    path = pathlib.Path(given) if given else directory / "sa.key"
    if not given and not path.exists():
        write_private(path, new_key())
    with content_of(path):
        return load_private_key(path.read_bytes())
