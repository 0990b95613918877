"""Which version a read is of, and where a list goes on: the table of resourceVersion, limit and continue (spec B.7), continue tokens.

Knows no cache and no store: it turns options into a `Plan` and refusals into StatusErrors with upstream's texts. Pure.
"""

from __future__ import annotations

import base64
import posixpath
import re
from typing import Literal, NamedTuple

import msgspec

from resource_api.errors import (
    Cause,
    FieldError,
    StatusError,
    bad_request,
    expired,
    forbidden_field,
    invalid,
    invalid_object,
    not_supported,
    shown,
    timeout,
)
from resource_api.registry.requests import ListOptions
from resource_api.schema import json_fault

Version = Literal["latest", "any", "at least", "exactly"]
"""What a read must see: at least all that was written before it began; whatever there is; nothing older than a revision; one revision."""

TOKEN_VERSION = "meta.k8s.io/v1"
AT_LATEST = -1
"""The revision of a token that goes on at whatever is the latest then: an inconsistent list, for a client that was told so."""

OPTIONS_GROUP, OPTIONS_KIND = "meta.k8s.io", "ListOptions"
MATCHES = ("Exact", "NotOlderThan")

INCONSISTENT = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
    "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token "
    "results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and "
    "now may show up in the list."
)
LIST_TOO_OLD = "The resourceVersion for the provided list is too old."
WATCH_TOO_OLD = "The resourceVersion for the provided watch is too old."

RETRY_AFTER_S = 1

_UINT64 = 1 << 64
_encode = msgspec.json.Encoder().encode


class Plan(NamedTuple):
    """How a list or get is to be served."""

    version: Version
    revision: int = 0
    """With "at least" and "exactly"."""
    start: str = ""
    """The part of the first key after the collection's prefix."""
    limit: int = 0
    """0: all."""
    is_continued: bool = False


class _Token(msgspec.Struct):
    v: str = ""
    rv: int = 0
    start: str = ""


def plan_get(resource_version: str) -> Plan:
    """A GET. Raises StatusError 400."""
    revision = parse_version(resource_version)
    if not resource_version:
        return Plan("latest")
    return Plan("at least", revision) if revision else Plan("any")


def plan_list(options: ListOptions) -> Plan:
    """The row and column of the table. Raises StatusError 400, 422."""
    check_list(options)
    revision = parse_version(options.resource_version)
    limit = max(0, options.limit)
    if options.continue_token:
        if revision:
            raise bad_request("specifying resource version is not allowed when using continue")
        start, token_revision = decode_token(options.continue_token)
        if token_revision == AT_LATEST:
            return Plan("latest", start=start, limit=limit, is_continued=True)
        return Plan("exactly", token_revision, start, limit, is_continued=True)
    if not options.resource_version:
        return Plan("latest", limit=limit)
    if not revision:
        # NB: informers ask for a first page of version "0" and take what comes for the whole: upstream's cache never cut it.
        return Plan("any")
    if options.resource_version_match == "Exact" or (limit and not options.resource_version_match):
        return Plan("exactly", revision, limit=limit)
    return Plan("at least", revision, limit=limit)


def check_list(options: ListOptions) -> None:
    """What may not stand together in a list. Raises StatusError 422."""
    problems: list[FieldError] = []
    match = options.resource_version_match
    at = "resourceVersionMatch"
    if match:
        if not options.resource_version:
            problems.append(forbidden_field(at, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if options.continue_token:
            problems.append(forbidden_field(at, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in MATCHES:
            problems.append(not_supported(at, match, [*MATCHES, ""]))
        if match == "Exact" and options.resource_version == "0":
            problems.append(forbidden_field(at, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        problems.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if problems:
        raise invalid_object(OPTIONS_GROUP, OPTIONS_KIND, "", problems)


def check_watch(options: ListOptions) -> None:
    """What may not stand together in a watch. Raises StatusError 422."""
    problems: list[FieldError] = []
    match = options.resource_version_match
    at = "resourceVersionMatch"
    if options.send_initial_events is not None and match != "NotOlderThan":
        problems.append(forbidden_field(at, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match:
        if options.send_initial_events is None:
            problems.append(forbidden_field(at, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        if match != "NotOlderThan":
            problems.append(not_supported(at, match, ["NotOlderThan"]))
        if options.continue_token:
            problems.append(forbidden_field(at, "resourceVersionMatch is forbidden when continue is provided"))
    if problems:
        raise invalid_object(OPTIONS_GROUP, OPTIONS_KIND, "", problems)


def parse_version(text: str) -> int:
    """A resourceVersion's revision; 0 for none and for "0". Raises StatusError 400."""
    if not text:
        return 0
    if not re.fullmatch("[0-9]+", text, re.ASCII):
        why = f"strconv.ParseUint: parsing {shown(text)}: invalid syntax"
    elif len(text) > 20 or int(text) >= _UINT64:
        why = f"strconv.ParseUint: parsing {shown(text)}: value out of range"
    else:
        return int(text)
    raise bad_request(f"invalid resource version: {invalid('resourceVersion', text, why)}")


def encode_token(start: str, revision: int) -> str:
    """Where to go on: the first key not before `start`, which is what stands behind the collection's prefix."""
    body = _encode({"v": TOKEN_VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def next_token(last_key: str, prefix: str, revision: int) -> str:
    """Where to go on behind a key."""
    return encode_token(last_key[len(prefix) :] + "\x00", revision)


def _token(text: str) -> _Token:
    """What a token says, unchecked. Raises ValueError in the words of Go's decoders."""
    illegal = re.search(r"[^A-Za-z0-9_-]", text)
    if illegal is not None or len(text) % 4 == 1:
        raise ValueError(f"illegal base64 data at input byte {len(text) - 1 if illegal is None else len(text[: illegal.start()].encode())}")
    body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    try:
        return msgspec.json.decode(body, type=_Token)
    except RecursionError as error:
        raise ValueError("exceeded max depth") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        otherwise = "json: cannot unmarshal value into Go value of type storage.continueToken"
        raise ValueError(json_fault.describe(body, otherwise)) from error


def decode_token(text: str) -> tuple[str, int]:
    """Start and revision of a token. Raises StatusError 400."""
    wrong = "invalid continue token: continue key is not valid"
    try:
        token = _token(text)
    except ValueError as error:
        raise bad_request(f"{wrong}: {error}") from error
    if token.v != TOKEN_VERSION:
        raise bad_request(f'{wrong}: server does not recognize this encoded version "{token.v}"')
    if token.rv == 0 or token.rv < AT_LATEST:
        raise bad_request(f"{wrong}: incorrect encoded start resourceVersion (version {TOKEN_VERSION})")
    if not token.start:
        raise bad_request(f"{wrong}: encoded start key empty (version {TOKEN_VERSION})")
    key = token.start if token.start.startswith("/") else "/" + token.start
    if posixpath.normpath(key) != key.rstrip("/"):
        raise bad_request(f"{wrong}: {token.start}")
    return token.start.lstrip("/"), token.rv


def list_expired(plan: Plan) -> StatusError:
    """410: the revision was compacted; a list under way may go on inconsistently."""
    if plan.is_continued:
        return expired(INCONSISTENT, encode_token(plan.start, AT_LATEST))
    return expired(LIST_TOO_OLD)


def too_large_version(revision: int, current: int) -> StatusError:
    """504: that version has not been reached."""
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    return timeout(f"Too large resource version: {revision}, current: {current}", RETRY_AFTER_S, [cause])


def too_old_watch(revision: int, oldest: int) -> StatusError:
    """410: what came after that version is no longer in the window; told as an ERROR event."""
    return expired(f"too old resource version: {revision} ({oldest})")
