"""One resource as clients change it: create, update, patch, apply. The same pipeline for every kind (spec B.1).

What is special to a kind comes from its `Model`, what may interfere from `Admission`, where it is kept from `Store`; reads and watches are
the reader's. Optimistic concurrency is a compare on the revision of the last write; a change without a resourceVersion is tried again on
what stands there by then. Loop only.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from raftkv.clock import Clock
from resource_api import errors
from resource_api.cache.item import readable
from resource_api.errors import FieldError, Object, StatusError, UndecodableError
from resource_api.patch.managed_fields import settle_times
from resource_api.registry import deletion
from resource_api.registry.admission import Admission, AdmissionRequest, Operation
from resource_api.registry.model import Model
from resource_api.registry.objects import TooDeepError, encode_stored, name_of
from resource_api.registry.preparation import (
    SYSTEM_FIELDS,
    Write,
    check_place,
    drop_duplicate_owners,
    drop_unknown,
    keep_system_fields,
    manager_of,
    metadata_of,
    settle_namespace,
    weight,
)
from resource_api.registry.requests import Action, Context, DeleteOptions, ListOptions
from resource_api.registry.stamps import generated_name, new_uid
from resource_api.registry.store import (
    ChangedError,
    KeyExistsError,
    KeyMissingError,
    OutcomeUnknownError,
    Store,
    Stored,
    StoreUnavailableError,
    ValueTooLargeError,
)
from resource_api.registry.stored_form import StoredForm
from resource_api.schema import depth
from resource_api.schema.json_values import copied, same
from resource_api.schema.kinds import GroupVersionKind
from resource_api.schema.metadata import validate_metadata
from resource_api.schema.times import rfc3339
from resource_api.turns import apart

if TYPE_CHECKING:
    from resource_api.cache.reader import Reader
    from resource_api.registry.scale import ScaleView

T = TypeVar("T")

GENERATE_TRIES_MAX = 8
"""How often a generated name is drawn anew when it is taken (RetryGenerateName)."""

CHANGE_TRIES_MAX = 64
"""How often a change without a resourceVersion is made again on a newer object before the client is told to."""

DEFINITION = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")

WRITE_TIMEOUT_S = 34.0
"""For a whole mutating call, as upstream's."""


class Ownership(Protocol):
    """Field ownership of one kind; see patch/managed_fields.py."""

    def on_update(self, live: Object | None, new: Object, *, manager: str, subresource: str, now: str) -> Object:
        """`new` with its managedFields."""

    def apply(self, live: Object | None, applied: Object, *, manager: str, force: bool, subresource: str, now: str) -> Object:
        """The merged object with its managedFields; raises StatusError on conflicts."""


Change = Callable[[Object], Object]
"""From the object as it stands (a copy, to keep or to change) to the one wanted. Called again when somebody else was faster."""

AuthorizeCreate = Callable[[], Awaitable[None]]
"""Asked before a PUT or an apply creates what is missing; raises StatusError."""


class Resource:
    """See the module. `create` and its siblings answer the object as stored, with its resourceVersion."""

    def __init__(
        self,
        model: Model,
        store: Store,
        reader: Reader,
        *,
        admission: Admission,
        manager: Ownership,
        clock: Clock,
        form: StoredForm,
        ttl_s: int = 0,
    ) -> None:
        self.model = model
        self.type = model.type
        self.reader = reader
        self.admission = admission
        self.manager = manager
        self.clock = clock
        self.store = store
        self.form = form
        self._ttl_s = ttl_s
        self.actions: dict[str, Action] = {}
        """Subresources that are only posted to: eviction, binding, token."""
        self.scale: ScaleView | None = None

    def key(self, namespace: str, name: str) -> str:
        """Where the object is stored, below the store's prefix."""
        path = self.type.storage_path
        return f"{path}/{namespace}/{name}" if self.type.namespaced else f"{path}/{name}"

    # Reading, for controllers and plugins.

    async def get_object(self, namespace: str, name: str) -> Object:
        """The newest state, the caller's own copy. Raises StatusError 404."""
        return copied((await self.reader.get(namespace, name)).object())

    async def list_objects(self, namespace: str = "") -> list[Object]:
        """All of a namespace, or of all; read-only."""
        listing = await self.reader.list(namespace, ListOptions())
        return [item.object() for item in listing.items]

    async def readable_objects(self, namespace: str = "") -> list[Object]:
        """The same without those that cannot be decoded; for who makes or derives something, and never gives away what they may hold."""
        listing = await self.reader.list(namespace, ListOptions())
        return [item.object() for item in readable(listing.items)]

    # Changing.

    async def create(self, ctx: Context, obj: Object, faults: Sequence[str] = ()) -> Object:
        """Makes a new object. Raises StatusError: 409 when there is one, 422 when it is not valid, 403 by admission …"""
        obj = await apart(weight(ctx), lambda: self._new(ctx, obj, faults))
        return await self._bounded(self._create(ctx, obj))

    def _new(self, ctx: Context, obj: Object, faults: Sequence[str]) -> Object:
        """What a client sent as a new object, as it goes into admission. Raises StatusError."""
        drop_unknown(ctx, self.model, obj, Write(faults=faults))
        metadata = metadata_of(obj)
        for field in SYSTEM_FIELDS:
            metadata.pop(field, None)
        if metadata.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        metadata.pop("resourceVersion", None)
        settle_namespace(self.type, ctx, metadata, "the namespace of the provided object does not match the namespace sent on the request")
        self.model.default(obj)
        return self.manager.on_update(None, obj, manager=manager_of(ctx), subresource="", now=self._now())

    async def update(
        self,
        ctx: Context,
        name: str,
        obj: Object,
        subresource: str = "",
        *,
        faults: Sequence[str] = (),
        may_create: AuthorizeCreate | None = None,
    ) -> tuple[Object, bool]:
        """PUT: the object as it is to be, and whether it was created. Raises StatusError."""
        metadata = metadata_of(obj)
        check_place(obj, ctx, name)
        settle_namespace(self.type, ctx, metadata, "")
        write = Write(subresource, must_carry_version=True, faults=faults)
        await apart(weight(ctx), lambda: self._conformed(ctx, obj, write))
        create = may_create if self.model.strategy.create_on_update and not subresource else None
        return await self._bounded(self._change(ctx, name, lambda _: copied(obj), write, create, lambda: copied(obj)))

    async def patch(
        self,
        ctx: Context,
        name: str,
        change: Change,
        *,
        patch_text: str,
        strategic: bool = False,
        subresource: str = "",
        faults: Sequence[str] = (),
    ) -> Object:
        """JSON, merge or strategic merge patch: `change` is the patch, made again when somebody else was faster. Raises StatusError."""
        write = Write(subresource, strict_as_patch=patch_text, strategic=strategic, faults=faults)
        found, _ = await self._bounded(self._change(ctx, name, change, write, None, None))
        return found

    async def apply(
        self,
        ctx: Context,
        name: str,
        applied: Object,
        *,
        force: bool,
        subresource: str = "",
        may_create: AuthorizeCreate | None = None,
    ) -> tuple[Object, bool]:
        """Server-side apply: the object, and whether it was created. Raises StatusError, 409 with the conflicts."""
        metadata = metadata_of(applied)
        if name_of(applied) and name_of(applied) != name:
            raise errors.bad_request(f"the name of the object ({name_of(applied)}) does not match the name on the URL ({name})")
        metadata["name"] = name
        if self.type.namespaced:
            settle_namespace(
                self.type, ctx, metadata, "the namespace of the provided object does not match the namespace sent on the request"
            )

        def merge(live: Object | None) -> Object:
            asked = copied(applied)
            return self.manager.apply(live, asked, manager=ctx.field_manager, force=force, subresource=subresource, now=self._now())

        write = Write(subresource, applied=True)
        create = None if subresource else may_create
        return await self._bounded(self._change(ctx, name, merge, write, create, lambda: merge(None)))

    async def delete(self, ctx: Context, name: str, options: DeleteOptions) -> tuple[int, Object]:
        """Status code, and what DELETE answers: a Status or the object. Raises StatusError."""
        return await self._bounded(deletion.delete(self, ctx, name, options))

    async def delete_collection(self, ctx: Context, selection: ListOptions, options: DeleteOptions) -> list[Object]:
        """Deletes every object of a selection, one after the other; those that are gone meanwhile count too."""
        listing = await self.reader.list(ctx.namespace, selection)
        gone = []
        for item in listing.items:
            obj = item.object()
            target = Context(
                ctx.user, str(obj["metadata"].get("namespace") or ""), dry_run=ctx.dry_run, user_agent=ctx.user_agent, warn=ctx.warn
            )
            try:
                await self.delete(target, name_of(obj), options)
            except StatusError as error:
                if error.code != 404:
                    raise
            gone.append(obj)
        return gone

    # The pipeline.

    async def read(self, namespace: str, name: str) -> tuple[Object, Stored]:
        """The object as the store holds it now, in this resource's version. Raises StatusError 404, UndecodableError."""
        try:
            stored = await self.store.get(self.key(namespace, name))
        except KeyMissingError as error:
            raise errors.not_found(self.type.group, self.type.plural, name) from error
        return self.decode(stored), stored

    def decode(self, stored: Stored) -> Object:
        """A stored value in this resource's version."""
        return self.model.from_storage(self.form.decode(stored))

    def encode(self, obj: Object) -> bytes:
        """The bytes to store."""
        return encode_stored(self.model.to_storage(obj))

    async def _create(self, ctx: Context, obj: Object) -> Object:
        metadata = obj["metadata"]
        base = "" if metadata.get("name") else str(metadata.get("generateName") or "")
        metadata["uid"] = new_uid(self.clock)
        metadata["creationTimestamp"] = self._now()
        if not base:
            return await self._create_once(ctx, obj, name_of(obj))
        for tries in range(1, GENERATE_TRIES_MAX + 1):
            # Each try is a whole one: what admission took for a name that is taken was given back.
            attempt = copied(obj)
            attempt["metadata"]["name"] = generated_name(base, self.clock)
            try:
                return await self._create_once(ctx, attempt, "")
            except StatusError as error:
                # Not every "already exists" is about the name that was drawn.
                if error.reason != "AlreadyExists" or error.name != name_of(attempt):
                    raise
                if tries == GENERATE_TRIES_MAX:
                    text = f"{error.message}, the server was not able to generate a unique name for the object"
                    kind, group = self.type.plural, self.type.group
                    raise StatusError(409, error.reason, text, name=error.name, group=group, kind=kind, retry_after_s=1) from error
        raise AssertionError("the last try answers or raises")

    async def _create_once(self, ctx: Context, obj: Object, shown_name: str) -> Object:
        """`shown_name` is what refusals call the object: one that was drawn means nothing to the client."""
        ctx = replace(ctx, now=obj["metadata"]["creationTimestamp"])
        request = self._admission_request(ctx, "CREATE", "", obj, None, shown_name)
        async with self.admission.settling(request) as write:
            await self.admission.admit(request)
            assert request.obj is not None
            obj = request.obj
            drop_duplicate_owners(ctx, obj)
            self.model.strategy.prepare_create(ctx, obj)
            await self._checked(weight(ctx), obj, None, "")
            for text in self.model.strategy.warnings(obj, None):
                ctx.warn(text)
            await self.admission.validate(request)
            write.in_store = not ctx.dry_run
            revision = await self._store_new(ctx, obj)
            write.written = revision > 0
        if revision:
            obj["metadata"]["resourceVersion"] = str(revision)
        return obj

    async def _store_new(self, ctx: Context, obj: Object) -> int:
        key, name = self.key(ctx.namespace, name_of(obj)), name_of(obj)
        try:
            if not ctx.dry_run:
                return await self._fitting(obj, lambda value: self.store.create(key, value, ttl_s=self._ttl_s))
            await self.store.get(key)
        except KeyMissingError:
            return 0
        except KeyExistsError:
            pass
        terminating = await self._is_terminating(key)
        raise errors.already_exists(self.type.group, self.type.plural, name, prefix="object is being deleted: " if terminating else "")

    async def _fitting(self, obj: Object, store: Callable[[bytes], Awaitable[int]]) -> int:
        """An object that is too large for the store is tried once more without its managedFields, as upstream does; one too deep as well.

        What is owned of an object nests a few levels deeper than the object itself.
        """
        try:
            return await store(self.encode(obj))
        except (ValueTooLargeError, TooDeepError):
            if obj["metadata"].pop("managedFields", None) is None:
                raise
            return await store(self.encode(obj))

    async def _is_terminating(self, key: str) -> bool:
        try:
            return bool(self.decode(await self.store.get(key))["metadata"].get("deletionTimestamp"))
        except (KeyMissingError, UndecodableError):
            return False  # What cannot be read stands there all the same.

    async def _change(
        self,
        ctx: Context,
        name: str,
        change: Change,
        write: Write,
        may_create: AuthorizeCreate | None,
        fresh: Callable[[], Object] | None,
    ) -> tuple[Object, bool]:
        """Until the change is on what stands there, or a version the client insists on is gone."""
        stored: Stored | None = None
        for _ in range(CHANGE_TRIES_MAX):
            if stored is None:
                try:
                    stored = await self.store.get(self.key(ctx.namespace, name))
                except KeyMissingError as error:
                    if may_create is None or fresh is None:
                        raise errors.not_found(self.type.group, self.type.plural, name) from error
                    await may_create()
                    try:
                        return await self._create_by(ctx, await apart(weight(ctx), fresh), write), True
                    except StatusError as raced:
                        if raced.reason != "AlreadyExists" or write.must_carry_version:
                            raise
                        continue
            old = self.decode(stored)
            new = await apart(weight(ctx, stored), functools.partial(change, copied(old)))
            if not write.must_carry_version:
                if not isinstance(new.get("metadata"), dict | None):
                    drop_unknown(ctx, self.model, new, write)  # Says what is wrong with it.
                metadata_of(new)
                check_place(new, ctx, name)
            insists = self._check_version(new, old, name, write)
            try:
                return await self._store_changed(ctx, new, old, stored, write), False
            except ChangedError as error:
                if insists:
                    raise errors.conflict(self.type.group, self.type.plural, name, errors.MODIFIED) from error
                stored = error.current
        raise errors.conflict(self.type.group, self.type.plural, name, errors.MODIFIED)

    async def _create_by(self, ctx: Context, obj: Object, write: Write) -> Object:
        """A PUT or an apply makes what is missing."""
        metadata = metadata_of(obj)
        if metadata.get("uid"):
            text = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: "
            raise errors.conflict(self.type.group, self.type.plural, name_of(obj), text)
        for field in (*SYSTEM_FIELDS, "resourceVersion"):
            metadata.pop(field, None)
        if write.applied:
            drop_unknown(ctx, self.model, obj, write)
        self.model.default(obj)
        if not write.applied:
            obj = self.manager.on_update(None, obj, manager=manager_of(ctx), subresource="", now=self._now())
        return await self._create(ctx, obj)

    async def _store_changed(self, ctx: Context, new: Object, old: Object, stored: Stored, write: Write) -> Object:
        """One attempt on one state. Raises ChangedError when that state is gone."""
        ctx = replace(ctx, now=self._now())
        new = await apart(weight(ctx, stored), lambda: self._settled(ctx, new, old, write))
        request = self._admission_request(ctx, "UPDATE", write.subresource, new, old, name_of(old))
        async with self.admission.settling(request) as outcome:
            await self.admission.admit(request)
            assert request.obj is not None
            new = request.obj
            keep_system_fields(new, old)
            drop_duplicate_owners(ctx, new)
            if write.subresource and write.subresource != "scale":
                self.model.strategy.prepare_subresource(ctx, write.subresource, new, old)
            else:
                self.model.strategy.prepare_update(ctx, new, old)
            await self._checked(weight(ctx, stored), new, old, write.subresource)
            for text in self.model.strategy.warnings(new, old):
                ctx.warn(text)
            await self.admission.validate(request)
            settle_times(old, new)
            ends = deletion.is_finished(self.model.strategy, new)
            revision = stored.revision
            if not ctx.dry_run and (ends or not same(new, old)):
                outcome.in_store = True
                found = await self._put(new, stored, ends=ends)
                # Who takes the last finalizer away is answered the object as it was last stored: its removal has no version of it.
                revision = revision if ends else found
                outcome.written = True
        new["metadata"]["resourceVersion"] = str(revision)
        return new

    def _settled(self, ctx: Context, new: Object, old: Object, write: Write) -> Object:
        """A changed object as it goes into admission: of its kind, and with who owns what. Raises StatusError."""
        if not write.must_carry_version:
            self._conformed(ctx, new, write)
        if write.applied or write.subresource == "binding":  # Upstream's bindings own no fields.
            return new
        return self.manager.on_update(old, new, manager=manager_of(ctx), subresource=write.subresource, now=self._now())

    def _conformed(self, ctx: Context, obj: Object, write: Write) -> None:
        drop_unknown(ctx, self.model, obj, write)
        self.model.default(obj)

    async def _put(self, new: Object, stored: Stored, *, ends: bool) -> int:
        """Writes, or removes what nobody holds any more. Raises ChangedError."""
        key, expected = stored.key, stored.revision
        if ends:
            return await self.store.delete(key, expected_revision=expected)
        return await self._fitting(new, lambda value: self.store.update(key, value, expected_revision=expected, ttl_s=self._ttl_s))

    def _check_version(self, new: Object, old: Object, name: str, write: Write) -> bool:
        """Whether the client insists on the version it sent. Raises 409 when that is not the present one, 422 when one is required."""
        wanted, present = new["metadata"].get("resourceVersion"), old["metadata"]["resourceVersion"]
        uid = new["metadata"].get("uid")
        if uid and uid != old["metadata"].get("uid"):
            text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata'].get('uid')}"
            raise errors.conflict(self.type.group, self.type.plural, name, text)
        if not wanted or (wanted == "0" and write.must_carry_version):
            if write.must_carry_version and not self.model.strategy.unconditional_update:
                problem = errors.invalid("metadata.resourceVersion", 0, "must be specified for an update")
                raise errors.invalid_object(self.type.group, self.type.plural, name, [problem])
            return False
        if wanted != present:
            raise errors.conflict(self.type.group, self.type.plural, name, errors.MODIFIED)
        # A patched copy carries the present version by itself; only a body of its own is a client insisting.
        return write.must_carry_version

    # Pieces.

    async def _checked(self, size_bytes: int, obj: Object, old: Object | None, subresource: str) -> None:
        """Raises StatusError 422. A definition's schemas are looked at for 0.2 ms per kilobyte: large ones do not hold up the loop."""
        if self.type.gvk == DEFINITION:
            size_bytes = len(msgspec.json.encode(obj.get("spec")))
        await apart(size_bytes, lambda: self._check(obj, old, subresource))

    def _check(self, obj: Object, old: Object | None, subresource: str) -> None:
        problems: list[FieldError] = validate_metadata(obj, old, namespaced=self.type.namespaced, check_name=self.model.check_name)
        problems += self.model.validate(obj, old, subresource)
        if problems:
            raise errors.invalid_object(self.type.group, self.type.kind, name_of(obj), problems)

    def _admission_request(
        self, ctx: Context, operation: Operation, subresource: str, obj: Object | None, old: Object | None, name: str
    ) -> AdmissionRequest:
        return AdmissionRequest(operation, self.type, subresource, ctx.namespace, name, ctx.user, ctx.dry_run, obj, old, ctx.warn)

    def _now(self) -> str:
        return rfc3339(self.clock.wall_s())

    async def _bounded(self, work: Awaitable[T]) -> T:
        """One mutating call, with the store's failures in the client's words."""
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                return await work
        except TimeoutError as error:
            raise errors.timeout("request did not complete within the allotted timeout") from error
        except TooDeepError as error:
            raise errors.bad_request(depth.TEXT) from error
        except ValueTooLargeError as error:
            raise StatusError(500, "", "etcdserver: request is too large") from error
        except StoreUnavailableError as error:
            raise errors.service_unavailable(f"the store cannot be reached: {error}") from error
        except OutcomeUnknownError as error:
            raise errors.timeout(f"the store did not say whether the write took place: {error}") from error
