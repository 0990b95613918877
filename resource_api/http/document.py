"""A document that changes seldom: its bytes and the ETag that names them. Discovery and OpenAPI are made of these."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from resource_api.errors import Json


class Document(NamedTuple):
    """JSON, or another form of it, and its SHA-512 in upper-case hex."""

    body: bytes
    digest: str

    @property
    def etag(self) -> str:
        """As the header has it."""
        return f'"{self.digest}"'

    def matches(self, if_none_match: str) -> bool:
        """Whether the client already has it: the answer is 304."""
        return any(part.strip().removeprefix("W/") in (self.etag, "*") for part in if_none_match.split(","))


def document(value: Json) -> Document:
    """Encodes and names a value."""
    return named(msgspec.json.encode(value))


def named(body: bytes) -> Document:
    """Names what is encoded."""
    return Document(body, hashlib.sha512(body).hexdigest().upper())
