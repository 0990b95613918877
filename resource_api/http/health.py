"""`/healthz`, `/livez`, `/readyz`, `/version`, `/metrics` and `/`: what probes and tools ask before anything else (spec A.5)."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable

from resource_api.http.counters import RequestCounters
from resource_api.http.messages import Answer, Request, Response
from resource_api.http.representation import encode_json
from resource_api.http.routes import Routes
from resource_api.http.status import page_not_found, text

Check = Callable[[], Awaitable[str]]
"""Nothing when all is well, else why not (for the log; clients are not told)."""

MINOR = 37
"""Of the Kubernetes version whose behaviour this is."""

GIT_VERSION = f"v1.{MINOR}.0+raftkv"


async def ping() -> str:
    """The server answers at all."""
    return ""


class Health:
    """Named checks of the three endpoints, in the order they are shown."""

    def __init__(self) -> None:
        self.alive: dict[str, Check] = {"ping": ping}
        self.ready: dict[str, Check] = {"ping": ping}

    def install(self, routes: Routes) -> None:
        """Adds the endpoints and each check's own path."""
        for name, checks in (("healthz", self.alive), ("livez", self.alive), ("readyz", self.ready)):
            routes.add(f"/{name}", _Endpoint(name, checks), below=True, methods=frozenset())


class _Endpoint:
    def __init__(self, name: str, checks: dict[str, Check]) -> None:
        self._name = name
        self._checks = checks

    async def __call__(self, request: Request) -> Answer:
        """All checks, or the one the path names."""
        asked = request.path.strip("/").partition("/")[2]
        if asked:
            check = self._checks.get(asked)
            if check is None:
                return page_not_found()
            # Upstream tells why on a check's own path, and only there.
            failure = await check()
            return text(500, f"internal server error: {failure}\n") if failure else text(200, "ok")
        return await self._all(request)

    async def _all(self, request: Request) -> Answer:
        excluded = set(request.query.get("exclude", ()))
        lines: list[str] = []
        failed: list[str] = []
        for name, check in self._checks.items():
            if name in excluded:
                excluded.discard(name)
                lines.append(f"[+]{name} excluded: ok")
            elif await check():
                failed.append(name)
                lines.append(f"[-]{name} failed: reason withheld")
            else:
                lines.append(f"[+]{name} ok")
        if excluded:
            quoted = ",".join(f'"{name}"' for name in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
        if failed:
            return text(500, "\n".join(lines) + f"\n{self._name} check failed\n")
        if "verbose" in request.query:
            return text(200, "\n".join(lines) + f"\n{self._name} check passed\n")
        return text(200, "ok")


def version() -> dict[str, str]:
    """What `/version` says."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": str(MINOR),
        "emulationMajor": "1",
        "emulationMinor": str(MINOR),
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": str(MINOR - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{machine}",
    }


def install(routes: Routes, health: Health, counters: RequestCounters) -> None:
    """Adds everything of this module."""
    said = Response(200, encode_json(version()))

    async def answer_version(request: Request) -> Answer:
        return Response(said.status, said.body)

    async def answer_metrics(request: Request) -> Answer:
        return Response(200, await counters.page(), "text/plain; version=0.0.4; charset=utf-8")

    async def answer_root(request: Request) -> Answer:
        return Response(200, encode_json({"paths": routes.paths()}))

    health.install(routes)
    routes.add("/version", answer_version)
    routes.add("/metrics", answer_metrics)
    routes.add("/", answer_root)
