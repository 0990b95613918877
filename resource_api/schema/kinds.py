"""What a resource is to the API: its names, its scope, its verbs, its subresources. Built-in and custom alike; plain data.

Both `events` resources, and both versions of the HorizontalPodAutoscaler, are one storage seen through two types: they share `stored_as`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from resource_api.errors import qualified

if TYPE_CHECKING:
    from resource_api.schema.printer_columns import PrinterColumns

FULL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
"""Sorted, as discovery lists them."""


class GroupVersionKind(NamedTuple):
    """A type; the core group is empty."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """`apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Subresource:
    """`pods/eviction`: what it takes and gives, and by which verbs."""

    name: str
    kind: GroupVersionKind
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One resource of one version of one group."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...] = FULL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, Subresource] = field(default_factory=dict)
    storage_path: str = ""
    """The key below the prefix, without slashes at its ends: `pods`, `services/specs`, `example.com/widgets`."""
    stored_as: GroupVersionKind | None = None
    """The version values are stored in, where it is not this one."""
    custom: bool = False
    own_list_kind: str = ""
    """The kind of a list of them, where it is not the kind with `List`."""
    columns: PrinterColumns | None = field(default=None, compare=False, repr=False)
    """Of a custom kind's tables, as its definition had them when this was served: a watch ends with the columns it began with."""

    @property
    def gvk(self) -> GroupVersionKind:
        """Group, version and kind."""
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def api_version(self) -> str:
        """`apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        """The kind of a list of them."""
        return self.own_list_kind or self.kind + "List"

    @property
    def group_resource(self) -> str:
        """`deployments.apps`, `pods`."""
        return qualified(self.plural, self.group)
