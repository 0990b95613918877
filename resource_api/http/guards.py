"""The chain's guards made of the server's security: credentials out of a request, and attributes out of what it asks for. Hot path."""

from __future__ import annotations

from resource_api.http.chain import Guards
from resource_api.http.messages import Request
from resource_api.http.request import RequestInfo
from resource_api.registry.requests import User
from resource_api.security.authn import Authenticator, Credentials
from resource_api.security.authorization import Attributes, Authorizer, refusal
from resource_api.security.impersonation import impersonate

LISTING_VERBS = ("list", "watch", "deletecollection")


def guards(authenticator: Authenticator, authorizer: Authorizer) -> Guards:
    """Authentication by credentials, impersonation and authorization by one authorizer."""

    async def authenticate(request: Request) -> User:
        certificate = request.peer_certificate()
        protocols = request.headers.get("Sec-WebSocket-Protocol", "")
        return await authenticator.authenticate(
            Credentials(
                authorization=request.headers.get("Authorization", ""),
                websocket_protocols=tuple(part.strip() for part in protocols.split(",")) if protocols else (),
                certificate=certificate,
                headers=request.header_lists() if certificate is not None else {},
            )
        )

    async def become(request: Request, user: User) -> User:
        headers = request.header_lists("impersonate-")
        return impersonate(user, headers, authorizer) if headers else user

    async def authorize(user: User, info: RequestInfo) -> None:
        asked = attributes(user, info)
        decision = authorizer.authorize(asked)
        if not decision.allowed:
            raise refusal(asked, decision.reason)

    return Guards(authenticate, become, authorize)


def attributes(user: User, info: RequestInfo) -> Attributes:
    """What the authorizer is asked."""
    if not info.is_resource:
        return Attributes(user, info.verb, path=info.path)
    name = info.name or (info.field_name if info.verb in LISTING_VERBS else "")
    return Attributes(user, info.verb, info.group, info.version, info.resource, info.subresource, info.namespace, name)
