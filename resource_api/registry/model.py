"""What the request pipeline asks of a kind: its shape, its defaults, its rules. One Model per resource, built-in or custom.

SEAM between `resource.py` (the same for every kind) and what is special to one. Methods work on decoded objects in the resource's own
version, change them in place where they say so, and never wait.
"""

from __future__ import annotations

from typing import Protocol

from resource_api.errors import FieldError, Object
from resource_api.registry.requests import Context, DeleteOptions
from resource_api.schema.kinds import ResourceType
from resource_api.schema.types import Schema


class Strategy:
    """What upstream's per-kind strategies decide. The methods here are the rule of most kinds; subclasses say otherwise."""

    create_on_update = False
    """PUT to a missing name creates it."""
    unconditional_update = True
    """PUT without resourceVersion is allowed."""
    returns_deleted = False
    """DELETE answers the object and not a Status."""
    default_propagation = "Background"

    def prepare_create(self, ctx: Context, obj: Object) -> None:
        """Before validation of a new object: drops what a client may not set (status), sets generation."""

    def prepare_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """Before validation of a changed one, at the main endpoint: keeps the old status, raises the generation."""

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """Before validation of one changed through `status`, `approval`, `resize` …: keeps everything that endpoint does not own."""

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Texts for Warning headers; `old` is None on create."""
        return []

    def grace_period_s(self, obj: Object, options: DeleteOptions) -> int:
        """How long a deletion waits for somebody to finish it; 0: not at all. Only pods have any."""
        return 0

    def finalizers(self, obj: Object) -> list[str]:
        """Who must still do something before a deleted object goes. A namespace has its own besides those of metadata."""
        return list(obj["metadata"].get("finalizers") or [])

    def on_marked(self, obj: Object) -> None:
        """The object has just got its deletionTimestamp and is kept: a namespace shows that it is terminating."""

    def check_delete(self, obj: Object) -> None:
        """Raises StatusError when this object may not be deleted."""


class Model(Protocol):
    """See the module."""

    type: ResourceType
    strategy: Strategy

    @property
    def schema(self) -> Schema:
        """Of the whole object."""

    def default(self, obj: Object) -> None:
        """Fills in defaults, in place; twice changes nothing more."""

    def prune(self, obj: Object) -> list[str]:
        """Removes fields the kind does not have, in place; their paths as strict decoding names them: `spec.containers[0].foo`."""

    def check_name(self, name: str, *, prefix: bool = False) -> list[str]:
        """Why the name (or generateName prefix) cannot be one of this kind; nothing when it can."""

    def validate(self, obj: Object, old: Object | None, subresource: str = "") -> list[FieldError]:
        """Everything wrong with a new object (`old` None) or a changed one, metadata excepted."""

    def from_storage(self, obj: Object) -> Object:
        """A stored object in this resource's version, defaulted where the kind defaults on read. May be the same object."""

    def to_storage(self, obj: Object) -> Object:
        """The object in the version it is stored in. May be the same object."""
