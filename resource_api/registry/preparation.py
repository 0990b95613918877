"""What the pipeline does to an object before a kind's own rules see it: namespace, unknown fields, owners, what only the server sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from resource_api import errors
from resource_api.errors import Object, StatusError
from resource_api.go_numbers import encode_written
from resource_api.registry.model import Model
from resource_api.registry.objects import name_of
from resource_api.registry.requests import Context
from resource_api.registry.store import Stored
from resource_api.schema.builtin import schema_of
from resource_api.schema.decoding import DecodeError, decode, refusal
from resource_api.schema.kinds import GroupVersionKind, ResourceType

SYSTEM_FIELDS = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
"""Of metadata; what a client sends of them with a new object is dropped."""

KEPT_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Taken from the stored object where a changed one leaves them out; another value is a fault that validation names."""

FAULTS_MAX = 100
"""Of strict decoding that are told: Go's decoder collects no more."""
MANAGER_BYTES_MAX = 128
"""A manager's name taken from a User-Agent is cut here."""

DUPLICATE_OWNERS = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests "
    "as early as 1.24; please fix your requests; duplicate UID(s) observed: {}"
)


@dataclass(frozen=True, slots=True)
class Write:
    """How a changed object came about."""

    subresource: str = ""
    must_carry_version: bool = False
    """PUT: the resourceVersion of the body counts, and may be required."""
    strict_as_patch: str | None = None
    """The patch's text: what is wrong with the outcome is then an invalid patch (422) and not a bad request."""
    strategic: bool = False
    """The patch is a strategic merge: faults are told of it, and not of what it led to."""
    applied: bool = False
    """Ownership was settled by apply already."""
    faults: Sequence[str] = ()
    """What strict decoding found in the body: `duplicate field "x"`."""


def metadata_of(obj: Object) -> Object:
    """`obj["metadata"]`, made when it is missing."""
    metadata: Object | None = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    return metadata


def settle_namespace(resource: ResourceType, ctx: Context, metadata: Object, mismatch: str) -> None:
    """The URL's namespace is the object's; one in no namespace loses what it says. Raises StatusError 400 with the text `mismatch`."""
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    given = metadata.get("namespace")
    if given and given != ctx.namespace:
        raise errors.bad_request(mismatch)
    metadata["namespace"] = ctx.namespace


def check_place(obj: Object, ctx: Context, name: str) -> None:
    """What is to be written is the object of the URL. Raises StatusError 400."""
    given, namespace = name_of(obj), obj["metadata"].get("namespace")
    if not given:
        raise errors.bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if ctx.namespace and namespace and namespace != ctx.namespace:
        raise errors.bad_request(f"the namespace of the object ({namespace}) does not match the namespace on the URL ({ctx.namespace})")


def weight(ctx: Context, stored: Stored | None = None) -> int:
    """By what `turns.apart` decides: half the bytes of the body, or of what it changes. 32 kB take 10 ms in any step of the pipeline."""
    return max(ctx.body_bytes, 0 if stored is None else len(stored.value)) // 2


def manager_of(ctx: Context) -> str:
    """Who owns what a write that is no apply changes: the manager that was named, or the beginning of the User-Agent that can be shown."""
    if ctx.field_manager:
        return ctx.field_manager
    kept, size_bytes = "", 0
    for char in ctx.user_agent.split("/", 1)[0]:
        if not char.isprintable():
            continue
        size_bytes += len(char.encode("utf-8", "replace"))
        if size_bytes > MANAGER_BYTES_MAX:
            break
        kept += char
    return kept or "unknown"


def drop_unknown(ctx: Context, model: Model, obj: Object, write: Write) -> None:
    """Fields the kind does not have go, with the outcry that was asked for: none, warnings, or StatusError."""
    shown = write.strict_as_patch
    if shown is not None and not write.strategic:
        shown = msgspec.json.encode(obj, order="sorted", enc_hook=encode_written).decode()
    try:
        unknown = [f'unknown field "{path}"' for path in model.prune(obj)]
    except StatusError as error:
        if shown is None or error.code != 400:
            raise
        cause = error.__cause__
        why = cause.converted if write.strategic and isinstance(cause, DecodeError) else error.message.partition(": ")[2]
        raise unfit_patch(shown, why) from error
    if shown is not None and not model.type.custom:
        _keep_kind(model.type, obj, write, shown)
    text = _outcry(ctx, [*write.faults, *unknown])
    if not text:
        return
    if shown is None:
        raise refusal(model.type.gvk, text)
    raise unfit_patch(shown if unknown else str(write.strict_as_patch), text)


def _keep_kind(resource: ResourceType, obj: Object, write: Write, shown: str) -> None:
    """A patched object is of the kind it was: what a patch takes away comes back, another kind is none. Raises StatusError 422.

    A strategic merge is put into the kind's own struct upstream, whatever it says of itself. Custom kinds tell by validation.
    """
    kind, api_version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
    if not write.strategic and (kind, api_version) != (resource.kind, resource.api_version):
        raise unfit_patch(
            shown, f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
        )
    obj["kind"], obj["apiVersion"] = resource.kind, resource.api_version


def conform(ctx: Context, gvk: GroupVersionKind, obj: Object, faults: Sequence[str]) -> None:
    """Makes the body of an action, which no model knows, a value of its kind: as `drop_unknown`. Raises StatusError 400."""
    unknown = decode(gvk, schema_of(gvk), obj)
    text = _outcry(ctx, [*faults, *(f'unknown field "{path}"' for path in unknown)])
    if text:
        raise refusal(gvk, text)


def _outcry(ctx: Context, found: Sequence[str]) -> str:
    """What to refuse the object with; empty when nobody asked for that, or nothing is wrong."""
    faults = list(dict.fromkeys(found))[:FAULTS_MAX]
    if ctx.field_validation == "Warn":
        for fault in faults:
            ctx.warn(fault)
    return "strict decoding error: " + ", ".join(faults) if faults and ctx.field_validation == "Strict" else ""


def unfit_patch(shown: str, why: str) -> StatusError:
    """What a patch leads to cannot be of the kind. Upstream names neither kind nor object here."""
    return errors.invalid_object("", "", "", [errors.invalid("patch", shown, why)])


def drop_duplicate_owners(ctx: Context, obj: Object) -> None:
    """Equal owner references are one; the client is warned."""
    owners = obj["metadata"].get("ownerReferences")
    if not owners:
        return
    kept: dict[bytes, Object] = {}
    for owner in owners:
        # A body has room for tens of thousands: each is looked up by what it says, not compared with all before it.
        if kept.setdefault(msgspec.json.encode(owner, order="sorted"), owner) is not owner:
            ctx.warn(DUPLICATE_OWNERS.format(owner.get("uid")))
    obj["metadata"]["ownerReferences"] = list(kept.values())


def keep_system_fields(new: Object, old: Object) -> None:
    """What no client changes comes from the stored object."""
    fresh, kept = new["metadata"], old["metadata"]
    for field in KEPT_FIELDS:
        if fresh.get(field) is None and kept.get(field) is not None:
            fresh[field] = kept[field]
    fresh.pop("generation", None)
    if "generation" in kept:
        fresh["generation"] = kept["generation"]
    fresh.pop("selfLink", None)
    fresh["resourceVersion"] = kept["resourceVersion"]
