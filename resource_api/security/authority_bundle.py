"""A bundle of authorities as PEM text: who is in it, and how another one comes in. Pure; used by `controllers/authorities.py`."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode

from cryptography import x509

AUTHORITIES_MAX = 8
"""Certificates in the bundle. A server that finds it full adds none: it would push out another's, which would come back."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+(.*?)\s+-----END CERTIFICATE-----", re.DOTALL)


def certificates(text: str) -> list[str]:
    """The base64 of each certificate of a PEM text, without white space."""
    return ["".join(found.split()) for found in _CERTIFICATE.findall(text)]


def joined(published: str, own: str, now_s: float) -> str | None:
    """A bundle with all of `own`, and of `published` what is a certificate that holds at `now_s`, s since 1970; None when it is full.

    A bundle that has them already stays as it is, so that nobody writes twice.
    """
    there, wanted = certificates(published), certificates(own)
    if all(one in there for one in wanted):
        return published
    kept = [one for one in dict.fromkeys(there) if one not in wanted and _holds(one, now_s)]
    if not kept:
        return own
    if len(kept) + len(wanted) > AUTHORITIES_MAX:
        return None
    return "".join(map(_written, (*kept, *wanted)))


def _holds(certificate: str, now_s: float) -> bool:
    try:
        return x509.load_der_x509_certificate(b64decode(certificate)).not_valid_after_utc.timestamp() > now_s
    except ValueError:
        return False


def _written(certificate: str) -> str:
    lines = [certificate[start : start + 64] for start in range(0, len(certificate), 64)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))


def fingerprint(certificate: str) -> str:
    """As `openssl x509 -fingerprint -sha256` has it, without colons."""
    try:
        return hashlib.sha256(b64decode(certificate)).hexdigest()
    except ValueError:
        return "unreadable"
