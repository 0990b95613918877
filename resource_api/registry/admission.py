"""The admission seam: what may change or refuse a write after authorization. Plugins live in `security/admission/`.

Two passes, upstream's order (spec D.4): every plugin's `admit`, which may change `obj`, then every plugin's `validate`, which may not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from resource_api.errors import Object
from resource_api.registry.requests import DeleteOptions, User
from resource_api.schema.kinds import ResourceType

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]

Settle = Callable[[bool], Awaitable[None]]
"""Called once after the write with whether it took place (a dry run never does): frees what `admit` took, or makes it final."""


@dataclass(slots=True)
class AdmissionRequest:
    """One write on its way."""

    operation: Operation
    type: ResourceType
    subresource: str
    namespace: str
    name: str
    user: User
    dry_run: bool
    obj: Object | None
    """The new object; None on DELETE."""
    old: Object | None
    """The stored object; None on CREATE."""
    warn: Callable[[str], None]
    delete_options: DeleteOptions | None = None
    settles: list[Settle] = field(default_factory=list)
    """Plugins that take something (addresses, quota) append how to give it back."""


class Plugin(Protocol):
    """One admission plugin. Both methods raise StatusError to refuse."""

    name: str

    def handles(self, request: AdmissionRequest) -> bool:
        """False: neither pass is called."""

    async def admit(self, request: AdmissionRequest) -> None:
        """May change `request.obj`."""

    async def validate(self, request: AdmissionRequest) -> None:
        """May not change anything."""


class Admission:
    """Plugins in order."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self.plugins = tuple(plugins)

    async def admit(self, request: AdmissionRequest) -> None:
        """The mutating pass."""
        for plugin in self.plugins:
            if plugin.handles(request):
                await plugin.admit(request)

    async def validate(self, request: AdmissionRequest) -> None:
        """The validating pass."""
        for plugin in self.plugins:
            if plugin.handles(request):
                await plugin.validate(request)

    async def settle(self, request: AdmissionRequest, *, written: bool) -> None:
        """Tells every plugin that took something how it ended, last first."""
        while request.settles:
            await request.settles.pop()(written)
