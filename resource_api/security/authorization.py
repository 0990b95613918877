"""What is asked of an authorizer and what it answers, and the chain of `--authorization-mode`.

Pure and never waiting: every authorizer decides from what it was told before. Hot path: one call per request.
Source: spec D.3; the texts are those of kube-apiserver's 403.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from resource_api.errors import StatusError, forbidden, shown
from resource_api.registry.requests import MASTERS, User


class Attributes(NamedTuple):
    """One question. `path` is set exactly when no resource is asked for."""

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Decision(NamedTuple):
    """The answer. Neither allowed nor denied: no opinion, the next authorizer is asked."""

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""
    """What went wrong while deciding; shown in reviews as `evaluationError`."""


NO_OPINION = Decision(False)


class Authorizer(Protocol):
    """One way to decide."""

    def authorize(self, attributes: Attributes) -> Decision:
        """Decides at once."""


class Rules(Protocol):
    """Who can also tell everything a user may do (SelfSubjectRulesReview)."""

    def rules_of(self, user: User, namespace: str) -> tuple[list[dict[str, list[str]]], list[str]]:
        """Policy rules in that namespace, and what could not be resolved."""


class AlwaysAllow:
    """Mode AlwaysAllow."""

    def authorize(self, attributes: Attributes) -> Decision:
        """Yes."""
        return Decision(True)

    def rules_of(self, user: User, namespace: str) -> tuple[list[dict[str, list[str]]], list[str]]:
        """Everything."""
        return [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]}], []


class AlwaysDeny:
    """Mode AlwaysDeny: no opinion on anything, which at the end of the chain is no."""

    def authorize(self, attributes: Attributes) -> Decision:
        """No."""
        return Decision(False, "Everything is forbidden.")

    def rules_of(self, user: User, namespace: str) -> tuple[list[dict[str, list[str]]], list[str]]:
        """Nothing."""
        return [], []


class AuthorizerChain:
    """The modes in order: the first that allows or denies wins; `system:masters` may do everything before any is asked."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def authorize(self, attributes: Attributes) -> Decision:
        """See the class."""
        if MASTERS in attributes.user.groups:
            return Decision(True)
        reasons: list[str] = []
        errors: list[str] = []
        for authorizer in self._authorizers:
            decision = authorizer.authorize(attributes)
            if decision.allowed or decision.denied:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
            if decision.error:
                errors.append(decision.error)
        return Decision(False, "\n".join(reasons), error=", ".join(errors)) if reasons or errors else NO_OPINION


def refusal_text(attributes: Attributes) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
    user = shown(attributes.user.name)
    if attributes.path:
        return f"User {user} cannot {attributes.verb} path {shown(attributes.path)}"
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    where = f"in the namespace {shown(attributes.namespace)}" if attributes.namespace else "at the cluster scope"
    return f"User {user} cannot {attributes.verb} resource {shown(resource)} in API group {shown(attributes.group)} {where}"


def refusal(attributes: Attributes, reason: str = "") -> StatusError:
    """The 403 of a request that no authorizer allowed."""
    text = refusal_text(attributes)
    return forbidden(attributes.group, attributes.resource, attributes.name, f"{text}: {reason}" if reason else text)
