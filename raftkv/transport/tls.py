"""TLS contexts for both roles: h2 and http/1.1 by ALPN, TLS 1.2 or later, no renegotiation, no compression.

Knows files and certificates, nothing of connections. Errors of the files are raised as ConfigError naming them.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from raftkv.errors import ConfigError

ALPN_PROTOCOLS = ["h2", "http/1.1"]

CIPHERS_TLS12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 ciphers that HTTP/2 allows (RFC 9113 Appendix A forbids all without ephemeral keys and AEAD)."""


def server_context(
    *, cert_file: str | Path, key_file: str | Path, trusted_ca_file: str | Path | None = None, client_cert_auth: bool = False
) -> ssl.SSLContext:
    """For listening. `client_cert_auth` demands a certificate signed by `trusted_ca_file`; etcd's flags of these names."""
    if client_cert_auth and trusted_ca_file is None:
        raise ConfigError("client-cert-auth needs trusted-ca-file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    _load(lambda: context.load_cert_chain(cert_file, key_file), f"{cert_file}, {key_file}")
    if trusted_ca_file is not None:
        _load(lambda: context.load_verify_locations(trusted_ca_file), str(trusted_ca_file))
        context.verify_mode = ssl.CERT_REQUIRED if client_cert_auth else ssl.CERT_OPTIONAL
    return context


def client_context(
    *,
    trusted_ca_file: str | Path | None = None,
    cert_file: str | Path | None = None,
    key_file: str | Path | None = None,
    insecure_skip_verify: bool = False,
) -> ssl.SSLContext:
    """For connecting; without `trusted_ca_file` the system's roots are trusted."""
    if (cert_file is None) != (key_file is None):
        raise ConfigError("a client certificate needs both its cert file and its key file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    context.set_alpn_protocols(ALPN_PROTOCOLS[:1])
    if insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trusted_ca_file is not None:
        _load(lambda: context.load_verify_locations(trusted_ca_file), str(trusted_ca_file))
    else:
        context.load_default_certs()
    if cert_file is not None and key_file is not None:
        _load(lambda: context.load_cert_chain(cert_file, key_file), f"{cert_file}, {key_file}")
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(CIPHERS_TLS12)


def _load(load: Callable[[], None], what: str) -> None:
    try:
        load()
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"cannot use {what}: {exc}") from exc
