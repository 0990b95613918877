"""A whole control plane in this process, over a store in memory: authentication, RBAC, admission, controllers, HTTP."""

from __future__ import annotations

import asyncio
import functools
import pathlib
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from raftkv.clock import SystemClock
from resource_api.client import ApiClient, Connection, Kind
from resource_api.config import ApiConfig, parse
from resource_api.control_plane import ControlPlane, running
from resource_api.embedded import paths_of
from resource_api.errors import Object, StatusError
from resource_api.registry.requests import MASTERS, User
from resource_api.security.authn import StaticTokens
from resource_api.security.certificates import serving_leaf
from resource_api.security.material import Material, open_material
from tests.support.memory_store import MemoryStore

ADMIN_TOKEN, USER_TOKEN = "admin-token", "user-token"

CONFIG_MAPS = Kind("", "v1", "configmaps")
NAMESPACES = Kind("", "v1", "namespaces")
SECRETS = Kind("", "v1", "secrets")
SERVICES = Kind("", "v1", "services")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts")
DEFINITIONS = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions")


@dataclass
class Served:
    """What a test has in its hands; `client` is the administrator's, `user` that of `jane`, who is in group `developers` only."""

    plane: ControlPlane
    client: ApiClient
    user: ApiClient
    url: str

    async def refusal(self, asked: object) -> StatusError:
        """The refusal of a call of the client. Fails when it succeeds."""
        try:
            await asked  # type: ignore[misc]
        except StatusError as error:
            return error
        raise AssertionError("it was not refused")

    async def until(self, kind: Kind, name: str, namespace: str, holds: Callable[[Object], bool]) -> Object:
        """The object, when it is as it should be: looked at on every change."""
        async with asyncio.timeout(60):
            query = {"fieldSelector": f"metadata.name={name}"}
            async with self.client.watch(kind, namespace, **query) as events:
                async for event in events:
                    if holds(event.object):
                        return event.object
        raise AssertionError("the watch ended")


@functools.cache
def _material() -> Material:
    """Keys and certificates, made once for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        return open_material(paths_of(_config(pathlib.Path(folder))), SystemClock(), serving_leaf(service_ip="10.0.0.1"))


def _config(folder: pathlib.Path, *flags: str) -> ApiConfig:
    words = [f"--cert-dir={folder}", "--etcd-servers=http://127.0.0.1:1", "--secure-port=0", "--insecure-port=0", *flags]
    return parse(words)[0]


@asynccontextmanager
async def served(*flags: str, store: MemoryStore | None = None) -> AsyncIterator[Served]:
    """Serves while the block runs, with these flags."""
    tokens = StaticTokens()
    tokens.add(ADMIN_TOKEN, User("admin", (MASTERS, "system:authenticated")))
    tokens.add(USER_TOKEN, User("jane", ("developers", "system:authenticated")))
    config = _config(pathlib.Path("unused"), *flags)
    async with running(config, store or MemoryStore(), SystemClock(), replace(_material(), static_tokens=tokens)) as plane:
        plane.is_started = True
        url = f"http://127.0.0.1:{plane.insecure_port}"
        async with ApiClient(Connection(url, ADMIN_TOKEN)) as client, client.as_token(USER_TOKEN) as user:
            yield Served(plane, client, user, url)
