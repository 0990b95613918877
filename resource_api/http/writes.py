"""Writes: bodies and options to the registry's pipeline, and its results to answers. Knows no kind. Loop only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from resource_api.errors import UNREAD, Object, StatusError, bad_request, forbidden, invalid, method_not_allowed
from resource_api.http.body import Bodies, Decoded
from resource_api.http.delete_options import delete_options, refused
from resource_api.http.messages import Answer, Request, Response
from resource_api.http.negotiation import APPLY_PATCH, STRATEGIC_PATCH, Media, body_media, patch_type, wanted
from resource_api.http.patch_bodies import decode_configuration, decode_patch
from resource_api.http.representation import Representations, wants_pretty
from resource_api.http.request import RequestInfo, check_patch_options, context, list_options
from resource_api.registry.preparation import conform
from resource_api.registry.requests import Context, User
from resource_api.registry.resource import AuthorizeCreate, Resource
from resource_api.schema.kinds import GroupVersionKind, ResourceType
from resource_api.schema.types import FREE_OBJECT
from resource_api.turns import LARGE_BYTES, apart

JSON_SHARE = 8
"""JSON is read this much faster than YAML."""

UNREAD_VERB = "unsafe-delete-ignore-read-errors"

Authorize = Callable[[User, RequestInfo], Awaitable[None]]


class Writes:
    """`authorize` is asked again where a PUT or an apply would create. A kind's actions and its scale are the resource's own."""

    def __init__(self, bodies: Bodies, representations: Representations, authorize: Authorize) -> None:
        self._bodies = bodies
        self._representations = representations
        self._authorize = authorize

    async def __call__(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        """Raises StatusError."""
        # What the client accepts is settled first: a write that cannot be answered is not made.
        wanted(request)
        if info.verb == "create":
            return await self._create(request, info, resource)
        if info.verb == "update":
            return await self._update(request, info, resource)
        if info.verb == "patch":
            return await self._patch(request, info, resource)
        if info.verb == "delete":
            return await self._delete(request, info, resource)
        if info.verb == "deletecollection":
            return await self._delete_collection(request, info, resource)
        raise method_not_allowed("")

    def reading_context(self, request: Request, info: RequestInfo) -> Context:
        """For reads that take one."""
        return Context(_user(request), info.namespace, user_agent=request.headers.get("User-Agent", ""), warn=request.warn)

    async def _create(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        expected = _kind_of(info, resource)
        media = body_media(request)
        body = await request.body()
        ctx = replace(context(request, info, _user(request), "CreateOptions"), body_bytes=len(body))
        action = resource.actions.get(info.subresource)
        if action is None and info.subresource:
            raise method_not_allowed("")
        strict, kinds = ctx.field_validation != "Ignore", _other_kinds(info, resource)
        decoded = await self._decoded(body, media, expected, strict=strict, kinds=kinds)
        if action is not None:
            conform(ctx, expected, decoded.obj, decoded.faults)
            code, answer = await action(ctx, info.name, decoded.obj)
        else:
            code, answer = 201, await resource.create(ctx, decoded.obj, decoded.faults)
        return await self._answer(request, resource.type, answer, code)

    async def _update(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        media = body_media(request)
        body = await request.body()
        ctx = replace(context(request, info, _user(request), "UpdateOptions"), body_bytes=len(body))
        decoded = await self._decoded(body, media, _kind_of(info, resource), strict=ctx.field_validation != "Ignore")
        if info.subresource == "scale" and resource.scale is not None:
            conform(ctx, _kind_of(info, resource), decoded.obj, decoded.faults)
            return await self._answer(request, resource.type, await resource.scale.update(ctx, info.name, decoded.obj))
        obj, created = await resource.update(
            ctx,
            info.name,
            decoded.obj,
            subresource=info.subresource,
            faults=decoded.faults,
            may_create=self._may_create(info, ctx.user),
        )
        return await self._answer(request, resource.type, obj, 201 if created else 200)

    async def _patch(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        kind = patch_type(request, strategic=not resource.type.custom)
        body = await request.body()
        ctx = replace(context(request, info, _user(request), "PatchOptions"), body_bytes=len(body))
        check_patch_options(request.query, is_apply=kind == APPLY_PATCH)
        if kind == APPLY_PATCH:
            return await self._apply(request, info, resource, ctx, body)
        own = _kind_of(info, resource) == resource.type.gvk
        schema = resource.model.schema if own else FREE_OBJECT
        custom = own and resource.type.custom
        patch = await apart(len(body) // JSON_SHARE, lambda: decode_patch(kind, body, schema, ctx.field_validation, custom=custom))
        if info.subresource == "scale" and resource.scale is not None:
            scaled = await resource.scale.patch(ctx, info.name, patch, patch_text=patch.text, strategic=kind == STRATEGIC_PATCH)
            return await self._answer(request, resource.type, scaled)
        obj = await resource.patch(
            ctx,
            info.name,
            patch,
            patch_text=patch.text,
            strategic=kind == STRATEGIC_PATCH,
            subresource=info.subresource,
            faults=patch.faults,
        )
        return await self._answer(request, resource.type, obj)

    async def _apply(self, request: Request, info: RequestInfo, resource: Resource, ctx: Context, body: bytes) -> Answer:
        applied = await apart(len(body), lambda: decode_configuration(body, validation=ctx.field_validation, warn=ctx.warn))
        obj, created = await resource.apply(
            ctx,
            info.name,
            applied,
            force=request.flag("force"),
            subresource=info.subresource,
            may_create=self._may_create(info, ctx.user),
        )
        return await self._answer(request, resource.type, obj, 201 if created else 200)

    async def _delete(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        options, dry_run = await delete_options(request, self._bodies)
        ctx = replace(self.reading_context(request, info), dry_run=dry_run)
        if options.ignore_store_read_error:
            await self._authorize_unread(info, resource.type, ctx.user)
        code, answer = await resource.delete(ctx, info.name, options)
        return await self._answer(request, resource.type, answer, code)

    async def _delete_collection(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        options, dry_run = await delete_options(request, self._bodies)
        if options.ignore_store_read_error:
            raise refused([invalid(UNREAD, True, "is not allowed with DELETECOLLECTION, try again after removing the option")])
        ctx = replace(self.reading_context(request, info), dry_run=dry_run)
        gone = await resource.delete_collection(ctx, list_options(request.query), options)
        asked = wanted(request)
        shaped = self._representations.many(resource.type, gone, {}, asked, request)
        body, content_type = self._representations.encode(shaped, asked.media, pretty=wants_pretty(request))
        return Response(200, body, content_type)

    async def _authorize_unread(self, info: RequestInfo, type: ResourceType, user: User) -> None:
        """To delete what cannot be read takes a verb of its own besides `delete`."""
        try:
            await self._authorize(user, replace(info, verb=UNREAD_VERB))
        except StatusError as error:
            raise forbidden(type.group, type.plural, info.name, f'not permitted to do "{UNREAD_VERB}", reason: ') from error

    def _may_create(self, info: RequestInfo, user: User) -> AuthorizeCreate:
        async def ask() -> None:
            await self._authorize(user, replace(info, verb="create"))

        return ask

    async def _decoded(
        self, body: bytes, media: Media, expected: GroupVersionKind, *, strict: bool, kinds: tuple[str, ...] = ()
    ) -> Decoded:
        size_bytes = len(body) // JSON_SHARE if media == "json" else len(body)
        return await apart(size_bytes, lambda: self._bodies.decode(body, media, expected, strict=strict, kinds=kinds))

    async def _answer(self, request: Request, type: ResourceType, obj: Object, code: int = 200) -> Response:
        # A hundred kilobytes of YAML take 10 ms; as JSON they take none, and only telling how large it is takes that.
        is_large = wanted(request).media != "json" and len(msgspec.json.encode(obj)) >= LARGE_BYTES
        return await apart(LARGE_BYTES if is_large else 0, lambda: self._encoded(request, type, obj, code))

    def _encoded(self, request: Request, type: ResourceType, obj: Object, code: int) -> Response:
        asked = wanted(request)
        shaped = obj if obj.get("kind") == "Status" and asked.target else self._representations.one(type, obj, asked, request)
        body, content_type = self._representations.encode(shaped, asked.media, pretty=wants_pretty(request))
        return Response(code, body, content_type)


def _user(request: Request) -> User:
    assert request.user is not None, "authentication runs before every handler"
    return request.user


def _kind_of(info: RequestInfo, resource: Resource) -> GroupVersionKind:
    """What the body is."""
    if not info.subresource:
        return resource.type.gvk
    found = resource.type.subresources.get(info.subresource)
    if found is None:
        raise bad_request(f"no subresource {info.subresource}")
    return found.kind


def _other_kinds(info: RequestInfo, resource: Resource) -> tuple[str, ...]:
    """Kinds taken in any version: an eviction may still be written as the beta it was."""
    return ("Eviction",) if info.subresource == "eviction" else ()
