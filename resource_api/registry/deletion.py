"""How an object goes: at once, after a grace period, or when its finalizers are done (spec B.5; upstream's BeforeDelete and Store.Delete).

Decisions are plain functions over the object; `delete` carries them out against the store. What cannot be decoded is removed only for who
says that it is to be, with the option `ignoreStoreReadErrorWithClusterBreakingPotential` (KEP-3926, on by default since 1.37).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from resource_api import errors
from resource_api.errors import UNREAD, FieldError, Object, StatusError, UndecodableError
from resource_api.registry.admission import AdmissionRequest
from resource_api.registry.model import Strategy
from resource_api.registry.requests import Context, DeleteOptions
from resource_api.registry.store import ChangedError, Stored
from resource_api.schema.json_values import copied
from resource_api.schema.times import parse_time, rfc3339

if TYPE_CHECKING:
    from resource_api.registry.resource import Resource

log = logging.getLogger("resource_api.registry")

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"

SHORTEST_GRACE_S = 1
"""What a negative grace period means."""

Outcome = Literal["pending", "marked", "remove"]
"""Nothing changes; the object is kept with a deletionTimestamp; it is removed now."""


def is_finished(strategy: Strategy, obj: Object) -> bool:
    """An object that is being deleted and waits for nobody any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or strategy.finalizers(obj):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def check_options(options: DeleteOptions, *, dry_run: bool = False) -> list[FieldError]:
    """What contradicts itself."""
    if options.ignore_store_read_error:
        others = {
            "dryRun": dry_run,
            "propagationPolicy": bool(options.propagation),
            "orphanDependents": options.orphan_dependents is not None,
            "gracePeriodSeconds": options.grace_period_s is not None,
            "preconditions": options.precondition_uid is not None or options.precondition_resource_version is not None,
        }
        found = [errors.invalid(UNREAD, True, f"cannot be set together with .{name}") for name, is_set in others.items() if is_set]
        if found:
            return found
    if options.orphan_dependents is not None and options.propagation:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        return [errors.invalid("propagationPolicy", options.propagation, detail)]
    return []


def _propagation_finalizers(strategy: Strategy, metadata: Object, options: DeleteOptions) -> list[str]:
    """The finalizers the object is to have: explicit option, else what it has, else the kind's rule."""
    present = list(metadata.get("finalizers") or [])
    others = [one for one in present if one not in (ORPHAN, FOREGROUND)]
    if options.orphan_dependents is not None:
        return [*others, ORPHAN] if options.orphan_dependents else others
    if options.propagation:
        wanted = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(options.propagation, [])
        return [*others, *wanted]
    if len(others) != len(present):
        return present
    return [*others, ORPHAN] if strategy.default_propagation == "Orphan" else others


def mark(strategy: Strategy, obj: Object, options: DeleteOptions, now_s: float) -> Outcome:
    """Decides, and changes `obj` accordingly when it is to be kept."""
    metadata = obj["metadata"]
    first = not metadata.get("deletionTimestamp")
    graceful, period = False, metadata.get("deletionGracePeriodSeconds")
    if not first:
        if period:
            asked = options.grace_period_s
            if asked is not None and asked < 0:
                asked = SHORTEST_GRACE_S
            if asked is None or asked >= period:
                return "pending"
            metadata["deletionTimestamp"] = rfc3339(parse_time(metadata["deletionTimestamp"]) - period + asked)
            metadata["deletionGracePeriodSeconds"] = asked
            graceful = asked > 0
    else:
        grace_s = strategy.grace_period_s(obj, options)
        if grace_s > 0:
            metadata["deletionTimestamp"] = rfc3339(now_s + grace_s)
            metadata["deletionGracePeriodSeconds"] = grace_s
            graceful = True
    finalizers = _propagation_finalizers(strategy, metadata, options)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if not graceful and not strategy.finalizers(obj):
        return "remove"
    if not graceful and first:
        metadata["deletionTimestamp"] = rfc3339(now_s)
        metadata["deletionGracePeriodSeconds"] = 0
    if first:
        if metadata.get("generation"):
            metadata["generation"] += 1
        strategy.on_marked(obj)
    return "marked"


async def delete(resource: Resource, ctx: Context, name: str, options: DeleteOptions) -> tuple[int, Object]:
    """See `Resource.delete`."""
    problems = check_options(options, dry_run=ctx.dry_run)
    if problems:
        raise errors.invalid_object("meta.k8s.io", "DeleteOptions", "", problems)
    if options.ignore_store_read_error:
        return await _delete_unread(resource, ctx, name)
    old, stored = await resource.read(ctx.namespace, name)
    while True:
        _check_preconditions(resource, old, options)
        resource.model.strategy.check_delete(old)
        try:
            return await _attempt(resource, ctx, name, options, old, stored)
        except ChangedError as error:
            if error.current is None:
                raise errors.not_found(resource.type.group, resource.type.plural, name) from error
            stored = error.current
            old = resource.decode(stored)


async def _attempt(resource: Resource, ctx: Context, name: str, options: DeleteOptions, old: Object, stored: Stored) -> tuple[int, Object]:
    request = AdmissionRequest(
        "DELETE", resource.type, "", ctx.namespace, name, ctx.user, ctx.dry_run, None, old, ctx.warn, delete_options=options
    )
    async with resource.admission.settling(request) as write:
        await resource.admission.admit(request)
        await resource.admission.validate(request)
        new = copied(old)
        outcome = mark(resource.model.strategy, new, options, resource.clock.wall_s())
        code = 202 if options.orphan_dependents is False and outcome != "remove" else 200
        if outcome == "pending":
            return code, old
        write.in_store = not ctx.dry_run
        if outcome == "marked":
            if new != old and not ctx.dry_run:
                revision = await resource.store.update(stored.key, resource.encode(new), expected_revision=stored.revision)
                new["metadata"]["resourceVersion"] = str(revision)
                write.written = True
            return code, new
        if not ctx.dry_run:
            await resource.store.delete(stored.key, expected_revision=stored.revision)
            write.written = True
        return code, old if resource.model.strategy.returns_deleted else success(resource, old)


async def _delete_unread(resource: Resource, ctx: Context, name: str) -> tuple[int, Object]:
    """Removes what cannot be decoded, and nothing else: no finalizer, precondition or admission can be asked about it."""
    while True:
        try:
            await resource.read(ctx.namespace, name)
        except UndecodableError as error:
            revision, why = error.revision, str(error)
        except StatusError as error:
            if error.code != 404:
                raise
            raise _not_corrupt(resource, name) from error
        else:
            raise _not_corrupt(resource, name)
        key = resource.key(ctx.namespace, name)
        try:
            await resource.store.delete(key, expected_revision=revision)
        except ChangedError:
            continue  # Somebody mended it, or was faster: what stands there now is looked at.
        log.warning("what cannot be read was deleted", extra={"fields": {"key": key, "user": ctx.user.name, "error": why}})
        details = {"name": name, "kind": resource.type.kind}
        return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details, "code": 200}


def _not_corrupt(resource: Resource, name: str) -> StatusError:
    """Upstream says the same of what is not there, and names the resource for a kind."""
    problem = errors.invalid(UNREAD, True, "is exclusively used to delete corrupt object(s), try again by removing this option")
    return errors.invalid_object(resource.type.group, resource.type.plural, name, [problem])


def success(resource: Resource, obj: Object) -> Object:
    """The Status a deletion is answered."""
    details: Object = {"name": obj["metadata"].get("name", "")}
    if resource.type.group:
        details["group"] = resource.type.group
    details["kind"] = resource.type.plural
    details["uid"] = obj["metadata"].get("uid", "")
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _check_preconditions(resource: Resource, obj: Object, options: DeleteOptions) -> None:
    metadata, wanted = obj["metadata"], options.precondition_uid
    if wanted is not None and wanted != metadata.get("uid"):
        raise _precondition(
            resource,
            obj,
            f"the UID in the precondition ({wanted}) does not match the UID in record ({metadata.get('uid')}). "
            "The object might have been deleted and then recreated",
        )
    version = options.precondition_resource_version
    if version is not None and version != metadata["resourceVersion"]:
        raise _precondition(
            resource,
            obj,
            f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified",
        )


def _precondition(resource: Resource, obj: Object, detail: str) -> StatusError:
    """Upstream names the Kind here and not the resource."""
    return errors.conflict(resource.type.group, resource.type.kind, obj["metadata"].get("name", ""), detail)
