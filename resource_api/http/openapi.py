"""OpenAPI v3: the index and one document per group and version, as kubectl's create, apply, diff, edit and explain need them (spec A.3).

Documents are pure functions of the resource types and of the schemas of custom ones; `OpenApi` keeps them, with their hashes, for one set
of types, and takes over from its predecessor what did not change. Building all of them takes 40 ms and 7 MB, and the index needs them all:
the server does it once when it is idle (`prepare`). Knows nothing of connections.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from resource_api.errors import Json, Object
from resource_api.http.discovery import grouped
from resource_api.http.document import Document, document
from resource_api.http.openapi_paths import UNAUTHORIZED, group_path, resource_paths
from resource_api.schema import builtin
from resource_api.schema.builtin import META, REFERENCE
from resource_api.schema.kinds import GroupVersionKind, ResourceType

JSON = "application/json"
INFO = {"title": "Kubernetes", "version": "v1.37.0"}
SECURITY = {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}}
ResourceName = tuple[str, str, str]
"""Group, version, plural."""


@functools.cache
def published_types() -> dict[str, Object]:
    """Every built-in type as it is published: prose added, references that say something of their own wrapped. Read only."""
    prose = builtin.read_part("prose")
    return {name: _published(node, prose.get(name, {})) for name, node in builtin.definitions().items()}


def _published(node: Object, prose: Object) -> Object:
    found = {key: prose[key] for key in ("description",) if key in prose} | node
    found.pop("x-kubernetes-preserve-unknown-fields", None)
    if "properties" in node:
        said = prose.get("properties", {})
        found["properties"] = {name: _wrapped(_with_prose(child, said.get(name, {}))) for name, child in node["properties"].items()}
    return found


def _with_prose(node: Object, prose: Object) -> Object:
    """A property with what is said of it, and of what it holds: the values of an enumeration may stand in a list or a map."""
    inside: Object = {key: {**prose[key], **node[key]} for key in ("items", "additionalProperties") if key in prose}
    return {**prose, **node, **inside}


def _wrapped(node: Object) -> Object:
    """A reference cannot have neighbours in OpenAPI v3."""
    if "$ref" not in node or len(node) == 1:
        return node
    return {key: value for key, value in node.items() if key != "$ref"} | {"allOf": [{"$ref": node["$ref"]}]}


def custom_name(gvk: GroupVersionKind) -> str:
    """The schema's name of a custom kind: `com.example.v1.Widget`."""
    return ".".join([*reversed(gvk.group.split(".")), gvk.version, gvk.kind])


def custom_types(one: ResourceType, schema: Object) -> dict[str, Object]:
    """What a custom kind publishes: the schema of its definition with the members every object has, and its list."""
    name = custom_name(one.gvk)
    base = _embedding({"type": "object", **schema} if schema else {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    said, said_of_lists = _head_prose("ConfigMap"), _head_prose("PodList")
    head = {
        "apiVersion": {"description": said["apiVersion"], "type": "string"},
        "kind": {"description": said["kind"], "type": "string"},
        "metadata": {"description": said["metadata"], "allOf": [{"$ref": REFERENCE + META + "ObjectMeta"}]},
    }
    base["properties"] = {**(base.get("properties") or {}), **head}
    base["x-kubernetes-group-version-kind"] = [{"group": one.group, "kind": one.kind, "version": one.version}]
    items = {"description": f"List of {one.plural}.", "type": "array", "items": {"$ref": REFERENCE + name}}
    listed = {
        "description": f"{one.list_kind} is a list of {one.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": head["apiVersion"],
            "items": items,
            "kind": head["kind"],
            "metadata": {"description": said_of_lists["metadata"], "allOf": [{"$ref": REFERENCE + META + "ListMeta"}]},
        },
        "x-kubernetes-group-version-kind": [{"group": one.group, "kind": one.list_kind, "version": one.version}],
    }
    return {name: base, custom_name(one.gvk._replace(kind=one.list_kind)): listed}


def _head_prose(kind: str) -> dict[str, str]:
    """What a built-in kind says of the members all objects have."""
    members = builtin.read_part("prose")[f"io.k8s.api.core.v1.{kind}"]["properties"]
    return {name: str(members[name]["description"]) for name in ("apiVersion", "kind", "metadata")}


def _embedding(node: Object) -> Object:
    """A copy in which whole objects inside have the members of objects."""
    found = dict(node)
    if isinstance(node.get("properties"), dict):
        found["properties"] = {name: _embedding(child) for name, child in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            found[key] = _embedding(node[key])
    if node.get("x-kubernetes-embedded-resource"):
        members = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
        found["properties"] = {**members, **(found.get("properties") or {})}
    return found


def references(node: Json) -> Iterator[str]:
    """The names a schema or a path refers to."""
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(REFERENCE):
            yield target.removeprefix(REFERENCE)
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def with_referenced(names: Iterable[str], known: Mapping[str, Object]) -> dict[str, Object]:
    """The named schemas and everything they refer to, by name."""
    found: dict[str, Object] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found and name in known:
            found[name] = known[name]
            todo.extend(references(known[name]))
    return dict(sorted(found.items()))


def _read_only(tag: str, name: str, kind: str) -> Object:
    """A path that only says what there is."""
    answer = {"200": {"description": "OK", "content": {JSON: {"schema": {"$ref": REFERENCE + META + kind}}}}, "401": UNAUTHORIZED}
    return {"get": {"tags": [tag], "description": f"get {name}", "operationId": f"get{tag}{kind}", "responses": answer}}


def _whole(paths: Object, schemas: Mapping[str, Object]) -> Object:
    return {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": SECURITY},
    }


@dataclass(frozen=True, slots=True)
class GroupVersion:
    """What one document is made of."""

    group: str
    version: str
    types: tuple[ResourceType, ...]
    schemas: tuple[Object, ...]
    """Of each type: the custom kind's own, empty for built-in ones."""

    def build(self) -> Object:
        """The document of the group and version."""
        known = dict(published_types())
        for one, schema in zip(self.types, self.schemas, strict=True):
            if one.custom:
                known.update(custom_types(one, schema))
        path = "/" + group_path(self.group, self.version) + "/"
        paths: Object = {path: _read_only(self.group + self.version, "available resources", "APIResourceList")}
        for one in self.types:
            paths.update(resource_paths(one, functools.partial(_schema_name, known)))
        return _whole(dict(sorted(paths.items())), with_referenced(references(paths), known))


def _schema_name(known: Mapping[str, Object], gvk: GroupVersionKind) -> str | None:
    custom = custom_name(gvk)
    if custom in known:
        return custom
    try:
        return builtin.definition_name(gvk)
    except KeyError:
        return None


def _fixed(path: str, kind: str) -> Callable[[], Object]:
    def build() -> Object:
        paths = {f"/{path}/": _read_only(path.replace("/", "_"), "what is served", kind)}
        return _whole(paths, with_referenced(references(paths), published_types()))

    return build


def version_document() -> Object:
    """`/version`."""
    name = "io.k8s.apimachinery.pkg.version.Info"
    answer = {"200": {"description": "OK", "content": {JSON: {"schema": {"$ref": REFERENCE + name}}}}, "401": UNAUTHORIZED}
    operation = {"tags": ["version"], "description": "get the version information", "operationId": "getCodeVersion", "responses": answer}
    return _whole({"/version/": {"get": operation}}, {name: published_types()[name]})


class Answer(NamedTuple):
    """What a client is answered."""

    status: Literal[200, 301, 304]
    headers: dict[str, str]
    body: bytes = b""


def _found(found: Document, if_none_match: str, headers: dict[str, str]) -> Answer:
    headers = {"Content-Type": JSON, "Etag": found.etag, "Vary": "Accept"} | headers
    return Answer(304, headers) if found.matches(if_none_match) else Answer(200, headers, found.body)


class OpenApi:
    """The documents of one set of types."""

    def __init__(
        self, types: Iterable[ResourceType], schemas: Mapping[ResourceName, Object] | None = None, previous: OpenApi | None = None
    ) -> None:
        given = schemas or {}
        self._parts: dict[str, GroupVersion] = {}
        self._builders: dict[str, Callable[[], Object]] = {"api": _fixed("api", "APIVersions"), "apis": _fixed("apis", "APIGroupList")}
        for group, versions in grouped(types).items():
            if group:
                self._builders[f"apis/{group}"] = _fixed(f"apis/{group}", "APIGroup")
            for version, members in versions.items():
                own = tuple(given.get((one.group, one.version, one.plural), {}) for one in members)
                part = GroupVersion(group, version, tuple(members), own)
                self._parts[group_path(group, version)] = part
                self._builders[group_path(group, version)] = part.build
        self._builders["version"] = version_document
        self._documents: dict[str, Document] = {}
        if previous is not None:
            self._documents = {path: kept for path, kept in previous._documents.items() if self._unchanged(path, previous)}
        self._index: Document | None = None

    def _unchanged(self, path: str, previous: OpenApi) -> bool:
        return path in self._builders and self._parts.get(path) == previous._parts.get(path)

    def paths(self) -> tuple[str, ...]:
        """What the index lists, sorted."""
        return tuple(sorted(self._builders))

    def document(self, path: str) -> Document | None:
        """The document of `apis/apps/v1`; built on first use, which takes some milliseconds."""
        if path not in self._documents:
            build = self._builders.get(path)
            if build is None:
                return None
            self._documents[path] = document(build())
        return self._documents[path]

    def built(self) -> Iterator[Object]:
        """Every document as a value, made anew; what OpenAPI v2 is made of."""
        for path in self.paths():
            yield self._builders[path]()

    def prepare(self) -> None:
        """Builds every document that is not there yet."""
        self.index()

    def index(self) -> Document:
        """`/openapi/v3`: where the document of each group and version is."""
        if self._index is None:
            entries = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._digest(path)}"} for path in self.paths()}
            self._index = document({"paths": entries})
        return self._index

    def _digest(self, path: str) -> str:
        return cast(Document, self.document(path)).digest

    def answer_index(self, if_none_match: str = "") -> Answer:
        """To `/openapi/v3`."""
        return _found(self.index(), if_none_match, {})

    def answer(self, path: str, digest: str = "", *, if_none_match: str = "", expires_http: str = "") -> Answer | None:
        """To `/openapi/v3/PATH?hash=DIGEST`; None is 404. What has the right hash never changes, a wrong one leads to the right one.

        `expires_http` is the date one year from now as HTTP writes dates; the clock is the caller's.
        """
        found = self.document(path)
        if found is None:
            return None
        if digest and digest != found.digest:
            return Answer(301, {"Location": f"/openapi/v3/{path}?hash={found.digest}"})
        return _found(found, if_none_match, {"Cache-Control": "public, immutable", "Expires": expires_http} if digest else {})
