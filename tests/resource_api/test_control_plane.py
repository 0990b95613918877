"""The control plane put together: what it has at the start, and that a stop and start over the same store loses and changes nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

from resource_api.client import Kind
from resource_api.errors import UNREAD, Object, StatusError
from tests.resource_api.plane import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS, SERVICES, Served, served
from tests.resource_api.world import config_map
from tests.support.memory_store import MemoryStore

RBAC = "rbac.authorization.k8s.io"
QUOTAS = Kind("", "v1", "resourcequotas")

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def idle(server: Served) -> None:
    """Until the controllers have nothing to do."""
    async with asyncio.timeout(60):
        quiet = 0
        while quiet < 5:
            quiet = quiet + 1 if server.plane.controllers.idle else 0
            await asyncio.sleep(0.02)


def values(store: MemoryStore) -> dict[str, bytes]:
    """Everything that is stored."""
    found = {key: store._at(key, store.now) for key in store._values}
    return {key: one.value for key, one in found.items() if one is not None}


async def test_second_start_finds_everything_in_order():
    """Namespaces, accounts, roles, the Service, addresses: made once; what clients wrote is there."""
    store = MemoryStore()
    async with served(store=store) as server:
        await server.client.create(CONFIG_MAPS, {**config_map(data={"a": "b"})}, "default")
        await server.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        spec = {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}
        await server.client.create(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}, "default")
        await idle(server)
    kept = values(store)
    for key in (
        "namespaces/kube-system",
        "serviceaccounts/n/default",
        "configmaps/n/kube-root-ca.crt",
        "services/specs/default/kubernetes",
    ):
        assert key in kept
    assert any(key.startswith("clusterroles/cluster-admin") for key in kept)
    async with served(store=store) as server:
        await idle(server)
        found: Object = await server.client.get(CONFIG_MAPS, "a", "default")
        assert found["data"] == {"a": "b"}
        after = values(store)
        assert {key for key in kept.keys() | after.keys() if kept.get(key) != after.get(key)} <= {"apiregistration.k8s.io/apiservices"}


async def test_watch_goes_on_at_the_next_server():
    """From the version the client was told last, over a restart; nothing is told twice or left out."""
    store = MemoryStore()
    async with served(store=store) as server:
        first = await server.client.create(CONFIG_MAPS, config_map(), "default")
    version = first["metadata"]["resourceVersion"]
    async with served(store=store) as server:
        await server.client.create(CONFIG_MAPS, config_map("b"), "default")
        told = []
        async with asyncio.timeout(60), server.client.watch(CONFIG_MAPS, "default", resourceVersion=version) as events:
            async for event in events:
                told.append((event.type, event.object["metadata"]["name"]))
                if event.object["metadata"]["name"] == "b":
                    break
        assert told[-1] == ("ADDED", "b")
        assert ("ADDED", "a") not in told


async def test_namespace_goes_with_everything_in_it_through_the_whole_server():
    """Lifecycle, controllers and caches together; then its name is free."""
    store = MemoryStore()
    async with served(store=store) as server:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
        await server.client.create(NAMESPACES, body)
        await server.client.create(CONFIG_MAPS, config_map("a", "n"), "n")
        await server.client.delete(NAMESPACES, "n")
        async with asyncio.timeout(60):
            while True:
                try:
                    await server.client.get(NAMESPACES, "n")
                except StatusError as error:
                    assert error.code == 404
                    break
                await asyncio.sleep(0.05)
        assert not [key for key in values(store) if "/n/" in key]
        await server.client.create(NAMESPACES, body)
        await idle(server)


@pytest.mark.parametrize(
    "key",
    [
        "apiextensions.k8s.io/customresourcedefinitions/x.example.com",
        "clusterroles/x",
        "flowschemas/x",
        "namespaces/x",
        "ranges/nodeports/30001",
        "rolebindings/default/x",
        "services/specs/default/x",
    ],
)
async def test_damaged_value_keeps_nobody_else_from_being_served(key: str):
    """At the start, and when it is damaged under a running server; it stays where it is for whoever mends it."""
    store = MemoryStore()
    store.put(key, b"damaged")
    async with served(store=store) as server:
        await server.client.create(CONFIG_MAPS, config_map(), "default")
        store.put(key + "2", b"damaged")
        store.put("clusterroles/view", b"damaged")
        await idle(server)
        spec = {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}
        await server.client.create(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}, "default")
    assert [(await store.get(one)).value for one in (key, key + "2", "clusterroles/view")] == [b"damaged"] * 3


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("namespaces/default", NAMESPACES),
        ("namespaces/kube-system", NAMESPACES),
        ("services/specs/default/kubernetes", SERVICES),
        ("serviceaccounts/kube-public/default", SERVICE_ACCOUNTS),
    ],
)
async def test_damaged_object_of_the_cluster_itself_can_be_deleted_and_is_made_again(key: str, kind: Kind):
    """The server starts without it: whoever is to look after it needs the server."""
    store = MemoryStore()
    store.put(key, b"damaged")
    async with served(store=store) as server:
        *_, namespace, name = key.split("/")
        if kind is NAMESPACES:
            namespace = ""
        error = await server.refusal(server.client.get(kind, name, namespace))
        assert (error.code, error.reason) == (500, "StorageReadError")
        assert key in error.message
        assert UNREAD in error.message
        await server.client.delete(kind, name, namespace, **{UNREAD: "true"})
        await idle(server)
        await server.client.get(kind, name, namespace)


async def test_damaged_quota_holds_its_namespace_until_who_may_deletes_it():
    """Nobody knows what it allowed, so nothing is made; the refusal names it, and to delete it unread takes a right of its own."""
    store = MemoryStore()
    store.put("resourcequotas/default/q", b"damaged")
    async with served(store=store) as server:
        for verbs in (["delete"], ["delete", "unsafe-delete-ignore-read-errors"]):
            rules = [{"apiGroups": [""], "resources": ["resourcequotas"], "verbs": verbs}]
            role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": f"r{len(verbs)}"}, "rules": rules}
            await server.client.create(Kind(RBAC, "v1", "clusterroles"), role)
        error = await server.refusal(server.client.create(CONFIG_MAPS, config_map(), "default"))
        assert (error.code, error.reason) == (500, "StorageReadError")
        assert "resourcequotas/default/q" in error.message
        assert UNREAD in error.message
        await bind(server, "r1")
        error = await server.refusal(server.user.delete(QUOTAS, "q", "default", **{UNREAD: "true"}))
        text = 'resourcequotas "q" is forbidden: not permitted to do "unsafe-delete-ignore-read-errors", reason: '
        assert (error.code, error.message) == (403, text)
        error = await server.refusal(server.client.request("DELETE", QUOTAS.path("default"), {UNREAD: "true"}))
        assert error.code == 422
        assert "is not allowed with DELETECOLLECTION" in error.message
        await bind(server, "r2")
        answer = await server.user.delete(QUOTAS, "q", "default", **{UNREAD: "true"})
        assert (answer["status"], answer["code"]) == ("Success", 200)
        await server.client.create(CONFIG_MAPS, config_map(), "default")


async def bind(server: Served, role: str) -> None:
    """Gives it to the user, and waits until it holds."""
    body = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "jane"}],
    }
    # Authorization hears of it by a watch, which the answer does not wait for.
    made = await server.client.create(Kind(RBAC, "v1", "clusterrolebindings"), body)
    cache = server.plane.api.find(RBAC, "clusterrolebindings").reader.cache
    await cache.fresh(int(made["metadata"]["resourceVersion"]))
    await idle(server)


class Faulty(MemoryStore):
    """Meets a fault nobody thought of, some times, when one key is made."""

    def __init__(self, key: str, times: int) -> None:
        super().__init__()
        self.key, self.times = key, times

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        if key == self.key and self.times:
            self.times -= 1
            raise RuntimeError("nobody thought of this")
        return await super().create(key, value, ttl_s=ttl_s)


async def test_fault_in_one_reconcile_is_seen_and_ends_nothing(reconcile_faults: list[logging.LogRecord]):
    """The server goes on, the log and the metrics tell of it, and when the fault is over the object is brought in order."""
    async with served(store=Faulty("serviceaccounts/n/default", 3)) as server:
        await server.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        await server.until(SERVICE_ACCOUNTS, "default", "n", lambda obj: True)
        assert server.plane.controllers.faults == 3
        page = server.plane.server.counters.text()
        assert 'resource_api_reconcile_faults_total{name="namespace content"} 3\n' in page
        assert 'resource_api_reconcile_faults_total{name="garbage collector"} 0\n' in page
        assert "# TYPE workqueue_depth gauge\n" in page
    assert [record.fields["key"] for record in reconcile_faults] == ["n"] * 3  # type: ignore[attr-defined]
    reconcile_faults.clear()


async def test_description_names_every_part():
    """For people who look at a running server."""
    async with served() as server:
        text = server.plane.describe()
        assert "object index:" in text
        assert "garbage collector:" in text
        assert "namespaces/" in text


async def test_what_a_namespace_is_given_holds_at_once():
    """A pod right after its namespace finds the account; a quota, defaults and a role hold for the request after theirs."""
    pods = Kind("", "v1", "pods")

    def pod(name: str) -> Object:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}

    async with served() as server:
        for number in range(20):
            name = f"n{number}"
            await server.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            made = await server.client.create(pods, pod("first"), name)
            assert made["spec"]["serviceAccountName"] == "default"
            limits = {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}
            await server.client.create(Kind("", "v1", "limitranges"), limits, name)
            made = await server.client.create(pods, pod("second"), name)
            assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}
            await server.client.create(QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}, name)
            refused = await server.refusal(server.client.create(pods, pod("third"), name))
            assert "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2" in refused.message
            refused = await server.refusal(server.user.list(pods, name))
            assert refused.code == 403
            subject = {"kind": "User", "name": "jane", "apiGroup": RBAC}
            binding = {
                "metadata": {"name": "b"},
                "subjects": [subject],
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
            }
            await server.client.create(Kind(RBAC, "v1", "rolebindings"), binding, name)
            assert len((await server.user.list(pods, name))["items"]) == 2
