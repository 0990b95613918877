"""The shape of a value: one node class for built-in types and for custom ones, walked by patches, pruning, protobuf and OpenAPI.

Nodes are immutable after they are built; references between types are resolved on first use, because types contain themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from resource_api.errors import Json

Shape = Literal["object", "array", "string", "integer", "number", "boolean", "any"]
"""`object` with properties is a struct, with `additional` a map, with neither a free object; `any` takes every JSON value."""

SCALARS = frozenset({"string", "integer", "number", "boolean"})


class Schema:
    """One node.

    Invariants: 1. `items` is set exactly on arrays; 2. a node has `properties` or `additional`, never both; 3. map keys are set
    exactly when `list_type` is "map".
    """

    __slots__ = (
        "_loader",
        "_properties",
        "additional",
        "default",
        "description",
        "embedded",
        "enum",
        "format",
        "int_or_string",
        "items",
        "list_map_keys",
        "list_type",
        "map_type",
        "name",
        "nullable",
        "patch_merge_key",
        "patch_strategy",
        "preserve_unknown",
        "required",
        "shape",
    )

    def __init__(
        self,
        shape: Shape,
        *,
        name: str = "",
        properties: Mapping[str, Schema] | None = None,
        loader: Callable[[], Mapping[str, Schema]] | None = None,
        items: Schema | None = None,
        additional: Schema | None = None,
        required: tuple[str, ...] = (),
        format: str = "",
        enum: tuple[str, ...] = (),
        default: Json = None,
        nullable: bool = False,
        int_or_string: bool = False,
        preserve_unknown: bool = False,
        embedded: bool = False,
        list_type: Literal["atomic", "set", "map"] = "atomic",
        list_map_keys: tuple[str, ...] = (),
        map_type: Literal["granular", "atomic"] = "granular",
        patch_strategy: tuple[str, ...] = (),
        patch_merge_key: str = "",
        description: str = "",
    ) -> None:
        self.shape = shape
        self.name = name
        """Full name of a named type (`io.k8s.api.core.v1.PodSpec`), empty for others."""
        self._properties = properties
        self._loader = loader
        self.items = items
        self.additional = additional
        self.required = required
        self.format = format
        self.enum = enum
        self.default = default
        """The schema's own default; for built-ins only those that are part of a list's key."""
        self.nullable = nullable
        self.int_or_string = int_or_string
        self.preserve_unknown = preserve_unknown
        self.embedded = embedded
        self.list_type = list_type
        self.list_map_keys = list_map_keys
        self.map_type = map_type
        self.patch_strategy = patch_strategy
        """`("merge",)`, `("merge", "retainKeys")`, `("replace",)` or nothing, of the field that holds this node."""
        self.patch_merge_key = patch_merge_key
        self.description = description

    @property
    def properties(self) -> Mapping[str, Schema]:
        """The fields of a struct; empty for everything else."""
        if self._properties is None:
            self._properties = self._loader() if self._loader is not None else {}
        return self._properties

    def __repr__(self) -> str:
        return f"<Schema {self.name or self.shape}>"


ANY = Schema("any", preserve_unknown=True)
"""Takes everything."""

FREE_OBJECT = Schema("object", preserve_unknown=True)
"""An object of which nothing is known."""
