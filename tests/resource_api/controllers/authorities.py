"""Authorities for tests: certificates that sign themselves."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.resource_api.world import WALL_S


def made_authority(name: str, *, lasts_s: float = 1e8) -> str:
    """As PEM; it holds from the virtual calendar's beginning on."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = datetime.datetime.fromtimestamp(WALL_S - 1e6, datetime.UTC)
    end = datetime.datetime.fromtimestamp(WALL_S + lasts_s, datetime.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begin, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
