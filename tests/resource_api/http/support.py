"""Requests made by hand."""

from __future__ import annotations

from collections.abc import Mapping

from resource_api.http.messages import Request


class PlainHeaders:
    """Header fields in a dict."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {name.lower(): value for name, value in fields.items()}

    def get(self, name: str, default: str = "", /) -> str:
        """See `Headers`."""
        return self._fields.get(name.lower(), default)

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """See `Headers`."""
        return [self._fields[name.lower()]] if name.lower() in self._fields else default

    def __contains__(self, name: object, /) -> bool:
        return isinstance(name, str) and name.lower() in self._fields


def make_request(method: str = "GET", target: str = "/", body: bytes = b"", **headers: str) -> Request:
    """A request; header names with underscores for dashes."""

    async def read() -> bytes:
        return body

    return Request(method, target, PlainHeaders({name.replace("_", "-"): value for name, value in headers.items()}), read)
