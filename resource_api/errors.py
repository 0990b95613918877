"""What goes wrong, as Kubernetes says it: field errors of one object, and the Status a client is answered.

Owns codes, reasons and message texts (`StatusReason*` and `field.Error` upstream); knows nothing of HTTP beyond the number.
Every refusal anywhere in resource_api is a `StatusError`; anything else that reaches the HTTP face is a fault of ours and answered 500.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from resource_api.go_numbers import encode_written

Json = Any
"""A decoded JSON value. Objects of the API are `dict[str, Json]`: the kinds are data, not classes."""

Object = dict[str, Json]
"""An API object or a part of one."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of `details.causes`."""

    reason: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: `reason` is the cause's, `text` the sentence after the path."""

    reason: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"

    def cause(self) -> Cause:
        """As an entry of a Status."""
        return Cause(self.reason, self.text, self.path)


def shown(value: Json) -> str:
    """A value in a message, as upstream prints it: compact JSON, strings quoted."""
    return msgspec.json.encode(value, enc_hook=encode_written).decode()


def required(path: str, detail: str = "") -> FieldError:
    """The field must be set."""
    return FieldError("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))


def invalid(path: str, value: Json, detail: str) -> FieldError:
    """The value is not one the field can have."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {shown(value)}: {detail}")


def not_supported(path: str, value: Json, supported: Sequence[str]) -> FieldError:
    """The value is none of an enumeration; `supported` is shown in the order given."""
    said = f"Unsupported value: {shown(value)}"
    return FieldError(
        "FieldValueNotSupported", path, said + (": supported values: " + ", ".join(map(shown, supported)) if supported else "")
    )


def duplicate(path: str, value: Json) -> FieldError:
    """The value stands there twice."""
    return FieldError("FieldValueDuplicate", path, f"Duplicate value: {shown(value)}")


def forbidden_field(path: str, detail: str) -> FieldError:
    """The field must not be set here."""
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def too_long(path: str, bytes_max: int) -> FieldError:
    """The value has too many bytes."""
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {bytes_max} bytes")


def too_many(path: str, count: int, count_max: int) -> FieldError:
    """The list has too many items."""
    return FieldError("FieldValueTooMany", path, f"Too many: {count}: must have at most {count_max} items")


def not_found_field(path: str, value: Json) -> FieldError:
    """The value names something that is not there."""
    return FieldError("FieldValueNotFound", path, f"Not found: {shown(value)}")


class StatusError(Exception):
    """A refusal, as the client is told it (`metav1.Status`).

    `name`, `group` and `kind` are those of `details`; `kind` is the plural resource or the Kind, as each constructor says.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        name: str = "",
        group: str = "",
        kind: str = "",
        uid: str = "",
        causes: Sequence[Cause] = (),
        retry_after_s: int = 0,
        continue_token: str = "",
        has_details: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.name = name
        self.group = group
        self.kind = kind
        self.uid = uid
        self.causes = tuple(causes)
        self.retry_after_s = retry_after_s
        self.continue_token = continue_token
        self.has_details = has_details

    def status(self) -> Object:
        """The Status object, fields in upstream's order; empty ones left out as upstream leaves them out."""
        details: Object = {}
        for field, value in (("name", self.name), ("group", self.group), ("kind", self.kind), ("uid", self.uid)):
            if value:
                details[field] = value
        if self.causes:
            details["causes"] = [_cause(cause) for cause in self.causes]
        if self.retry_after_s:
            details["retryAfterSeconds"] = self.retry_after_s
        body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if details or self.has_details:
            body["details"] = details
        body["code"] = self.code
        return body


def _cause(cause: Cause) -> Object:
    entry: Object = {"reason": cause.reason} if cause.reason else {}
    entry["message"] = cause.message
    if cause.field:
        entry["field"] = cause.field
    return entry


def qualified(plural_or_kind: str, group: str) -> str:
    """`deployments.apps`, `pods`: how messages name a resource or a kind."""
    return f"{plural_or_kind}.{group}" if group else plural_or_kind


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    """401: no or wrong credentials."""
    return StatusError(401, "Unauthorized", message)


def forbidden(group: str, plural: str, name: str, detail: str, causes: Sequence[Cause] = ()) -> StatusError:
    """403: `pods "x" is forbidden: DETAIL`; without a name and resource just the detail."""
    if not plural:
        message = f"forbidden: {detail}"
    elif name:
        message = f'{qualified(plural, group)} "{name}" is forbidden: {detail}'
    else:
        message = f"{qualified(plural, group)} is forbidden: {detail}"
    return StatusError(403, "Forbidden", message, name=name, group=group, kind=plural, causes=causes, has_details=True)


def not_found(group: str, plural: str, name: str) -> StatusError:
    """404: no such object."""
    return StatusError(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', name=name, group=group, kind=plural)


def unknown_resource() -> StatusError:
    """404: no such resource in a group and version that exist."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", has_details=True)


def method_not_allowed(kind: str, verb: str = "", group: str = "", *, text: str = "") -> StatusError:
    """405: the resource has no such verb; without a verb, whatever it was. `text` is for a reason of another kind."""
    if verb and not text:
        text = f'{verb} is not supported on resources of kind "{qualified(kind, group)}"'
    text = text or "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", text, group=group if verb else "", kind=kind if verb else "", has_details=True)


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406: nothing the client accepts can be answered."""
    return StatusError(406, "NotAcceptable", "only the following media types are accepted: " + ", ".join(accepted))


def already_exists(group: str, plural: str, name: str, *, prefix: str = "") -> StatusError:
    """409: there is one of that name."""
    message = f'{prefix}{qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, name=name, group=group, kind=plural)


def conflict(group: str, plural: str, name: str, detail: str, causes: Sequence[Cause] = ()) -> StatusError:
    """409: `Operation cannot be fulfilled on …: DETAIL`."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {detail}'
    return StatusError(409, "Conflict", message, name=name, group=group, kind=plural, causes=causes)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
"""The detail of the conflict everybody knows."""


def expired(message: str, continue_token: str = "") -> StatusError:
    """410: that version is no longer there; with a token, how to go on inconsistently."""
    return StatusError(410, "Expired", message, continue_token=continue_token)


def too_large(limit_bytes: int) -> StatusError:
    """413."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit_bytes}")


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415: the body's type cannot be read here."""
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", text)


def invalid_object(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422: `Deployment.apps "x" is invalid: …`; one sentence alone, several in brackets, duplicates once."""
    texts = list(dict.fromkeys(map(str, errors)))
    said = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{qualified(kind, group)} "{name}" is invalid' + (f": {said}" if texts else "")
    causes = [error.cause() for error in errors]
    return StatusError(422, "Invalid", message, name=name, group=group, kind=kind, causes=causes)


def too_many_requests(message: str, retry_after_s: int, causes: Sequence[Cause] = ()) -> StatusError:
    """429."""
    return StatusError(429, "TooManyRequests", message, retry_after_s=retry_after_s, causes=causes)


def internal_error(message: str) -> StatusError:
    """500: `Internal error occurred: …`."""
    text = f"Internal error occurred: {message}"
    return StatusError(500, "InternalError", text, causes=[Cause("", message)])


def server_timeout(group: str, plural: str, verb: str, retry_after_s: int = 1) -> StatusError:
    """500: could not be completed now, try again."""
    text = f"The {verb} operation against {qualified(plural, group)} could not be completed at this time, please try again."
    return StatusError(500, "ServerTimeout", text, group=group, kind=plural, retry_after_s=retry_after_s)


def service_unavailable(message: str) -> StatusError:
    """503."""
    return StatusError(503, "ServiceUnavailable", message)


def timeout(message: str, retry_after_s: int = 0, causes: Sequence[Cause] = ()) -> StatusError:
    """504: `Timeout: …`."""
    return StatusError(504, "Timeout", f"Timeout: {message}", retry_after_s=retry_after_s, causes=causes, has_details=True)


UNREAD = "ignoreStoreReadErrorWithClusterBreakingPotential"
"""The option of a DELETE that removes what cannot be read (KEP-3926)."""

UNREAD_ADVICE = f"mend it in the store, or delete it with the option {UNREAD}"


class UndecodableError(StatusError):
    """A stored value cannot be read; names key and revision. It is never overwritten or removed silently."""

    def __init__(self, key: str, revision: int, why: str) -> None:
        text = f"the object stored at {key} (revision {revision}) cannot be decoded: {why}; {UNREAD_ADVICE}"
        super().__init__(500, "StorageReadError", text)
        self.key = key
        self.revision = revision
