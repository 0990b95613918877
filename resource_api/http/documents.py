"""`/api`, `/apis`, `/openapi/v3` and `/openapi/v2` as answers: negotiation, ETags and caching around the documents of their modules.

The documents are those of the resources the server has now: made anew after each change of the set, on the next request. The OpenAPI index
needs every document's digest, which is work of some hundred milliseconds after a start, and is done in a thread. Loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import formatdate

import msgspec

from raftkv.clock import Clock
from resource_api.errors import Object, StatusError
from resource_api.http.discovery import AGGREGATED, Discovery
from resource_api.http.document import Document, document
from resource_api.http.messages import JSON, Answer, Request, Response
from resource_api.http.negotiation import clauses, wanted
from resource_api.http.openapi import OpenApi
from resource_api.http.openapi_v2 import swagger
from resource_api.http.representation import Representations
from resource_api.http.routes import Routes
from resource_api.http.status import page_not_found
from resource_api.registry.api import Api
from resource_api.registry.custom import CustomModel

YEAR_S = 365 * 24 * 3600

OPENAPI = "/openapi/v3"


class Documents:
    """See the module. `address` says host and port where clients reach the server."""

    def __init__(self, api: Api, representations: Representations, clock: Clock, address: Callable[[], str]) -> None:
        self._api = api
        self._representations = representations
        self._clock = clock
        self._address = address
        self._discovery: Discovery | None = None
        self._openapi: OpenApi | None = None
        self._is_openapi_old = True
        self._swagger: tuple[OpenApi, Document] | None = None
        """Of which set of documents the one of version 2 was made."""
        self._building = asyncio.Lock()
        api.on_change(self._forget)

    def install(self, routes: Routes) -> None:
        """Adds the paths."""
        routes.add("/api", self._core, below=True)
        routes.add("/apis", self._groups, below=True)
        routes.add(OPENAPI, self._documents, below=True)
        routes.add("/openapi/v2", self._version_2)

    def _forget(self) -> None:
        self._discovery = None
        self._is_openapi_old = True

    @property
    def discovery(self) -> Discovery:
        """Of the present resources."""
        if self._discovery is None:
            self._discovery = Discovery(resource.type for resource in self._api.resources())
        return self._discovery

    async def openapi(self) -> OpenApi:
        """Of the present resources, complete."""
        async with self._building:
            while self._openapi is None or self._is_openapi_old:
                self._is_openapi_old = False
                resources = self._api.resources()
                schemas: dict[tuple[str, str, str], Object] = {
                    (one.type.group, one.type.version, one.type.plural): one.model.published
                    for one in resources
                    if isinstance(one.model, CustomModel)
                }
                made = OpenApi([one.type for one in resources], schemas, self._openapi)
                await asyncio.to_thread(made.prepare)
                self._openapi = made
            return self._openapi

    async def _core(self, request: Request) -> Answer:
        path = request.path.strip("/")
        if path == "api":
            if _wants_aggregated(request):
                return _aggregated(self.discovery.aggregated(core=True), request)
            return self._legacy(self.discovery.api_versions(self._address()), request)
        return self._legacy(self.discovery.resource_list("", path.removeprefix("api/")), request)

    async def _groups(self, request: Request) -> Answer:
        parts = request.path.strip("/").split("/")
        if len(parts) == 1:
            if _wants_aggregated(request):
                return _aggregated(self.discovery.aggregated(core=False), request)
            return self._legacy(self.discovery.group_list(), request)
        if len(parts) == 2:
            return self._legacy(self.discovery.group(parts[1]), request)
        return self._legacy(self.discovery.resource_list(parts[1], parts[2]) if len(parts) == 3 else None, request)

    def _legacy(self, found: Document | None, request: Request) -> Answer:
        if found is None:
            return page_not_found()
        media = wanted(request, tables=False).media
        if media == "json":
            return Response(200, found.body)
        body, content_type = self._representations.encode(msgspec.json.decode(found.body), media)
        return Response(200, body, content_type)

    async def _documents(self, request: Request) -> Answer:
        if not _takes_json(request):
            raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {JSON}")
        openapi = await self.openapi()
        seen = request.headers.get("If-None-Match", "")
        path = request.path.rstrip("/").removeprefix(OPENAPI).strip("/")
        if not path:
            found = openapi.answer_index(seen)
        else:
            expires = formatdate(self._clock.wall_s() + YEAR_S, usegmt=True)
            said = openapi.answer(path, request.parameter("hash"), if_none_match=seen, expires_http=expires)
            if said is None:
                return page_not_found()
            found = said
        headers = [(name, value) for name, value in found.headers.items() if name != "Content-Type"]
        return Response(found.status, found.body, found.headers.get("Content-Type", ""), headers)

    async def _version_2(self, request: Request) -> Answer:
        """JSON alone: who wants the protobuf form is better off without a document than with one it cannot read (spec A.4)."""
        if not _takes_json(request):
            return page_not_found()
        openapi = await self.openapi()
        if self._swagger is None or self._swagger[0] is not openapi:
            self._swagger = (openapi, await asyncio.to_thread(_swagger_of, openapi))
        found = self._swagger[1]
        headers = [("ETag", found.etag), ("Vary", "Accept")]
        if found.matches(request.headers.get("If-None-Match", "")):
            return Response(304, b"", "", headers)
        return Response(200, found.body, JSON, headers)


def _swagger_of(openapi: OpenApi) -> Document:
    found = (openapi.document(path) for path in openapi.paths())
    return document(swagger(msgspec.json.decode(one.body) for one in found if one is not None))


def _takes_json(request: Request) -> bool:
    accepted = clauses(request.headers.get("Accept", "") or JSON)
    return any(one.type in ("application", "*") and one.subtype in ("json", "*") for one in accepted)


def _wants_aggregated(request: Request) -> bool:
    """Whether the first form the client accepts, of the two there are, is the aggregated one. A version we have not is passed over."""
    for clause in clauses(request.headers.get("Accept", "")):
        parameters = clause.parameters
        if (clause.type, clause.subtype) not in (("application", "json"), ("*", "*"), ("application", "*")):
            continue
        if "as" not in parameters:
            return False
        if (parameters["as"], parameters.get("g"), parameters.get("v")) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"):
            return True
    return False


def _aggregated(found: Document, request: Request) -> Answer:
    headers = [("ETag", found.etag), ("Vary", "Accept"), ("Cache-Control", "public")]
    if found.matches(request.headers.get("If-None-Match", "")):
        return Response(304, b"", "", headers)
    return Response(200, found.body, AGGREGATED, headers)
