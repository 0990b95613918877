"""Verbs on resources: from request info to the registry's resource, and its result to an answer.

Reads of stored JSON are spliced and never decoded; everything else goes through `Representations`. Writes are in `writes.py`, watches in
`watch_stream.py`. Knows no kind. Loop only. Hot path: `_get`, `_list`.
"""

from __future__ import annotations

from resource_api.errors import Object, method_not_allowed, unknown_resource
from resource_api.http.list_bodies import ListBodies
from resource_api.http.messages import Answer, Request, Response
from resource_api.http.negotiation import PLAIN, Wanted, wanted
from resource_api.http.representation import Representations, encode_json, wants_pretty
from resource_api.http.request import RequestInfo, list_options
from resource_api.http.splicing import Splices
from resource_api.http.status import page_not_found
from resource_api.http.upgrade import CONNECT_SUBRESOURCES, Connections
from resource_api.http.watch_stream import Watches
from resource_api.http.writes import Writes
from resource_api.registry.api import Api
from resource_api.registry.custom import CustomModel
from resource_api.registry.resource import Resource
from resource_api.schema.kinds import ResourceType
from resource_api.turns import apart

ALL_NAMESPACES_VERBS = ("list", "watch")
"""What a namespaced resource offers without a namespace."""

OBJECT_VERBS = ("get", "update", "patch", "delete")
"""Verbs of one object; the others are a collection's."""

DEPRECATED = {
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
"""Built-in resources every request to which is answered with a warning."""


class ResourceHandlers:
    """Answers what is a resource."""

    def __init__(self, api: Api, representations: Representations, writes: Writes, watches: Watches, connections: Connections) -> None:
        self._api = api
        self._representations = representations
        self._writes = writes
        self._watches = watches
        self._connections = connections
        self._splices = Splices()
        self._lists = ListBodies(representations)

    async def __call__(self, request: Request, info: RequestInfo) -> Answer:
        """Raises StatusError."""
        resource = self._api.get(info.group, info.version, info.resource)
        if resource is None:
            return self._unknown(info)
        if info.subresource:
            return await self._subresource(request, info, resource)
        type, verb = resource.type, info.verb
        if type.custom and isinstance(resource.model, CustomModel) and resource.model.deprecation:
            request.warn(resource.model.deprecation)
        elif (info.group, info.version, info.resource) in DEPRECATED:
            request.warn(DEPRECATED[info.group, info.version, info.resource])
        if verb == "proxy" or len(info.parts) > 2:
            return page_not_found()
        if bool(info.namespace) != type.namespaced and not (type.plural == "namespaces" and info.name):
            if info.namespace or info.name:
                raise unknown_resource()
            if verb not in ALL_NAMESPACES_VERBS:
                raise method_not_allowed("")
        if verb not in type.verbs or request.method == "HEAD" or (verb != "watch" and bool(info.name) != (verb in OBJECT_VERBS)):
            raise method_not_allowed("")
        if verb == "get":
            return await self._get(request, info, resource)
        if verb == "list":
            return await self._list(request, info, resource)
        if verb == "watch":
            return await self._watches.open(request, info, resource)
        return await self._writes(request, info, resource)

    def _unknown(self, info: RequestInfo) -> Answer:
        """A group and version of ours answers with a Status, what nobody knows with a text."""
        for one in self._api.resources():
            if one.type.group == info.group and one.type.version == info.version and not one.type.custom:
                raise unknown_resource()
        return page_not_found()

    async def _subresource(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        type = resource.type
        found = type.subresources.get(info.subresource)
        if found is None or not info.name or bool(info.namespace) != type.namespaced and type.plural != "namespaces":
            raise unknown_resource()
        if info.subresource in CONNECT_SUBRESOURCES:
            return await self._connections(request, info, resource)
        if len(info.parts) > 3:
            raise unknown_resource()
        if info.verb not in found.verbs or request.method == "HEAD":
            raise method_not_allowed("")
        if info.verb != "get":
            return await self._writes(request, info, resource)
        if info.subresource == "scale" and resource.scale is not None:
            context = self._writes.reading_context(request, info)
            return self.object_answer(request, type, await resource.scale.get(context, info.name))
        return await self._get(request, info, resource)

    async def _get(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        asked = wanted(request)
        version = request.parameter("resourceVersion") if request.raw_query else ""
        item = await resource.reader.get(info.namespace, info.name, version)
        if asked is PLAIN and not wants_pretty(request):
            return Response(200, self._splices.object(resource, item))
        shaped = self._representations.one(resource.type, item.object(), asked, request)
        # A hundred kilobytes of YAML take 10 ms.
        return await apart(item.size_bytes if asked.media == "yaml" else 0, lambda: self._encoded(request, asked, shaped))

    async def _list(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        asked = wanted(request)
        listing = await resource.reader.list(info.namespace, list_options(request.query))
        metadata: Object = {"resourceVersion": str(listing.resource_version)}
        if listing.continue_token:
            metadata["continue"] = listing.continue_token
        if listing.remaining is not None and listing.continue_token:
            metadata["remainingItemCount"] = listing.remaining
        if asked is PLAIN and not wants_pretty(request):
            items = await listing.joined(("item", resource.type.gvk), self._splices.for_list(resource))
            return Response(200, b"".join((_list_head(resource.type, metadata), items, b"]}")))
        body, content_type = await self._lists.body(resource.type, listing.items, metadata, asked, request)
        return Response(200, body, content_type)

    def object_answer(self, request: Request, type: ResourceType, obj: Object, code: int = 200) -> Answer:
        """An object of a write or of a subresource, as the client wants it."""
        asked = wanted(request)
        return self._encoded(request, asked, self._representations.one(type, obj, asked, request), code)

    def _encoded(self, request: Request, asked: Wanted, shaped: Object, code: int = 200) -> Response:
        body, content_type = self._representations.encode(shaped, asked.media, pretty=wants_pretty(request))
        return Response(code, body, content_type)


def _list_head(type: ResourceType, metadata: Object) -> bytes:
    said = encode_json(metadata)
    return b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (type.list_kind.encode(), type.api_version.encode(), said)
