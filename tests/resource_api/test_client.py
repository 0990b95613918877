"""The small client against a served API in memory."""

from __future__ import annotations

import base64

import pytest
import yaml

from resource_api.client import ApiClient, Connection, Kind, error_of, read_kubeconfig
from resource_api.errors import StatusError
from tests.resource_api.http.serving import config_map, face

MAPS = Kind("", "v1", "configmaps")


@pytest.mark.asyncio
async def test_client_lives_one_life_of_an_object():
    """Every verb once, with its error."""
    async with face() as api, ApiClient(Connection(api.url)) as client:
        made = await client.create(MAPS, config_map("a", x="1"), "default")
        assert (await client.get(MAPS, "a", "default")) == made
        changed = await client.update(MAPS, {**made, "data": {"x": "2"}})
        with pytest.raises(StatusError) as caught:
            await client.update(MAPS, made)
        assert (caught.value.code, caught.value.reason, caught.value.name) == (409, "Conflict", "a")
        patched = await client.patch(MAPS, "a", {"data": {"y": "3"}}, "default")
        assert patched["data"] == {"x": "2", "y": "3"}
        applied = await client.apply(MAPS, config_map("b", z="1"), manager="m")
        page = await client.list(MAPS, "default", limit="1")
        rest = await client.list(MAPS, "default", continue_=page["metadata"]["continue"])
        assert [one["metadata"]["name"] for one in page["items"] + rest["items"]] == ["a", "b"]
        assert (await client.delete(MAPS, "a", "default"))["status"] == "Success"
        async with client.watch(MAPS, "default", resourceVersion=changed["metadata"]["resourceVersion"], timeoutSeconds="1") as events:
            seen = [(event.type, event.object["metadata"]["name"]) async for event in events]
        assert seen == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
        assert applied["metadata"]["managedFields"][0]["manager"] == "m"
        assert await client.request("GET", "/healthz") == {"text": "ok"}


@pytest.mark.asyncio
async def test_client_that_is_not_open_says_so():
    """Instead of a missing attribute."""
    with pytest.raises(RuntimeError, match="async with"):
        await ApiClient(Connection("http://x")).get(MAPS, "a")


def test_paths_follow_group_namespace_and_name():
    """The core group has no group in its path."""
    assert MAPS.path("ns", "a") == "/api/v1/namespaces/ns/configmaps/a"
    assert Kind("apps", "v1", "deployments").path("", "") == "/apis/apps/v1/deployments"
    assert Kind("rbac.authorization.k8s.io", "v1", "clusterroles").path(name="a:b/c").endswith("/clusterroles/a:b%2Fc")


def test_kubeconfig_gives_the_current_context(tmp_path):
    """Server, token and namespace; what it does not have is named."""
    path = tmp_path / "config"
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}, {"name": "d", "context": {"cluster": "x"}}],
        "clusters": [
            {"name": "k", "cluster": {"server": "http://127.0.0.1:1/", "certificate-authority-data": base64.b64encode(b"").decode()}}
        ],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
    }
    path.write_text(yaml.safe_dump(config))
    (tmp_path / "token").write_text("t\n")
    found = read_kubeconfig(path)
    assert (found.server, found.token, found.namespace, found.tls) == ("http://127.0.0.1:1", "t", "n", None)
    with pytest.raises(ValueError, match="no cluster 'x'"):
        read_kubeconfig(path, "d")


def test_errors_are_made_of_whatever_is_answered():
    """A Status, or the text there is."""
    assert (error_of(404, b"404 page not found\n").code, error_of(404, b"404 page not found\n").message) == (404, "404 page not found")
