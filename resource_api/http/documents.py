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
from resource_api.http.document import Document, document, named
from resource_api.http.messages import JSON, Answer, Request, Response
from resource_api.http.negotiation import clauses, wanted
from resource_api.http.openapi import OpenApi
from resource_api.http.openapi_v2 import swagger
from resource_api.http.representation import Representations
from resource_api.http.routes import Routes
from resource_api.http.status import page_not_found
from resource_api.registry.api import Api
from resource_api.registry.custom import CustomModel
from resource_api.schema.protobuf.swagger import encoded

YEAR_S = 365 * 24 * 3600

OPENAPI = "/openapi/v3"

SWAGGER = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""The protobuf form of version 2. kubectl asks for it by its older name, which has an `@`; the answer never has that name."""
SWAGGERS = {JSON: JSON, SWAGGER: SWAGGER, SWAGGER.replace("v2.v1", "v2@v1"): SWAGGER}
"""What a client accepts, and what it gets."""


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
        self._swagger: tuple[OpenApi, dict[str, Document]] | None = None
        """Of which set of documents those of version 2 were made; the forms of it that were asked for, by media type."""
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
        media = _swagger_media(request)
        if media is None:
            raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {JSON}, {SWAGGER}")
        found = await self._version_2_as(media)
        headers = [("ETag", found.etag), ("Vary", "Accept")]
        if found.matches(request.headers.get("If-None-Match", "")):
            return Response(304, b"", "", headers)
        return Response(200, found.body, media, headers)

    async def _version_2_as(self, media: str) -> Document:
        openapi = await self.openapi()
        async with self._building:
            if self._swagger is None or self._swagger[0] is not openapi:
                self._swagger = (openapi, {})
            made = self._swagger[1]
            if media not in made:
                made[media] = await asyncio.to_thread(_swagger_of, openapi, media)
            return made[media]


def _swagger_of(openapi: OpenApi, media: str) -> Document:
    found = (openapi.document(path) for path in openapi.paths())
    value = swagger(msgspec.json.decode(one.body) for one in found if one is not None)
    return named(encoded(value)) if media == SWAGGER else document(value)


def _swagger_media(request: Request) -> str | None:
    """The first form the client accepts, of the two there are."""
    for clause in clauses(request.headers.get("Accept", "") or JSON):
        if clause.type in ("application", "*") and clause.subtype == "*":
            return JSON
        media = SWAGGERS.get(f"{clause.type}/{clause.subtype}")
        if media is not None:
            return media
    return None


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
