"""Paths that are no resources: health, version, discovery, documents. Trailing slashes do not count."""

from __future__ import annotations

from resource_api.errors import method_not_allowed
from resource_api.http.messages import Answer, Handler, Request
from resource_api.http.status import page_not_found


class Routes:
    """Handlers by path. A path added with `below` takes everything under it that has no more exact entry."""

    def __init__(self) -> None:
        self._exact: dict[str, tuple[Handler, frozenset[str]]] = {}
        self._below: dict[str, tuple[Handler, frozenset[str]]] = {}

    def add(self, path: str, handler: Handler, *, below: bool = False, methods: frozenset[str] = frozenset({"GET"})) -> None:
        """Serves `path`, without a slash at its end, from now on; an empty set of methods means all."""
        self._exact[path] = (handler, methods)
        if below:
            self._below[path] = (handler, methods)

    def paths(self) -> list[str]:
        """All registered, sorted; the answer of `/`."""
        return sorted(self._exact)

    async def __call__(self, request: Request) -> Answer:
        """404 in plain text for what nobody serves; raises StatusError 405 for a method the path does not have."""
        path = request.path.rstrip("/") or "/"
        found = self._exact.get(path)
        while found is None and "/" in path[1:]:
            path = path[: path.rindex("/")]
            found = self._below.get(path)
        if found is None:
            return page_not_found()
        handler, methods = found
        if methods and request.method not in methods:
            raise method_not_allowed("")
        return await handler(request)
