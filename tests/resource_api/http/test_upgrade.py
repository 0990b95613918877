"""exec, attach, portforward, log and proxy where there is no kubelet (spec B.12)."""

from __future__ import annotations

import pytest

from tests.resource_api.http.serving import face

pytestmark = pytest.mark.asyncio


async def test_a_pod_without_a_node_has_an_empty_log_and_no_connections():
    """As upstream answers."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    at = "/api/v1/namespaces/default/pods"
    async with face() as api:
        assert (await api.ask("POST", at, pod))[0] == 201
        assert (await api.ask("GET", f"{at}/p/log"))[0] == 204
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": "v5.channel.k8s.io"}
        code, status = await api.ask("GET", f"{at}/p/exec?command=ls", headers=upgrade)
        assert (code, status["message"]) == (400, "pod p does not have a host assigned")
        code, status = await api.ask("POST", f"{at}/p/attach?container=x")
        assert (code, status["message"]) == (400, "container x is not valid for pod p")
        assert (await api.ask("GET", f"{at}/q/portforward"))[0] == 404
        code, status = await api.ask("GET", f"{at}/p/proxy")
        assert (code, status["message"]) == (400, "address not allowed")


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("tailLines=-1", 422, 'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'),
        ("limitBytes=0", 422, 'PodLogOptions "p" is invalid: limitBytes: Invalid value: 0: must be greater than 0'),
        ("sinceSeconds=0", 422, 'PodLogOptions "p" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'),
        (
            "sinceSeconds=0&sinceTime=2026-01-01T00:00:00Z",
            422,
            'PodLogOptions "p" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
        ),
        ("tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("tailLines=0&limitBytes=1", 404, 'pods "p" not found'),
    ],
)
async def test_options_of_a_log_are_looked_at_before_the_pod(query: str, code: int, said: str):
    """Whether or not there is one."""
    async with face() as api:
        found, status = await api.ask("GET", f"/api/v1/namespaces/default/pods/p/log?{query}")
        assert (found, status["message"]) == (code, said)
