"""Which web pages may call the HTTP endpoints of the client port: CORS, as etcd's --cors has it.

Source: etcd's server/embed/serve.go (accessController). The metrics and peer ports have none of this.
"""

from __future__ import annotations

from collections.abc import Sequence

from raftkv.rpc.endpoints import Answerer, HttpRequest, HttpResponse, Reply

ANYWHERE = "*"

METHODS = ("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE")
HEADERS = ("Access-Control-Allow-Headers", "accept, content-type, authorization")


class CrossOrigin:
    """Answers OPTIONS itself, whatever the path, and says on every other answer who may read it."""

    def __init__(self, inner: Answerer, allowed: Sequence[str]) -> None:
        """`allowed` are origins as browsers send them, or `*`; empty allows all, as in etcd."""
        self._inner = inner
        self._allowed = frozenset(allowed)
        self._anywhere = not allowed or ANYWHERE in allowed

    def serve(self, request: HttpRequest, reply: Reply) -> None:
        """Calls `reply` once, now or in a later turn."""
        leave = self._leave(request.origin)
        if request.method == "OPTIONS":
            reply(HttpResponse(200, leave, b""))
        elif leave:
            self._inner.serve(request, lambda response: reply(response._replace(headers=(*leave, *response.headers))))
        else:
            self._inner.serve(request, reply)

    def _leave(self, origin: str) -> tuple[tuple[str, str], ...]:
        if self._anywhere:
            origin = ANYWHERE
        elif origin not in self._allowed:
            return ()
        return (HEADERS, METHODS, ("Access-Control-Allow-Origin", origin))
