"""Resources that are posted to and stored nowhere, as actions: reviews, tokens, bindings, evictions. Composition only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resource_api.errors import Object
from resource_api.registry.pods import Binding, Eviction
from resource_api.registry.requests import Context
from resource_api.registry.resource import Action
from resource_api.security import reviews
from resource_api.security.authn import Authenticator
from resource_api.security.authorization import Authorizer, Rules
from resource_api.security.tokens import TokenIssuer

if TYPE_CHECKING:
    from resource_api.registry.api import Api

OWN = ""
"""The action of a POST to the collection itself."""

AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"


def install(api: Api, authorizer: Authorizer, rules: tuple[Rules, ...], authenticator: Authenticator, issuer: TokenIssuer) -> None:
    """Gives every such resource its action."""

    async def self_access(ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        return 201, reviews.self_subject_access_review(body, ctx.user, authorizer)

    async def access(ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        return 201, reviews.subject_access_review(body, authorizer)

    async def local_access(ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        return 201, reviews.subject_access_review(body, authorizer, namespace=ctx.namespace)

    async def self_rules(ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        return 201, reviews.self_subject_rules_review(body, ctx.user, rules)

    async def self_review(ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        return 201, reviews.self_subject_review(body, ctx.user)

    async def token_review(ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        return 201, await reviews.token_review(body, authenticator)

    async def token_request(ctx: Context, name: str, body: Object) -> tuple[int, Object]:
        return 201, await issuer.request(ctx.namespace, name, body)

    pods = api.find("", "pods")
    actions: list[tuple[str, str, str, Action]] = [
        (AUTHORIZATION, "selfsubjectaccessreviews", OWN, self_access),
        (AUTHORIZATION, "subjectaccessreviews", OWN, access),
        (AUTHORIZATION, "localsubjectaccessreviews", OWN, local_access),
        (AUTHORIZATION, "selfsubjectrulesreviews", OWN, self_rules),
        (AUTHENTICATION, "selfsubjectreviews", OWN, self_review),
        (AUTHENTICATION, "tokenreviews", OWN, token_review),
        ("", "serviceaccounts", "token", token_request),
        ("", "bindings", OWN, Binding(pods)),
        ("", "pods", "binding", Binding(pods)),
        ("", "pods", "eviction", Eviction(api, pods)),
    ]
    for group, plural, subresource, action in actions:
        api.find(group, plural).actions[subresource] = action
