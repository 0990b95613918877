"""One server for each module, with an object of each sort to ask about."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.resource_api.clients.conftest import widgets
from tests.resource_api.refusals.server import Server, running_server

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "main", "image": "app:1", "ports": [{"containerPort": 80}]}]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """With a ConfigMap `here`, a Deployment `web`, a Pod `pod` and a Widget `one` in namespace default."""
    with running_server() as server:
        core = "/api/v1/namespaces/default"
        server.make(f"{core}/configmaps", {"metadata": {"name": "here"}, "data": {"a": "1"}})
        server.make(f"{core}/serviceaccounts", {"metadata": {"name": "robot"}})
        server.make(f"{core}/pods", {"metadata": {"name": "pod"}, "spec": TEMPLATE["spec"]})
        deployment = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}}
        server.make("/apis/apps/v1/namespaces/default/deployments", deployment)
        server.make("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", widgets())
        while server.ask("GET", "/apis/example.com/v1/widgets")[0] != 200:
            time.sleep(0.02)
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {}}
        server.make("/apis/example.com/v1/namespaces/default/widgets", widget)
        yield server
