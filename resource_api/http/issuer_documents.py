"""What others verify service account tokens with: `/.well-known/openid-configuration` and `/openid/v1/jwks` (spec D.2)."""

from __future__ import annotations

from collections.abc import Callable

from resource_api.http.messages import JSON, Answer, Handler, Request, Response
from resource_api.http.representation import encode_json
from resource_api.http.routes import Routes
from resource_api.security.tokens import TokenIssuer

JWKS_PATH = "/openid/v1/jwks"
JWKS_TYPE = "application/jwk-set+json"
KEPT = [("Cache-Control", "public, max-age=3600")]


def install(routes: Routes, issuer: TokenIssuer, address: Callable[[], str]) -> None:
    """Adds both paths; `address` is host and port where the server is reached."""

    def configuration() -> Response:
        body = encode_json(issuer.openid_configuration(f"https://{address()}{JWKS_PATH}"))
        return Response(200, body, JSON, list(KEPT))

    def keys() -> Response:
        return Response(200, encode_json(issuer.jwks()), JWKS_TYPE, list(KEPT))

    routes.add("/.well-known/openid-configuration", _answering(configuration))
    routes.add(JWKS_PATH, _answering(keys))


def _answering(make: Callable[[], Response]) -> Handler:
    async def answer(request: Request) -> Answer:
        return make()

    return answer
