"""What every request passes: limits, warnings, the insecure port's Host (spec D.1)."""

from __future__ import annotations

import asyncio
import json

import pytest

from resource_api.http.chain import ChainSettings
from resource_api.http.messages import Answer, Request, Response
from resource_api.registry.requests import User
from tests.resource_api.http.serving import config_map, face, open_guards

MAPS = "/api/v1/namespaces/default/configmaps"

pytestmark = pytest.mark.asyncio


async def test_probes_are_answered_however_much_there_is_to_do():
    """Whoever asks: upstream's schema of them is exempt from every limit."""
    held, entered = asyncio.Event(), asyncio.Event()

    async def hold(request: Request) -> Answer:
        entered.set()
        await held.wait()
        return Response(200, b"")

    async with face(guards=open_guards(User("bob", ())), settings=ChainSettings(in_flight_max=1)) as api, asyncio.TaskGroup() as group:
        api.server.routes.add("/held", hold)
        waiting = group.create_task(api.ask("GET", "/held"))
        await entered.wait()
        assert [(await api.ask("GET", path))[0] for path in ("/healthz", "/livez", "/readyz", "/version")] == [200, 200, 200, 429]
        held.set()
        await waiting


async def test_warnings_are_bounded_as_upstreams_recorder_bounds_them():
    """A hundred faults of strict decoding at most; past 4096 characters each text is cut, and past that again no more are sent."""
    async with face() as api:

        async def warnings(names: list[str], headers: dict[str, str]) -> list[str]:
            body = json.dumps({**config_map("a"), **dict.fromkeys(names, 1)}).encode()
            url = f"{api.url}{MAPS}?dryRun=All&fieldValidation={headers.get('validation', 'Warn')}"
            async with api.session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                return answer.headers.getall("Warning", [])

        assert len(await warnings([f"a{number}" for number in range(300)], {})) == 100
        long = await warnings([f"{number:0500}" for number in range(100)], {})
        assert [len(text) for text in long] == [len('299 - ""') + 256 + len("\\")] * 16
        code, status = await api.ask("POST", f"{MAPS}?fieldValidation=Strict", {**config_map("a"), **{f"a{n}": 1 for n in range(300)}})
        assert (code, status["message"].count("unknown field")) == (400, 100)


@pytest.mark.parametrize("host", ["localhost:80@evil", "localhost@evil", "evil", "[::1]evil", "localhost:evil", "a:b:80"])
async def test_insecure_port_answers_to_loopback_names_only(host: str):
    """A page in a browser that was led here by a name of its own stays outside."""
    async with face() as api:
        assert (await api.ask("GET", "/version", headers={"Host": host}))[0] == 403
        for good in ("localhost", "LocalHost:8001", "127.0.0.1:1", "[::1]", "[::1]:8001"):
            assert (await api.ask("GET", "/version", headers={"Host": good}))[0] == 200
