"""A whole HTTP face over a store in memory: real kinds, no security, plain HTTP on a free port, and a client."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from raftkv.clock import SystemClock
from resource_api.http.chain import ChainSettings, Guards
from resource_api.http.messages import Request
from resource_api.http.request import RequestInfo
from resource_api.printers.table import Tables
from resource_api.registry.admission import Admission
from resource_api.registry.api import Api
from resource_api.registry.builtin import builtin_models
from resource_api.registry.catalog import Catalog
from resource_api.registry.requests import MASTERS, User
from resource_api.schema.protobuf.envelope import decode_envelope, encode_envelope
from resource_api.server import ApiServer
from tests.support.memory_store import MemoryStore

KINDS = (
    ("", "v1", "configmaps"),
    ("", "v1", "namespaces"),
    ("", "v1", "nodes"),
    ("", "v1", "pods"),
    ("", "v1", "services"),
    ("apps", "v1", "deployments"),
)

ADMIN = User("admin", (MASTERS, "system:authenticated"))


@dataclass
class Face:
    """A server that nobody reaches yet."""

    server: ApiServer
    store: MemoryStore
    catalog: Catalog


@dataclass
class Served(Face):
    """What a test has in its hands."""

    session: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> tuple[int, object]:
        """Status and decoded answer; text where it is no JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        stream = io.BytesIO(data) if data is not None else None
        async with self.session.request(method, self.url + path, data=stream, headers={**sent, **(headers or {})}) as answer:
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()


def open_guards(user: User = ADMIN) -> Guards:
    """Everybody is the administrator."""

    async def authenticate(request: Request) -> User:
        return user

    async def impersonate(request: Request, user: User) -> User:
        return user

    async def authorize(user: User, info: RequestInfo) -> None:
        return None

    return Guards(authenticate, impersonate, authorize)


@asynccontextmanager
async def face_of(
    *,
    store: MemoryStore | None = None,
    guards: Guards | None = None,
    settings: ChainSettings | None = None,
    kinds: Sequence[tuple[str, str, str]] = KINDS,
) -> AsyncIterator[Face]:
    """A whole face on any loop; stopped at the end of the block."""
    store, clock = store or MemoryStore(), SystemClock()
    async with asyncio.TaskGroup() as group:
        catalog = Catalog(store, group=group, clock=clock, admission=Admission())
        api = Api()
        models = builtin_models()
        api.add(*(catalog.resource(models[kind]) for kind in kinds))
        server = ApiServer(
            api,
            guards or open_guards(),
            clock=clock,
            decode_protobuf=decode_envelope,
            encode_protobuf=encode_envelope,
            rows=Tables(clock.wall_s),
            settings=settings,
        )
        try:
            yield Face(server, store, catalog)
        finally:
            await server.stop()
            catalog.caches.stop()


@asynccontextmanager
async def face(**options: Any) -> AsyncIterator[Served]:
    """Serves while the block runs; options as `face_of`'s."""
    async with face_of(**options) as made, aiohttp.ClientSession(auto_decompress=True) as session:
        port = await made.server.listen("127.0.0.1", 0, None)
        yield Served(made.server, made.store, made.catalog, session, f"http://127.0.0.1:{port}")


def config_map(name: str, namespace: str = "default", **data: str) -> dict[str, object]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}
