"""The admission seam: what may change or refuse a write after authorization. Plugins live in `security/admission/`.

Two passes, upstream's order (spec D.4): every plugin's `admit`, which may change `obj`, then every plugin's `validate`, which may not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from resource_api.errors import Object, StatusError
from resource_api.registry.requests import DeleteOptions, User
from resource_api.registry.store import OutcomeUnknownError, StoreError
from resource_api.schema.kinds import ResourceType

log = logging.getLogger("resource_api")

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]

Settle = Callable[[bool], Awaitable[None]]
"""Called once after the write with whether it took place or may have (a dry run never does): frees what `admit` took, or makes it final.
A write whose outcome nobody knows counts as one that took place; who frees something on that asks the store what stands there."""

SETTLE_TIMEOUT_S = 5.0
"""For all that is to be given back after one write; what is not given back then is found by whoever repairs."""


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


@dataclass(slots=True)
class Outcome:
    """What became of a write."""

    written: bool = False
    in_store: bool = False
    """The store has been asked to write, and has not answered yet."""


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

    @asynccontextmanager
    async def settling(self, request: AdmissionRequest) -> AsyncIterator[Outcome]:
        """Around one write: tells every plugin that took something how it ended, last first. What fails then changes no answer."""
        outcome = Outcome()
        try:
            yield outcome
        except (OutcomeUnknownError, asyncio.CancelledError):
            outcome.written = outcome.written or outcome.in_store
            raise
        finally:
            if request.settles:
                await self.settle(request, written=outcome.written)

    async def settle(self, request: AdmissionRequest, *, written: bool) -> None:
        """See `settling`."""
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                while request.settles:
                    try:
                        await request.settles.pop()(written)
                    except (StatusError, StoreError) as error:
                        fields = {"resource": request.type.group_resource, "name": request.name, "error": str(error)}
                        log.warning("what a write took could not be given back", extra={"fields": fields})
        except TimeoutError:
            log.warning("what a write took was not given back in time", extra={"fields": {"resource": request.type.group_resource}})
