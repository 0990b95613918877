"""Node ports of Services: the configured range, the health check's port, what is shared and given back; a cluster IP that stays."""

from __future__ import annotations

import pytest

from resource_api.errors import Object
from tests.resource_api.plane import SERVICES, Served, served

pytestmark = pytest.mark.asyncio


def service(name: str, kind: str = "NodePort", **spec: object) -> Object:
    """Of one port, 80."""
    given = {"type": kind, "ports": [{"name": "a", "port": 80, "protocol": "TCP"}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": given}


async def make(server: Served, obj: Object) -> Object:
    """Its spec."""
    return dict((await server.client.create(SERVICES, obj, "default"))["spec"])


async def test_ports_come_from_the_configured_range():
    """`--service-node-port-range` bounds what is drawn and what is asked for; the last port can be had, the next Service gets none."""
    async with served("--service-node-port-range=40000-40001") as server:
        first = await make(server, service("a"))
        second = await make(server, service("b"))
        assert {spec["ports"][0]["nodePort"] for spec in (first, second)} == {40000, 40001}
        refused = await server.refusal(make(server, service("c")))
        assert (refused.code, refused.message) == (500, "Internal error occurred: failed to allocate a nodePort: range is full")
        await server.client.delete(SERVICES, "a", "default")
        outside = service("d")
        outside["spec"]["ports"][0]["nodePort"] = 30000
        refused = await server.refusal(make(server, outside))
        assert refused.code == 422
        assert "The range of valid ports is 40000-40001" in refused.message
        assert (await make(server, service("c")))["ports"][0]["nodePort"] == first["ports"][0]["nodePort"]


async def test_health_check_port_is_taken_kept_and_given_back():
    """A load balancer whose traffic stays on its node has one more port: drawn or asked for, and free again with the policy."""
    async with served() as server:
        spec = await make(server, service("a", "LoadBalancer", externalTrafficPolicy="Local"))
        port = spec["healthCheckNodePort"]
        assert 30000 <= port <= 32767
        assert port != spec["ports"][0]["nodePort"]
        taken = service("b", "LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=port)
        refused = await server.refusal(make(server, taken))
        assert (refused.code, refused.message) == (
            500,
            f"failed to allocate requested HealthCheck NodePort {port}: provided port is already allocated",
        )
        bare = service("a", "LoadBalancer", externalTrafficPolicy="Local")
        kept = await server.client.update(SERVICES, {**bare, "metadata": {"name": "a", "namespace": "default"}})
        assert kept["spec"]["healthCheckNodePort"] == port
        other = {**bare, "metadata": {"name": "a", "namespace": "default"}, "spec": {**bare["spec"], "healthCheckNodePort": port ^ 1}}
        refused = await server.refusal(server.client.update(SERVICES, other))
        assert refused.message == f'Service "a" is invalid: spec.healthCheckNodePort: Invalid value: {port ^ 1}: field is immutable'
        loose = await server.client.patch(SERVICES, "a", {"spec": {"externalTrafficPolicy": "Cluster"}}, "default")
        assert "healthCheckNodePort" not in loose["spec"]
        assert (await make(server, taken))["healthCheckNodePort"] == port


async def test_one_port_in_two_protocols_shares_its_node_port():
    """53 over TCP and UDP is reached at one number; without allocation there is none."""
    ports = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]
    async with served() as server:
        spec = await make(server, service("dns", ports=ports))
        assert len({one["nodePort"] for one in spec["ports"]}) == 1
        spec = await make(server, service("lb", "LoadBalancer", allocateLoadBalancerNodePorts=False))
        assert "nodePort" not in spec["ports"][0]


@pytest.mark.parametrize(
    ("given", "change", "problems"),
    [
        ("10.0.0.9", {"clusterIP": "10.0.0.10"}, ['["10.0.0.10"]: may not change once set']),
        ("10.0.0.9", {"clusterIP": "10.99.0.1"}, ['["10.99.0.1"]: may not change once set']),
        ("10.0.0.9", {"clusterIP": "None"}, ['["None"]: may not change once set']),
        ("None", {"clusterIP": "10.0.0.10"}, ['["10.0.0.10"]: may not change once set']),
        ("10.0.0.9", {"clusterIP": "10.0.0.10", "clusterIPs": ["10.0.0.10"]}, ['["10.0.0.10"]: may not change once set']),
        ("10.0.0.9", {"clusterIPs": ["10.0.0.10"]}, ['["10.0.0.10"]: may not change once set', "first value must match `clusterIP`"]),
        (
            "10.0.0.9",
            {"clusterIP": "10.0.0.10", "clusterIPs": None},
            ["null: primary clusterIP can not be unset", "spec.clusterIPs: Required value"],
        ),
    ],
)
async def test_cluster_ip_may_not_change(given: str, change: Object, problems: list[str]):
    """Not by the singular field alone either, which the list follows; what was asked for is not taken."""
    async with served() as server:
        await make(server, service("a", "ClusterIP", clusterIP=given))
        refused = await server.refusal(server.client.patch(SERVICES, "a", {"spec": change}, "default"))
        assert refused.code == 422
        assert all(problem in refused.message for problem in problems), refused.message
        assert f"spec.clusterIPs[0]: Invalid value: {problems[0]}" in refused.message
        assert (await make(server, service("b", "ClusterIP", clusterIP="10.0.0.10")))["clusterIPs"] == ["10.0.0.10"]
        labeled = await server.client.patch(SERVICES, "a", {"metadata": {"labels": {"a": "b"}}}, "default")
        assert (labeled["spec"]["clusterIP"], labeled["spec"]["clusterIPs"]) == (given, [given])


async def test_cluster_ip_that_is_left_out_stays():
    """Cleared alone or with the list: the Service keeps what it has."""
    async with served() as server:
        await make(server, service("a", "ClusterIP", clusterIP="10.0.0.9"))
        for change in ({"clusterIP": None}, {"clusterIP": ""}, {"clusterIPs": None}, {"clusterIP": None, "clusterIPs": None}):
            kept = await server.client.patch(SERVICES, "a", {"spec": change}, "default")
            assert (kept["spec"]["clusterIP"], kept["spec"]["clusterIPs"]) == ("10.0.0.9", ["10.0.0.9"])
