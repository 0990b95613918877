"""How a deletion is asked for: a `DeleteOptions` in the body, or the same as query parameters when there is no body (spec B.5)."""

from __future__ import annotations

from resource_api.errors import FieldError, Json, Object, StatusError, bad_request, invalid, invalid_object, not_supported
from resource_api.go_numbers import WrittenFloat
from resource_api.http.body import Bodies, go_type
from resource_api.http.messages import Query, Request
from resource_api.http.negotiation import body_media
from resource_api.http.request import META_GROUP, dry_run_errors, parse_integer
from resource_api.registry.requests import DeleteOptions
from resource_api.schema.kinds import GroupVersionKind

KIND = GroupVersionKind("", "v1", "DeleteOptions")
PROPAGATIONS = ("Foreground", "Background", "Orphan")


async def delete_options(request: Request, bodies: Bodies) -> tuple[DeleteOptions, bool]:
    """The options and whether it is a dry run. Raises StatusError 400, 415, 422."""
    body = await request.body()
    if body:
        asked = bodies.decode(body, body_media(request), KIND, strict=False, kinds=("DeleteOptions",)).obj
        options, dry_run = _from_object(asked)
    else:
        options, dry_run = _from_query(request.query)
    errors = dry_run_errors(dry_run)
    if options.orphan_dependents is not None and options.propagation:
        text = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(invalid("propagationPolicy", options.propagation, text))
    elif options.propagation and options.propagation not in PROPAGATIONS:
        errors.append(not_supported("propagationPolicy", options.propagation, (*PROPAGATIONS, "nil")))
    if errors:
        raise refused(errors)
    return options, any(dry_run)


def refused(errors: list[FieldError]) -> StatusError:
    """422 of the options themselves."""
    return invalid_object(META_GROUP, "DeleteOptions", "", errors)


def _from_object(asked: Object) -> tuple[DeleteOptions, list[str]]:
    preconditions = _typed(asked, "preconditions", dict) or {}
    options = DeleteOptions(
        grace_period_s=_typed(asked, "gracePeriodSeconds", int),
        propagation=_typed(asked, "propagationPolicy", str) or "",
        orphan_dependents=_typed(asked, "orphanDependents", bool),
        precondition_uid=_typed(preconditions, "uid", str),
        precondition_resource_version=_typed(preconditions, "resourceVersion", str),
        ignore_store_read_error=bool(_typed(asked, "ignoreStoreReadErrorWithClusterBreakingPotential", bool)),
    )
    dry_run = _typed(asked, "dryRun", list) or []
    if not all(isinstance(value, str) for value in dry_run):
        raise bad_request("json: cannot unmarshal into Go struct field DeleteOptions.dryRun of type string")
    return options, dry_run


_GO_TYPES = {int: "int64", str: "string", bool: "bool", list: "[]string", dict: "v1.Preconditions"}


def _typed(asked: Object, name: str, kind: type) -> Json:
    value = asked.get(name)
    if value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    shown = go_type(value) + (f" {value.text}" if isinstance(value, WrittenFloat) and kind is int else "")
    raise bad_request(f"json: cannot unmarshal {shown} into Go struct field DeleteOptions.{name} of type {_GO_TYPES[kind]}")


def _from_query(query: Query) -> tuple[DeleteOptions, list[str]]:
    def first(name: str) -> str | None:
        return query[name][0] if name in query else None

    def flag(name: str) -> bool | None:
        value = first(name)
        return None if value is None else value.lower() not in ("0", "false")

    grace = first("gracePeriodSeconds")
    options = DeleteOptions(
        grace_period_s=parse_integer(grace) if grace else None,
        propagation=first("propagationPolicy") or "",  # type: ignore[arg-type]  # judged by the caller
        orphan_dependents=flag("orphanDependents"),
        precondition_uid=first("preconditions.uid") or first("uid"),
        precondition_resource_version=first("preconditions.resourceVersion") or first("resourceVersion"),
        ignore_store_read_error=bool(flag("ignoreStoreReadErrorWithClusterBreakingPotential")),
    )
    return options, query.get("dryRun", [])
