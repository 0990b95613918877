"""Questions about access that are posted and stored nowhere, and tokens of service accounts, as actions. Composition only."""

from __future__ import annotations

from resource_api.errors import Object
from resource_api.registry.requests import OWN, Action, ActionName, Context
from resource_api.security import reviews
from resource_api.security.authn import Authenticator
from resource_api.security.authorization import Authorizer, Rules
from resource_api.security.tokens import TokenIssuer

AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"


def review_actions(
    authorizer: Authorizer, rules: tuple[Rules, ...], authenticator: Authenticator, issuer: TokenIssuer
) -> dict[ActionName, Action]:
    """What a POST to each such resource does."""

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

    return {
        (AUTHORIZATION, "selfsubjectaccessreviews", OWN): self_access,
        (AUTHORIZATION, "subjectaccessreviews", OWN): access,
        (AUTHORIZATION, "localsubjectaccessreviews", OWN): local_access,
        (AUTHORIZATION, "selfsubjectrulesreviews", OWN): self_rules,
        (AUTHENTICATION, "selfsubjectreviews", OWN): self_review,
        (AUTHENTICATION, "tokenreviews", OWN): token_review,
        ("", "serviceaccounts", "token"): token_request,
    }
