"""How the built-in kinds behave on a write: the status split, generations, which fields a client may not set. Spec B.2, B.5, B.12.

One configurable strategy covers most kinds; the others are subclasses in `core` and `batch`. Which kinds are which
stands in the tables of `registry/builtin.py`. Source: the `strategy.go` of each kind under `pkg/registry`. Pure, in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resource_api.errors import Object
from resource_api.registry.model import Strategy
from resource_api.registry.requests import Context
from resource_api.schema.json_values import copied


@dataclass(frozen=True, slots=True)
class Traits:
    """What distinguishes one kind from the next, where no code is needed."""

    status: bool = False
    """It has a status, which only the status endpoint may write."""
    status_on_create: bool = False
    """A new object may bring its status."""
    generation_of: tuple[str, ...] = ()
    """The fields whose change raises the generation; none: the kind has no generation."""
    create_on_update: bool = False
    unconditional_update: bool = True
    returns_deleted: bool = False
    status_keeps_labels: bool = False
    """The status endpoint does not change labels."""


class BuiltinStrategy(Strategy):
    """See the module.

    Invariants: 1. after `prepare_create` and `prepare_update` the object is defaulted; 2. through a subresource nothing changes but what it
    owns, and metadata.
    """

    def __init__(self, traits: Traits, default: Callable[[Object], None]) -> None:
        self.traits = traits
        self.default = default
        self.create_on_update = traits.create_on_update
        self.unconditional_update = traits.unconditional_update
        self.returns_deleted = traits.returns_deleted

    def prepare_create(self, ctx: Context, obj: Object) -> None:
        """Drops the status, starts the generation."""
        if self.traits.status and not self.traits.status_on_create:
            obj.pop("status", None)
        if self.traits.generation_of:
            obj["metadata"]["generation"] = 1
        else:
            obj["metadata"].pop("generation", None)
        self.created(ctx, obj)
        self.default(obj)

    def prepare_update(self, ctx: Context, obj: Object, old: Object) -> None:
        """Keeps the old status, raises the generation."""
        if self.traits.status:
            keep(obj, old, "status")
        self.updated(ctx, obj, old)
        self.default(obj)
        self._count(obj, old)

    def prepare_subresource(self, ctx: Context, subresource: str, obj: Object, old: Object) -> None:
        """Keeps everything but the status."""
        owned = self.owned_by(subresource)
        for field in obj.keys() | old.keys():
            if field not in owned and field not in ("metadata", "apiVersion", "kind"):
                keep(obj, old, field)
        if self.traits.status_keeps_labels and subresource == "status":
            keep(obj["metadata"], old["metadata"], "labels")
        keep(obj["metadata"], old["metadata"], "generation")

    def owned_by(self, subresource: str) -> tuple[str, ...]:
        """The fields an endpoint may write."""
        return ("status",)

    def created(self, ctx: Context, obj: Object) -> None:
        """What is special to a kind on create, before defaults."""

    def updated(self, ctx: Context, obj: Object, old: Object) -> None:
        """What is special to a kind on update, before defaults and the generation."""

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """Finalizers that may be anybody's."""
        had = set((old or {}).get("metadata", {}).get("finalizers") or ())
        better = "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"
        return [
            f'metadata.finalizers: "{name}": {better}'
            for name in obj["metadata"].get("finalizers") or ()
            if "/" not in name and name not in had and name not in ("orphan", "foregroundDeletion")
        ]

    def _count(self, obj: Object, old: Object) -> None:
        generation = old["metadata"].get("generation")
        if self.traits.generation_of and any(self.relevant(obj, field) != self.relevant(old, field) for field in self.traits.generation_of):
            generation = (generation or 0) + 1
        if generation is None:
            obj["metadata"].pop("generation", None)
        else:
            obj["metadata"]["generation"] = generation

    def relevant(self, obj: Object, field: str) -> object:
        """The part of that field whose change counts; `metadata.labels` names the labels."""
        return obj["metadata"].get("labels") or {} if field == "metadata.labels" else obj.get(field)


def keep(obj: Object, old: Object, field: str) -> None:
    """The field is as it was, or as absent as it was."""
    if field in old:
        obj[field] = copied(old[field])
    else:
        obj.pop(field, None)
