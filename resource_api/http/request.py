"""What a URL asks for: resource or path, verb, group, version, namespace, name, subresource; and the options of its query.

Owns the rules of upstream's request info (spec A.6) and the decoding of `CreateOptions` & co. from parameters; whether the options fit
each other is checked here too, except those of lists, which the reader judges. Hot path: `request_info`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_api.errors import (
    FieldError,
    StatusError,
    bad_request,
    forbidden_field,
    invalid,
    invalid_object,
    not_supported,
    required,
    too_long,
)
from resource_api.http.messages import Query, Request
from resource_api.registry.requests import Context, FieldValidation, ListOptions, User
from resource_api.schema.times import parse_duration_s

VERB_OF = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
LONG_RUNNING_SUBRESOURCES = frozenset({"attach", "exec", "portforward", "log", "proxy"})
FIELD_MANAGER_MAX = 128
META_GROUP = "meta.k8s.io"


@dataclass(slots=True)
class RequestInfo:
    """What is asked for, as authorization sees it; `verb` of a path that is no resource is the method in lower case."""

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()
    """From the resource on."""
    field_name: str = ""
    """What an exact field selector on `metadata.name` names: authorization takes a list of it as naming one object."""

    @property
    def long_running(self) -> bool:
        """Has no deadline and is not counted against the requests in flight."""
        return self.verb in ("watch", "proxy") or self.subresource in LONG_RUNNING_SUBRESOURCES


def request_info(request: Request) -> RequestInfo:
    """Raises StatusError 400 for a path under `/api` that is cut short in its middle."""
    path = request.path
    parts = path.strip("/").split("/")
    if len(parts) < 3 or parts[0] not in ("api", "apis") or (parts[0] == "apis" and len(parts) < 4):
        return RequestInfo(request.method.lower(), path)
    group, rest = ("", parts[1:]) if parts[0] == "api" else (parts[1], parts[2:])
    info = RequestInfo(VERB_OF.get(request.method, ""), path, True, group, rest[0])
    rest = rest[1:]
    if rest[0] in ("watch", "proxy"):
        if len(rest) < 2:
            raise bad_request(f"unable to determine kind and namespace from url, {path}")
        info.verb = rest[0]
        rest = rest[1:]
    if rest[0] == "namespaces" and len(rest) > 1:
        info.namespace = rest[1]
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    info.parts = tuple(rest)
    info.resource = rest[0]
    if len(rest) > 1:
        info.name = rest[1]
    if len(rest) > 2 and info.verb not in ("watch", "proxy"):
        info.subresource = rest[2]
    if not info.name:
        _name_the_collection_verb(info, request)
    return info


_EXACT_NAME = re.compile(r"(?:^|,)\s*metadata\.name\s*==?\s*([^,=!]+?)\s*(?:,|$)")


def _name_the_collection_verb(info: RequestInfo, request: Request) -> None:
    if info.verb == "get":
        info.verb = "watch" if request.raw_query and request.flag("watch") else "list"
    elif info.verb == "delete":
        info.verb = "deletecollection"
    else:
        return
    if request.raw_query and (found := _EXACT_NAME.search(request.parameter("fieldSelector"))):
        info.field_name = found[1]


def list_options(query: Query) -> ListOptions:
    """Raises StatusError 400 for numbers that are none."""
    if not query:
        return _NO_OPTIONS
    match = _text(query, "resourceVersionMatch")
    return ListOptions(
        label_selector=_text(query, "labelSelector"),
        field_selector=_text(query, "fieldSelector"),
        limit=_integer(query, "limit") or 0,
        continue_token=_text(query, "continue"),
        resource_version=_text(query, "resourceVersion"),
        resource_version_match=match,  # type: ignore[arg-type]  # the reader refuses other words with upstream's text
        timeout_s=_integer(query, "timeoutSeconds"),
        allow_bookmarks=bool(_flag(query, "allowWatchBookmarks")),
        send_initial_events=_flag(query, "sendInitialEvents"),
    )


_NO_OPTIONS = ListOptions()


def context(request: Request, info: RequestInfo, user: User, options_kind: str) -> Context:
    """The write's options, checked. Raises StatusError 422 naming `options_kind`, for instance `CreateOptions`."""
    query = request.query
    manager = _text(query, "fieldManager")
    validation = _text(query, "fieldValidation")
    errors = dry_run_errors(query.get("dryRun", []))
    if manager:
        errors += field_manager_errors(manager)
    if validation not in ("", "Ignore", "Warn", "Strict"):
        errors.append(not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    if errors:
        raise invalid_object(META_GROUP, options_kind, "", errors)
    return Context(
        user=user,
        namespace=info.namespace,
        field_manager=manager,
        user_agent=request.headers.get("User-Agent", ""),
        dry_run=any(query.get("dryRun", ())),
        field_validation=_VALIDATIONS[validation],
        warn=request.warn,
    )


_VALIDATIONS: dict[str, FieldValidation] = {"": "Warn", "Ignore": "Ignore", "Warn": "Warn", "Strict": "Strict"}


def check_patch_options(query: Query, *, is_apply: bool) -> None:
    """Raises StatusError 422 when `force` and `fieldManager` do not fit the kind of patch."""
    errors: list[FieldError] = []
    if is_apply and not _text(query, "fieldManager"):
        errors.append(required("fieldManager", "is required for apply patch"))
    if not is_apply and "force" in query:
        errors.append(forbidden_field("force", "may not be specified for non-apply patch"))
    if errors:
        raise invalid_object(META_GROUP, "PatchOptions", "", errors)


def field_manager_errors(manager: str) -> list[FieldError]:
    """Why it cannot name an owner of fields."""
    errors: list[FieldError] = []
    if len(manager.encode()) > FIELD_MANAGER_MAX:
        errors.append(too_long("fieldManager", FIELD_MANAGER_MAX))
    offset = 0
    for character in manager:
        if not character.isprintable():
            text = f"invalid character U+{ord(character):04X} (at position {offset})"
            errors.append(invalid("fieldManager", manager, text))
        offset += len(character.encode())
    return errors


def dry_run_errors(values: list[str]) -> list[FieldError]:
    """`All` is the only word."""
    if all(value in ("", "All") for value in values):
        return []
    return [not_supported("dryRun", values, ("All",))]


def _text(query: Query, name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def _flag(query: Query, name: str) -> bool | None:
    values = query.get(name)
    return None if values is None else values[0].lower() not in ("0", "false")


_INTEGER = re.compile(r"[+-]?[0-9]+")


def _integer(query: Query, name: str) -> int | None:
    text = _text(query, name)
    return parse_integer(text) if text else None


def parse_integer(text: str) -> int:
    """A 64-bit integer as Go reads one. Raises StatusError 400."""
    if not _INTEGER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text) if len(text) < 24 else 1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def timeout_s(request: Request, longest_s: float) -> float:
    """How long the request may take. Raises StatusError 400 when `timeout=` is no duration."""
    text = request.parameter("timeout") if request.raw_query else ""
    if not text:
        return longest_s
    seconds = parse_duration_s(text)
    if seconds is None:
        raise StatusError(400, "BadRequest", f'invalid timeout specified in the request URL - time: invalid duration "{text}"')
    return longest_s if seconds == 0 else min(seconds, longest_s)
