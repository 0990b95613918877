"""One server for each module."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.resource_api.kubectl.session import Cluster, require_kubectl


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of the module's own."""
    require_kubectl()
    with Cluster(pathlib.Path(tmp_path_factory.mktemp("kubectl"))) as cluster:
        yield cluster
