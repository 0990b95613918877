"""One server for each module, a namespace for each test."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
import yaml

from tests.resource_api.kubectl.session import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of the module's own. A traceback in its log fails the module."""
    with Cluster(pathlib.Path(tmp_path_factory.mktemp("clients"))) as cluster:
        yield cluster


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace named after the test."""
    pytest.importorskip("kubernetes")
    import kubernetes

    name = request.node.name.removeprefix("test_").replace("_", "-")[:60].rstrip("-")
    with kubernetes.config.new_client_from_config(str(cluster.kubeconfig)) as api:
        core = kubernetes.client.CoreV1Api(api)
        core.create_namespace({"metadata": {"name": name}})
        yield name
        core.delete_namespace(name)


def widgets(kind: str = "Widget", group: str = "example.com") -> dict[str, object]:
    """A definition with status and scale subresources, a printer column and a default."""
    text = (pathlib.Path(__file__).parent / "widgets.yaml").read_text()
    definition: dict[str, object] = yaml.safe_load(
        text.replace("Widget", kind).replace("widget", kind.lower()).replace("example.com", group)
    )
    return definition
