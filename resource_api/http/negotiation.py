"""Which representation the client gets, and which one its body has: Accept and Content-Type by upstream's rules.

Owns media types and their parameters (`as`, `g`, `v`, `stream`); encodes nothing.
Parses are memoised: clients send the same few headers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from resource_api.errors import not_acceptable, unsupported_media_type
from resource_api.http.messages import JSON, PROTOBUF, YAML, Request

Media = Literal["json", "yaml", "protobuf"]

SUPPORTED: tuple[tuple[str, Media], ...] = ((JSON, "json"), (YAML, "yaml"), (PROTOBUF, "protobuf"))
CONTENT_TYPE: dict[Media, str] = {"json": JSON, "yaml": YAML, "protobuf": PROTOBUF}

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

HEADER_CHARACTERS_MAX = 4096
"""Longer Accept headers are cut there: what follows could only be a less wanted type."""


class Clause(NamedTuple):
    """One entry of an Accept header."""

    type: str
    subtype: str
    parameters: dict[str, str]
    quality: float


class Wanted(NamedTuple):
    """The representation of an answer."""

    media: Media
    target: Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"] = ""
    target_version: str = ""


PLAIN = Wanted("json")


@lru_cache(512)
def clauses(header: str) -> tuple[Clause, ...]:
    """An Accept header's entries, most wanted first: by quality, then the more exact one, then as they stand."""
    found: list[Clause] = []
    for entry in header[:HEADER_CHARACTERS_MAX].split(","):
        media, *rest = entry.split(";")
        kind, slash, subtype = (part.strip().lower() for part in media.strip().partition("/"))
        if kind == "*" and not slash:
            subtype = "*"
        if not kind or not subtype:
            continue
        parameters: dict[str, str] = {}
        quality = 1.0
        for parameter in rest:
            name, _, value = parameter.strip().partition("=")
            if name.lower() == "q":
                quality = _quality(value)
            elif name:
                parameters[name.lower()] = value.strip().strip('"')
        found.append(Clause(kind, subtype, parameters, quality))
    found.sort(key=lambda clause: (-clause.quality, clause.type == "*", clause.subtype == "*"))
    return tuple(found)


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0


def wanted(request: Request, *, tables: bool = True) -> Wanted:
    """How an object or list is to be answered. Raises StatusError 406. Without `tables` no transformation is possible."""
    header = request.headers.get("Accept", "")
    if not header or header in (JSON, "*/*"):
        return PLAIN
    found = _choose(header, tables, False)
    if found is None:
        raise not_acceptable([media for media, _ in SUPPORTED])
    return found


def wanted_stream(request: Request) -> Wanted:
    """How a watch is to be answered. Raises StatusError 406; YAML has no stream."""
    header = request.headers.get("Accept", "")
    if not header or header in (JSON, "*/*"):
        return PLAIN
    found = _choose(header, True, True)
    if found is None or found.media == "yaml":
        raise not_acceptable([f"{media};stream=watch" for media, name in SUPPORTED if name != "yaml"])
    return found


def wanted_of_error(request: Request) -> Wanted:
    """How a Status is to be answered; JSON when nothing fits."""
    header = request.headers.get("Accept", "")
    if not header:
        return PLAIN
    found = _choose(header, True, True)
    return PLAIN if found is None else Wanted(found.media)


@lru_cache(512)
def _choose(header: str, tables: bool, streams: bool) -> Wanted | None:
    for clause in clauses(header):
        for name, media in SUPPORTED:
            kind, _, subtype = name.partition("/")
            if clause.type not in (kind, "*") or clause.subtype not in (subtype, "*"):
                continue
            if (found := _transformed(clause.parameters, media, tables, streams)) is not None:
                return found
    return None


def _transformed(parameters: dict[str, str], media: Media, tables: bool, streams: bool) -> Wanted | None:
    if "stream" in parameters and not (streams and parameters["stream"] == "watch"):
        return None
    target = parameters.get("as", "")
    if not target:
        return Wanted(media)
    group, version = parameters.get("g", ""), parameters.get("v", "")
    if not tables or group != "meta.k8s.io" or version not in ("v1", "v1beta1"):
        return None
    if target == "Table":
        return Wanted(media, "Table", version) if media != "protobuf" else None
    if target in ("PartialObjectMetadata", "PartialObjectMetadataList"):
        return Wanted(media, target, version)  # type: ignore[arg-type]  # one of the two words just compared
    return None


def body_media(request: Request) -> Media:
    """How the request's body is written; none said means JSON. Raises StatusError 415."""
    header = request.headers.get("Content-Type", "")
    if not header or header == JSON:
        return "json"
    kind = header.partition(";")[0].strip().lower()
    for name, media in SUPPORTED:
        if kind == name:
            return media
    raise unsupported_media_type([name for name, _ in SUPPORTED])


def patch_type(request: Request, *, strategic: bool) -> str:
    """Which of the four kinds of patch the body is. Raises StatusError 415."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    accepted = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH] if strategic else [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
    if kind not in accepted:
        raise unsupported_media_type(accepted)
    return kind
