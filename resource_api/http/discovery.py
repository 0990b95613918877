"""What the server serves, as clients ask for it: groups, versions and resources, in the legacy form and aggregated (spec A.1, A.2).

Plain functions of the resource types, and one class that keeps the encoded documents until the set of types changes. Knows nothing of
connections: status, headers and negotiation are the handlers'.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence

from resource_api.errors import Object
from resource_api.http.document import Document, document
from resource_api.schema.kinds import GroupVersionKind, ResourceType

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""The media type of the aggregated form, as it is asked for and answered."""

_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes does: v2, v1, v1beta1, v1alpha1, then everything else by name."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return 3, 0, 0, version
    major, stage, minor = match.groups()
    return {None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), ""


def grouped(types: Iterable[ResourceType]) -> dict[str, dict[str, list[ResourceType]]]:
    """Types by group and version: built-in groups in the order given, others by name; versions newest first; resources by name."""
    built_in: dict[str, list[ResourceType]] = {}
    others: dict[str, list[ResourceType]] = {}
    for one in types:
        (others if one.custom and one.group not in built_in else built_in).setdefault(one.group, []).append(one)
    found: dict[str, dict[str, list[ResourceType]]] = {}
    for group, members in [*built_in.items(), *sorted(others.items())]:
        versions = sorted({one.version for one in members}, key=version_rank)
        found[group] = {version: sorted((one for one in members if one.version == version), key=_by_plural) for version in versions}
    return found


def _by_plural(one: ResourceType) -> str:
    return one.plural


def storage_version_hash(one: ResourceType) -> str:
    """Says whether the stored version changed; empty for what is not stored."""
    if not one.storage_path:
        return ""
    stored = one.stored_as or one.gvk
    return base64.b64encode(hashlib.sha256("/".join(stored).encode()).digest()[:8]).decode()


def api_resources(types: Sequence[ResourceType]) -> list[Object]:
    """The resources and subresources of one version as APIResource."""
    entries = []
    for one in types:
        entry: Object = {"name": one.plural, "singularName": one.singular, "namespaced": one.namespaced, "kind": one.kind}
        entry["verbs"] = list(one.verbs)
        if one.short_names:
            entry["shortNames"] = list(one.short_names)
        if one.categories:
            entry["categories"] = list(one.categories)
        if one.storage_path:
            entry["storageVersionHash"] = storage_version_hash(one)
        entries.append(entry)
        for name, sub in sorted(one.subresources.items()):
            entry = {"name": f"{one.plural}/{name}", "singularName": "", "namespaced": one.namespaced}
            if (sub.kind.group, sub.kind.version) != (one.group, one.version):
                entry |= {"group": sub.kind.group, "version": sub.kind.version}
            entries.append(entry | {"kind": sub.kind.kind, "verbs": list(sub.verbs)})
    return entries


def api_group(name: str, versions: Iterable[str]) -> Object:
    """A group as APIGroup, without kind."""
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": served, "preferredVersion": served[0]}


def _kind(gvk: GroupVersionKind) -> Object:
    return {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}


def aggregated_resource(one: ResourceType) -> Object:
    """A resource as APIResourceDiscovery."""
    entry: Object = {"resource": one.plural, "responseKind": _kind(one.gvk), "scope": "Namespaced" if one.namespaced else "Cluster"}
    entry |= {"singularResource": one.singular, "verbs": list(one.verbs)}
    if one.short_names:
        entry["shortNames"] = list(one.short_names)
    if one.categories:
        entry["categories"] = list(one.categories)
    if one.subresources:
        entry["subresources"] = [
            {"subresource": name, "responseKind": _kind(sub.kind), "verbs": list(sub.verbs)}
            for name, sub in sorted(one.subresources.items())
        ]
    return entry


def aggregated_group(name: str, versions: dict[str, list[ResourceType]]) -> Object:
    """A group as APIGroupDiscovery."""
    served = [
        {"version": version, "resources": [aggregated_resource(one) for one in types], "freshness": "Current"}
        for version, types in versions.items()
    ]
    return {"metadata": {"name": name, "creationTimestamp": None}, "versions": served} if name else {"metadata": {}, "versions": served}


class Discovery:
    """The documents of one set of types; made anew when the set changes. Each document is encoded on first use."""

    def __init__(self, types: Iterable[ResourceType]) -> None:
        self._groups = grouped(types)
        self._documents: dict[str, Document] = {}

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Every group and its versions, in order; the core group is the empty one."""
        return {group: tuple(versions) for group, versions in self._groups.items()}

    def _kept(self, key: str, value: Object) -> Document:
        if key not in self._documents:
            self._documents[key] = document(value)
        return self._documents[key]

    def api_versions(self, server_address: str) -> Document:
        """`/api`: the core group's versions, and where a client reaches the server (host and port)."""
        versions = list(self._groups.get("", ()))
        reach = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]
        return self._kept(f"versions {server_address}", {"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": reach})

    def group_list(self) -> Document:
        """`/apis`: every named group."""
        groups = [api_group(name, versions) for name, versions in self._groups.items() if name]
        return self._kept("groups", {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    def group(self, name: str) -> Document | None:
        """`/apis/NAME`."""
        if not name or name not in self._groups:
            return None
        return self._kept(f"group {name}", {"kind": "APIGroup", "apiVersion": "v1", **api_group(name, self._groups[name])})

    def resource_list(self, group: str, version: str) -> Document | None:
        """`/api/v1`, `/apis/GROUP/VERSION`."""
        types = self._groups.get(group, {}).get(version)
        if types is None:
            return None
        said: Object = {"kind": "APIResourceList", "apiVersion": "v1"} if group else {"kind": "APIResourceList"}
        said |= {"groupVersion": f"{group}/{version}" if group else version, "resources": api_resources(types)}
        return self._kept(f"resources {group}/{version}", said)

    def aggregated(self, *, core: bool) -> Document:
        """The aggregated form of `/api` (`core`) or of `/apis`, for `AGGREGATED`; it has an ETag, varies by Accept and is public."""
        key = f"aggregated {core}"
        if key not in self._documents:
            items = [aggregated_group(name, versions) for name, versions in self._groups.items() if (name == "") == core]
            said = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
            self._documents[key] = document(said)
        return self._documents[key]
