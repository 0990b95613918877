"""The operations of a resource as OpenAPI v3 describes them: paths, parameters, bodies, what kubectl looks for in each (spec A.3).

kubectl finds an operation by its `x-kubernetes-group-version-kind`, validates only where PATCH has a query parameter `fieldValidation`, and
merges by the schema only where PATCH takes `application/strategic-merge-patch+json`. Plain functions of a resource type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from resource_api.errors import Json, Object
from resource_api.schema.builtin import META, REFERENCE
from resource_api.schema.kinds import GroupVersionKind, ResourceType, Subresource

PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
BODIES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
STREAMS = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
ACTIONS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get", "list": "list"}
METHODS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get"}
CONNECTED = frozenset({"attach", "exec", "portforward", "proxy"})

NameOf = Callable[[GroupVersionKind], str | None]
"""A kind's name among the schemas; None for kinds that are only query parameters."""


def _parameter(name: str, kind: str, description: str, where: str = "query") -> Object:
    found: Object = {"name": name, "in": where, "description": description, "schema": {"type": kind, "uniqueItems": True}}
    return found | {"required": True} if where == "path" else found


PRETTY = _parameter("pretty", "string", "Whether the answer is indented.")
DRY_RUN = _parameter("dryRun", "string", "All: everything is done but the write.")
MANAGER = _parameter("fieldManager", "string", "Who makes the change, in managedFields; at most 128 printable characters.")
VALIDATION = _parameter("fieldValidation", "string", "What unknown and duplicate fields lead to: Ignore, Warn or Strict.")
FORCE = _parameter("force", "boolean", "Whether an apply takes over fields that others own.")
WRITING = [DRY_RUN, MANAGER, VALIDATION]
LISTING = [
    _parameter("allowWatchBookmarks", "boolean", "Whether a watch may send BOOKMARK events."),
    _parameter("continue", "string", "Where the last page ended, as it said."),
    _parameter("fieldSelector", "string", "Which objects, by fields."),
    _parameter("labelSelector", "string", "Which objects, by labels."),
    _parameter("limit", "integer", "How many objects a page has at most."),
    _parameter("resourceVersion", "string", "How old the answer may be, or where a watch begins."),
    _parameter("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    _parameter("sendInitialEvents", "boolean", "Whether a watch begins with the objects there are."),
    _parameter("timeoutSeconds", "integer", "How long a list or a watch may take."),
    _parameter("watch", "boolean", "Changes instead of a list."),
]
DELETING = [
    DRY_RUN,
    _parameter("gracePeriodSeconds", "integer", "How long the object may take to end; zero is at once."),
    _parameter("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", "Whether an object that cannot be read is deleted."),
    _parameter("orphanDependents", "boolean", "Whether dependents stay; give propagationPolicy instead."),
    _parameter("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
]
NAMESPACE = _parameter("namespace", "string", "The namespace of the object.", "path")
UNAUTHORIZED: Object = {"description": "Unauthorized"}


def group_path(group: str, version: str) -> str:
    """Where a version of a group is served, without a slash before it: `api/v1`, `apis/apps/v1`."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _words(text: str) -> str:
    """`rbac.authorization.k8s.io` → `RbacAuthorization`, `v1beta1` → `V1beta1`."""
    short = text.removesuffix(".k8s.io")
    return "".join(part[:1].upper() + part[1:] for part in short.replace("-", ".").replace("/", ".").split("."))


def _kind(gvk: GroupVersionKind) -> Object:
    return {"group": gvk.group, "kind": gvk.kind, "version": gvk.version}


def _content(name: str | None, media: tuple[str, ...]) -> Object:
    schema: Object = {"$ref": REFERENCE + name} if name else {"type": "string"}
    return {kind: {"schema": schema} for kind in media} if name else {"*/*": {"schema": schema}}


class _Operations:
    """Makes the operations of one resource."""

    def __init__(self, resource: ResourceType, name_of: NameOf) -> None:
        self.resource = resource
        self.name_of = name_of
        self.tag = _words(resource.group or "core")[:1].lower() + _words(resource.group or "core")[1:] + "_" + resource.version

    def operation(
        self, verb: str, gvk: GroupVersionKind, part: str, parameters: list[Object], *, answer: str | None, body: Json = None
    ) -> Object:
        """One operation; `answer` names the schema of what is answered."""
        one = self.resource
        scope = "Namespaced" if one.namespaced and part != "ForAllNamespaces" else ""
        verb_word = {"update": "replace", "get": "read", "deletecollection": "deleteCollection"}.get(verb, verb)
        said = f"{verb_word}{_words(one.group or 'core')}{_words(one.version)}{scope}{one.kind}{part}"
        media = (*BODIES, *STREAMS) if verb == "list" else BODIES
        codes = {"create": ("200", "201", "202"), "update": ("200", "201"), "patch": ("200", "201"), "delete": ("200", "202")}
        found: Object = {
            "tags": [self.tag],
            "description": f"{verb_word} {one.kind}{' ' + part if part else ''}",
            "operationId": said,
            "responses": {code: {"description": "OK", "content": _content(answer, media)} for code in codes.get(verb, ("200",))},
        }
        found["responses"]["401"] = UNAUTHORIZED
        if parameters:
            found["parameters"] = parameters
        if body is not None:
            found["requestBody"] = body
        return found | {"x-kubernetes-action": ACTIONS.get(verb, verb), "x-kubernetes-group-version-kind": _kind(gvk)}

    def write(self, verb: str, gvk: GroupVersionKind, part: str) -> Object:
        """POST, PUT or PATCH of one kind."""
        name = self.name_of(gvk)
        if verb != "patch":
            body = {"content": _content(name, BODIES), "required": True}
            return self.operation(verb, gvk, part, WRITING, answer=name, body=body)
        media = PATCHES[:3] if self.resource.custom else PATCHES
        body = {"content": _content(META + "Patch", media), "required": True}
        return self.operation(verb, gvk, part, [*WRITING, FORCE], answer=name, body=body)

    def remove(self, verb: str, part: str = "") -> Object:
        """DELETE of one or of many; bodies are optional."""
        body = {"content": _content(META + "DeleteOptions", BODIES)}
        listing = LISTING if verb == "deletecollection" else []
        return self.operation(verb, self.resource.gvk, part, [*DELETING, *listing], answer=META + "Status", body=body)

    def collection(self, parameters: list[Object]) -> Object:
        """The path of all objects of a namespace, or of a cluster-scoped kind."""
        one = self.resource
        item: Object = {"parameters": parameters}
        if "list" in one.verbs:
            item["get"] = self.operation("list", one.gvk, "", LISTING, answer=self.name_of(one.gvk._replace(kind=one.list_kind)))
        if "create" in one.verbs:
            item["post"] = self.write("create", one.gvk, "")
        if "deletecollection" in one.verbs:
            item["delete"] = self.remove("deletecollection")
        return item

    def single(self, parameters: list[Object]) -> Object:
        """The path of one object."""
        one = self.resource
        item: Object = {"parameters": parameters}
        if "get" in one.verbs:
            item["get"] = self.operation("get", one.gvk, "", [], answer=self.name_of(one.gvk))
        for verb in ("update", "patch"):
            if verb in one.verbs:
                item[METHODS[verb]] = self.write(verb, one.gvk, "")
        if "delete" in one.verbs:
            item["delete"] = self.remove("delete")
        return item

    def below(self, sub: Subresource, parameters: list[Object]) -> Object:
        """The path of a subresource."""
        item: Object = {"parameters": parameters}
        for verb in sub.verbs:
            part = _words(sub.name)
            if sub.name in CONNECTED:
                item[METHODS[verb]] = self.operation("connect", sub.kind, f"{part}By{_words(verb)}", [], answer=None)
            elif sub.name == "log":
                item["get"] = self.operation("get", sub.kind, part, [], answer=None)
            elif verb == "get":
                item["get"] = self.operation(verb, sub.kind, part, [], answer=self.name_of(sub.kind))
            elif verb in ("create", "update", "patch"):
                item[METHODS[verb]] = self.write(verb, sub.kind, part)
        return item


def resource_paths(resource: ResourceType, name_of: NameOf) -> Iterator[tuple[str, Object]]:
    """Every path of a resource and what can be done there."""
    make = _Operations(resource, name_of)
    root = "/" + group_path(resource.group, resource.version)
    plural = resource.plural
    base, held = (f"{root}/namespaces/{{namespace}}/{plural}", [NAMESPACE]) if resource.namespaced else (f"{root}/{plural}", [])
    if {"list", "create", "deletecollection"} & set(resource.verbs):
        yield base, make.collection([*held, PRETTY])
    if resource.namespaced and "list" in resource.verbs:
        answer = name_of(resource.gvk._replace(kind=resource.list_kind))
        listed = make.operation("list", resource.gvk, "ForAllNamespaces", LISTING, answer=answer)
        yield f"{root}/{plural}", {"parameters": [PRETTY], "get": listed}
    named = [_parameter("name", "string", f"The name of the {resource.kind}.", "path"), *held, PRETTY]
    if {"get", "delete"} & set(resource.verbs):
        yield f"{base}/{{name}}", make.single(named)
    for name, sub in sorted(resource.subresources.items()):
        yield f"{base}/{{name}}/{name}", make.below(sub, named)
