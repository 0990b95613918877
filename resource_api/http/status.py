"""Refusals and results as answers: `Status` in the type the client accepts, and the plain texts upstream gives where it gives no Status."""

from __future__ import annotations

from resource_api.errors import StatusError
from resource_api.http.messages import TEXT, Request, Response
from resource_api.http.negotiation import wanted_of_error
from resource_api.http.representation import Representations, wants_pretty

REASONS: dict[int, str] = {
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    202: "Accepted",
    206: "Partial Content",
    301: "Moved Permanently",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
"""The words of the status line."""


def refusal(error: StatusError, request: Request, representations: Representations) -> Response:
    """The Status of an error, negotiated."""
    body, content_type = representations.encode(error.status(), wanted_of_error(request).media, pretty=wants_pretty(request))
    return Response(error.code, body, content_type, _headers(error))


def _headers(error: StatusError) -> list[tuple[str, str]]:
    return [("Retry-After", str(error.retry_after_s))] if error.retry_after_s else []


def text(status: int, body: str, headers: list[tuple[str, str]] | None = None) -> Response:
    """A text of the server itself, which no browser may take for something else."""
    return Response(status, body.encode(), TEXT, [("X-Content-Type-Options", "nosniff"), *(headers or [])])


def page_not_found() -> Response:
    """A path nobody serves."""
    return text(404, "404 page not found\n")
