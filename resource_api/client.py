"""A small asynchronous client of a Kubernetes API, ours or any other: objects as dicts, errors as StatusError, watches that end.

For tests, raftctl and programs beside the server; no cache and no informer. Knows URLs, not kinds: a resource is named by group, version
and plural. One connection pool per client; loop only.
"""

from __future__ import annotations

import base64
import pathlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote

import aiohttp
import msgspec
import yaml

from resource_api.errors import Cause, Json, Object, StatusError

READ_TIMEOUT_S = 90.0
"""For a request that is no watch; longer than the server's own."""

LINE_BYTES_MAX = 16 << 20
"""Longest watch event read."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Kind(NamedTuple):
    """A resource of the API: `Kind("apps", "v1", "deployments")`, `Kind("", "v1", "pods")`."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Its URL path; without a namespace that of all, or of a cluster-scoped one."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        parts += ["namespaces", namespace] if namespace else []
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe=":") for part in parts)


class WatchEvent(NamedTuple):
    """ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: Object


@dataclass(frozen=True, slots=True)
class Connection:
    """How a server is reached and who asks."""

    server: str
    token: str = ""
    tls: ssl.SSLContext | None = None
    namespace: str = "default"
    """Of the context; nothing here uses it by itself."""


def read_kubeconfig(path: str | pathlib.Path, context: str = "") -> Connection:
    """The connection of a context, the current one by default. Raises ValueError for what it does not say or names an exec plugin."""
    file = pathlib.Path(path)
    config = yaml.safe_load(file.read_text()) or {}
    chosen = _named(config, "contexts", context or config.get("current-context") or "", "context")
    cluster = _named(config, "clusters", chosen.get("cluster", ""), "cluster")
    user = _named(config, "users", chosen["user"], "user") if chosen.get("user") else {}
    if "exec" in user or "auth-provider" in user:
        raise ValueError(f"{file}: credentials of user {chosen['user']} come from a program, which this client does not run")
    server = str(cluster["server"]).rstrip("/")
    token = str(user.get("token") or "")
    if not token and user.get("tokenFile"):
        token = (file.parent / user["tokenFile"]).read_text().strip()
    tls = _tls(file.parent, cluster, user) if server.startswith("https:") else None
    return Connection(server, token, tls, str(chosen.get("namespace") or "default"))


def _named(config: Object, section: str, name: str, field: str) -> Object:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            return dict(entry.get(field) or {})
    raise ValueError(f"the kubeconfig has no {field} {name!r}")


def _tls(folder: pathlib.Path, cluster: Object, user: Object) -> ssl.SSLContext:
    made = ssl.create_default_context()
    authority = _content(folder, cluster, "certificate-authority")
    if authority:
        made = ssl.create_default_context(cadata=authority.decode())
    if cluster.get("insecure-skip-tls-verify"):
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    certificate, key = _content(folder, user, "client-certificate"), _content(folder, user, "client-key")
    if certificate and key:
        # ssl reads these from files only.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            made.load_cert_chain(file.name)
    return made


def _content(folder: pathlib.Path, section: Mapping[str, Json], name: str) -> bytes:
    if section.get(f"{name}-data"):
        return base64.b64decode(section[f"{name}-data"])
    return (folder / section[name]).read_bytes() if section.get(name) else b""


class ApiClient:
    """Use it as a context. Every call raises StatusError for a refusal, and aiohttp's ClientError when no server could be asked."""

    def __init__(self, connection: Connection, *, user_agent: str = "resource-api-client") -> None:
        self._connection = connection
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: str | pathlib.Path, context: str = "") -> Self:
        """See `read_kubeconfig`."""
        return cls(read_kubeconfig(path, context))

    def as_token(self, token: str) -> ApiClient:
        """Another client of the same server with another token."""
        return ApiClient(replace(self._connection, token=token), user_agent=self._user_agent)

    async def __aenter__(self) -> Self:
        headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
        if self._connection.token:
            headers["Authorization"] = f"Bearer {self._connection.token}"
        connector = aiohttp.TCPConnector(ssl=self._connection.tls if self._connection.tls is not None else True, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=LINE_BYTES_MAX)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, kind: Kind, name: str, namespace: str = "", *, subresource: str = "", **options: str) -> Object:
        """One object."""
        return await self.request("GET", kind.path(namespace, name, subresource), options)

    async def list(self, kind: Kind, namespace: str = "", **options: str) -> Object:
        """One page, or all without `limit`; options are the API's: `labelSelector`, `limit`, `continue_`."""
        return await self.request("GET", kind.path(namespace), options)

    async def create(
        self, kind: Kind, obj: Object, namespace: str = "", *, name: str = "", subresource: str = "", **options: str
    ) -> Object:
        """A new object; `name` and `subresource` for actions such as an eviction."""
        return await self.request("POST", kind.path(namespace, name, subresource), options, _encode(obj))

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "", **options: str) -> Object:
        """Replaces the object of its own name and namespace."""
        metadata = obj["metadata"]
        return await self.request("PUT", kind.path(metadata.get("namespace") or "", metadata["name"], subresource), options, _encode(obj))

    async def patch(
        self,
        kind: Kind,
        name: str,
        patch: Json,
        namespace: str = "",
        *,
        content_type: str = "application/merge-patch+json",
        subresource: str = "",
        **options: str,
    ) -> Object:
        """A merge patch, or another kind by its media type."""
        return await self.request("PATCH", kind.path(namespace, name, subresource), options, _encode(patch), content_type)

    async def apply(self, kind: Kind, obj: Object, *, manager: str, force: bool = False, subresource: str = "", **options: str) -> Object:
        """Server-side apply of the fields in `obj`."""
        metadata = obj["metadata"]
        options = {**options, "fieldManager": manager, "force": "true" if force else "false"}
        return await self.patch(
            kind,
            metadata["name"],
            obj,
            metadata.get("namespace") or "",
            content_type="application/apply-patch+yaml",
            subresource=subresource,
            **options,
        )

    async def delete(self, kind: Kind, name: str, namespace: str = "", **options: str) -> Object:
        """A Status, or the object where it is not gone yet or the kind answers it."""
        return await self.request("DELETE", kind.path(namespace, name), options)

    @asynccontextmanager
    async def watch(self, kind: Kind, namespace: str = "", **options: str) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Events until the server ends the watch; raises StatusError for an ERROR event, 410 when the version is too old."""
        session, url = self._opened(kind.path(namespace))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=READ_TIMEOUT_S)
        query = {**_query(options), "watch": "true"}
        async with session.get(url, params=query, timeout=timeout) as answer:
            if answer.status >= 300:
                raise error_of(answer.status, await answer.read())
            yield _events(answer)

    async def request(
        self, method: str, path: str, options: Mapping[str, str] | None = None, body: bytes = b"", content_type: str = "application/json"
    ) -> Object:
        """Any request whose answer is a JSON object; a text comes as `{"text": …}`."""
        session, url = self._opened(path)
        headers = {"Content-Type": content_type} if body else {}
        timeout = aiohttp.ClientTimeout(total=READ_TIMEOUT_S)
        data = aiohttp.BytesPayload(body) if body else None
        async with session.request(method, url, params=_query(options or {}), data=data, headers=headers, timeout=timeout) as answer:
            said = await answer.read()
            if answer.status >= 300:
                raise error_of(answer.status, said)
            if answer.content_type != "application/json":
                return {"text": said.decode(errors="replace")}
            found: Object = _decode(said)
            return found

    def _opened(self, path: str) -> tuple[aiohttp.ClientSession, str]:
        if self._session is None:
            raise RuntimeError("the client is not open; use it in an async with")
        return self._session, self._connection.server + path


def _query(options: Mapping[str, str]) -> dict[str, str]:
    return {name.rstrip("_"): value for name, value in options.items()}


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[WatchEvent]:
    async for line in answer.content:
        event = _decode(line)
        if event["type"] == "ERROR":
            raise error_of(event["object"].get("code", 500), _encode(event["object"]))
        yield WatchEvent(event["type"], event["object"])


def error_of(code: int, body: bytes) -> StatusError:
    """The StatusError of an answer, whatever its body is."""
    try:
        status = _decode(body)
    except msgspec.DecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return StatusError(code, "", body.decode(errors="replace").strip())
    details = status.get("details") or {}
    causes = [Cause(one.get("reason", ""), one.get("message", ""), one.get("field", "")) for one in details.get("causes") or []]
    return StatusError(
        int(status.get("code") or code),
        status.get("reason", ""),
        status.get("message", ""),
        name=details.get("name", ""),
        group=details.get("group", ""),
        kind=details.get("kind", ""),
        uid=details.get("uid", ""),
        causes=causes,
        retry_after_s=details.get("retryAfterSeconds", 0),
        continue_token=(status.get("metadata") or {}).get("continue", ""),
        has_details="details" in status,
    )
