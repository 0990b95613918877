"""What others verify service account tokens with: `/.well-known/openid-configuration` and `/openid/v1/jwks` (spec D.2)."""

from __future__ import annotations

from collections.abc import Callable

from resource_api.errors import Object
from resource_api.http.messages import JSON, Answer, Handler, Request, Response
from resource_api.http.representation import encode_json
from resource_api.http.routes import Routes

JWKS_PATH = "/openid/v1/jwks"
JWKS_TYPE = "application/jwk-set+json"
KEPT = [("Cache-Control", "public, max-age=3600")]


def install(routes: Routes, configuration: Callable[[str], Object], keys: Callable[[], Object], address: Callable[[], str]) -> None:
    """Adds both paths. `configuration` is told where the keys are, `address` is host and port where the server is reached."""

    def configured() -> Response:
        return Response(200, encode_json(configuration(f"https://{address()}{JWKS_PATH}")), JSON, list(KEPT))

    def published() -> Response:
        return Response(200, encode_json(keys()), JWKS_TYPE, list(KEPT))

    routes.add("/.well-known/openid-configuration", _answering(configured))
    routes.add(JWKS_PATH, _answering(published))


def _answering(make: Callable[[], Response]) -> Handler:
    async def answer(request: Request) -> Answer:
        return make()

    return answer
