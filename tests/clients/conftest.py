"""Three members as processes, for unmodified clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from jepsen_like.cluster import Cluster as Processes
from tests.support.bugs_of_ours import internal_errors


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the members of a running cluster listen."""

    leader: str
    followers: tuple[str, ...]

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All of them, the leader first."""
        return self.leader, *self.followers


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests of the folder; each keeps to keys of its own. A test may compact, but not move the leader for good."""
    members = Processes(tmp_path_factory.mktemp("clients"))
    try:
        members.start()
        asyncio.run(members.wait_healthy())
        leader = asyncio.run(members.leader()).endpoint
        yield Cluster(leader, tuple(endpoint for endpoint in members.endpoints if endpoint != leader))
        assert all(member.running for member in members.members), members.describe()
        assert [internal_errors(endpoint) for endpoint in members.endpoints] == [0, 0, 0], members.describe()
    finally:
        asyncio.run(members.close())


@pytest.fixture(params=["leader", "follower"])
def endpoint(request: pytest.FixtureRequest, cluster: Cluster) -> str:
    """One member's address; a follower passes on what only a leader does."""
    return cluster.leader if request.param == "leader" else cluster.followers[0]
