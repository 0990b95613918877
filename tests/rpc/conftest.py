"""The server under test, and a client of it. See `serving.py` for the choice of servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rpc.client import Client
from tests.rpc.serving import CHOICES, MemoryServer, Running, running


@pytest.fixture(scope="session", params=[one if one == "memory" else pytest.param(one, marks=pytest.mark.slow) for one in CHOICES])
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each server of the run in turn."""
    with running(request.param, tmp_path_factory.mktemp("rpc") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def client(endpoint: Running) -> Iterator[Client]:
    with Client(endpoint.address) as found:
        yield found


@pytest.fixture
def prefix(request: pytest.FixtureRequest, client: Client) -> bytes:
    """Keys of this test, none of which exists: the server is shared, and may have seen the test before."""
    found = f"{request.node.name}/".encode()
    client.delete(found, range_end=found + b"\xff")
    return found


@pytest.fixture
def head(endpoint: Running) -> None:
    """For what 3.4 answers differently."""
    if endpoint.version < (3, 6):
        pytest.skip("a rule of etcd 3.6 and later")


@pytest.fixture
def memory(endpoint: Running) -> MemoryServer:
    """For tests that reach behind the services."""
    if endpoint.memory is None:
        pytest.skip("needs the memory member")
    return endpoint.memory
