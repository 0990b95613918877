"""What a request is to the registry: who asks, with which options. Built by the HTTP face and by controllers; plain data.

Options are the decoded `CreateOptions`, `UpdateOptions`, `PatchOptions`, `DeleteOptions` and `ListOptions` of meta/v1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from resource_api.errors import Object

FieldValidation = Literal["Ignore", "Warn", "Strict"]
Propagation = Literal["", "Orphan", "Background", "Foreground"]


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as authentication found them."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def info(self) -> Object:
        """As `authentication.k8s.io` writes a user in reviews and requests."""
        info: Object = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {name: list(values) for name, values in self.extra.items()}
        return info


MASTERS = "system:masters"
"""The group that may do everything."""

LOOPBACK = User("system:apiserver", (MASTERS, "system:authenticated"))
"""What the server does of itself is done as this user."""


def ignore_warning(text: str) -> None:
    """Nobody hears it."""


@dataclass(frozen=True, slots=True)
class Context:
    """One request."""

    user: User
    namespace: str = ""
    """Of the URL; empty for cluster-scoped resources and for lists of all namespaces."""
    field_manager: str = ""
    """Of the query; `user_agent` stands in when it is empty."""
    user_agent: str = ""
    dry_run: bool = False
    now: str = ""
    """When an object is being prepared, for what the server stamps; set by the pipeline, RFC 3339."""
    field_validation: FieldValidation = "Warn"
    warn: Callable[[str], None] = ignore_warning
    """Takes the text of one `Warning` header."""
    body_bytes: int = 0
    """Of the request's body: work on a large one is done where it holds nobody up."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How an object is to go."""

    grace_period_s: int | None = None
    propagation: Propagation = ""
    orphan_dependents: bool | None = None
    precondition_uid: str | None = None
    precondition_resource_version: str | None = None
    ignore_store_read_error: bool = False


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which objects of a collection, at which version, how many at once; the watch's part of it too."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: Literal["", "Exact", "NotOlderThan"] = ""
    timeout_s: int | None = None
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None


class Action(Protocol):
    """POST to a subresource that is no part of the object."""

    async def __call__(self, ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        """Status code and answer. Raises StatusError."""


ActionName = tuple[str, str, str]
"""Group, plural and subresource of what an action is done on."""

OWN = ""
"""In place of a subresource: the action of a POST to the collection itself."""


def loopback(namespace: str = "", manager: str = "resource-api") -> Context:
    """The server's own requests."""
    return Context(LOOPBACK, namespace, field_manager=manager, field_validation="Ignore")
