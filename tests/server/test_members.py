"""Members come, go, move and are promoted while the cluster serves (spec etcd-behaviour §1.5, thesis §4)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from jepsen_like.sim.client import SimulatedClient
from jepsen_like.sim.cluster import PEER_PORT, SimulatedCluster, SimulatedMember, simulate
from raftkv.errors import MemberBadURLsError
from raftkv.pb import rpc
from raftkv.server.hello import MemberRemovedError
from raftkv.server.member import MemberCore
from raftkv.server.members import HEALTHY_S, check_urls
from raftkv.server.settings import MemberSettings
from raftkv.transport.channel import RpcError

CLUSTER = "/etcdserverpb.Cluster/"


class Newcomer(SimulatedMember):
    """A machine that joins a cluster there is; `known` are the members it is told of, itself among them."""

    known: tuple[str, ...] = ()

    def settings(self) -> MemberSettings:
        return dataclasses.replace(
            super().settings(),
            initial_cluster_state="existing",
            initial_cluster=tuple((host, url(host)) for host in self.known),
        )


def url(host: str) -> str:
    return f"http://{host}:{PEER_PORT}"


async def add(client: SimulatedClient, host: str, *, learner: bool = False) -> rpc.MemberAddResponse:
    request = rpc.MemberAddRequest(peerURLs=[url(host)], isLearner=learner)
    return await client.call(CLUSTER + "MemberAdd", request, rpc.MemberAddResponse, 20.0)


async def remove(client: SimulatedClient, number: int) -> rpc.MemberRemoveResponse:
    return await client.call(CLUSTER + "MemberRemove", rpc.MemberRemoveRequest(ID=number), rpc.MemberRemoveResponse, 20.0)


async def promote(client: SimulatedClient, number: int) -> rpc.MemberPromoteResponse:
    return await client.call(CLUSTER + "MemberPromote", rpc.MemberPromoteRequest(ID=number), rpc.MemberPromoteResponse, 20.0)


async def listed(client: SimulatedClient) -> dict[str, Any]:
    """Members by host."""
    found = await client.call(CLUSTER + "MemberList", rpc.MemberListRequest(linearizable=True), rpc.MemberListResponse)
    return {member.peerURLs[0].removeprefix("http://").split(":")[0]: member for member in found.members}


async def started(cluster: SimulatedCluster) -> None:
    cluster.start()
    await cluster.serving()
    since_s = cluster.loop.time()
    await cluster.until(lambda: cluster.loop.time() > since_s + HEALTHY_S + 1, what="connections count")


def newcomer(cluster: SimulatedCluster, index: int) -> Newcomer:
    member = Newcomer(cluster, index)
    member.known = (
        *(one.host for one in cluster.members if not isinstance(one, Newcomer)),
        *(m.host for m in cluster.members if isinstance(m, Newcomer)),
        member.host,
    )
    return member


async def refused(call: Any) -> str:
    with pytest.raises(RpcError) as raised:
        await call
    return f"{raised.value.code}: {raised.value.message}"


def core_of(member: SimulatedMember) -> MemberCore:
    """Of a process that runs."""
    assert member.running is not None
    return member.running.core


def was_removed(member: SimulatedMember) -> bool:
    """It ended for this reason and no other."""
    error: BaseException | None = member.failed
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return isinstance(error, MemberRemovedError)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_member_added_through_any_member_serves_what_was_written(at: int) -> None:
    """The newcomer is sent the state, publishes itself, and the cluster is one of four voters."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        client = SimulatedClient(cluster.members[at])
        await client.put(b"key", b"before")
        added = await add(client, "m3")
        assert [member.name for member in added.members if member.ID == added.member.ID] == [""]
        assert added.header.revision == 0, "the Cluster service's headers have none"
        joined = newcomer(cluster, 3)
        joined.start()
        cluster.members.append(joined)
        await cluster.until(lambda: joined.running is not None and joined.running.ready.is_set(), what="the newcomer serves")
        assert (await SimulatedClient(joined).get(b"key")).kvs[0].value == b"before"
        assert (await listed(client))["m3"].name == "m3"
        assert all(len(member.running.core.voters()) == 4 for member in cluster.members if member.running is not None)

    simulate(at, scenario)


def test_newcomer_killed_before_it_was_sent_the_state_joins_at_the_next_start() -> None:
    """What it knows of the cluster survives, so that it can answer the leader."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        client = SimulatedClient(cluster.members[0])
        await add(client, "m3")
        joined = newcomer(cluster, 3)
        cluster.loop.network.isolate("m3", [])
        for _ in range(3):
            joined.start()
            await cluster.until(lambda: joined.life is not None and joined.running is not None, what="it runs")
            joined.crash(power=True)
        joined.start()
        cluster.members.append(joined)
        await cluster.until(lambda: joined.running is not None and joined.running.ready.is_set(), what="the newcomer serves")

    simulate(5, scenario)


def test_learner_serves_no_linearizable_read_until_it_is_promoted() -> None:
    """A learner has the data and no vote; one is promoted when it has nearly the leader's log."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        client = SimulatedClient(cluster.members[0])
        added = await add(client, "m3", learner=True)
        assert added.member.isLearner
        assert "too many learner members" in await refused(add(client, "m4", learner=True))
        assert "in sync with leader" in await refused(promote(client, added.member.ID))
        joined = newcomer(cluster, 3)
        joined.start()
        cluster.members.append(joined)
        await cluster.until(lambda: joined.running is not None and joined.running.ready.is_set(), what="the learner serves")
        assert "rpc not supported for learner" in await refused(SimulatedClient(joined).get(b"key"))
        await promote(client, added.member.ID)
        assert "can only promote a learner member" in await refused(promote(client, added.member.ID))
        await cluster.until(lambda: joined.running is not None and not joined.running.core.is_learner, what="it votes")
        assert (await SimulatedClient(joined).put(b"key", b"value")).header.revision > 1

    simulate(6, scenario)


@pytest.mark.parametrize("of_leader", [True, False])
def test_removed_member_ends_and_does_not_start_again(of_leader: bool) -> None:
    """It is told, stops by itself with etcd's words, and the rest go on; its id never comes back."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        leader = cluster.leader()
        assert leader is not None
        victim = leader if of_leader else next(member for member in cluster.members if member is not leader)
        others = [member for member in cluster.members if member is not victim]
        client = SimulatedClient(others[0])
        number = (await listed(client))[victim.host].ID
        await remove(client, number)
        assert "member not found" in await refused(remove(client, number))
        assert victim.host not in await listed(client)
        await cluster.until(lambda: victim.is_down, what="the removed member ends")
        assert was_removed(victim)
        victim.start()
        await cluster.until(lambda: victim.is_down, what="it ends again")
        assert was_removed(victim)
        cluster.members.remove(victim)
        cluster.failures.clear()
        assert (await client.put(b"key", b"value", 10.0)).header.revision > 1

    simulate(7, scenario)


def test_member_removed_while_it_was_away_is_told_when_it_comes_back() -> None:
    """Its own log does not know; the others refuse it for good."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        leader = cluster.leader()
        victim = next(member for member in cluster.members if member is not leader)
        others = [member for member in cluster.members if member is not victim]
        client = SimulatedClient(others[0])
        number = (await listed(client))[victim.host].ID
        victim.crash()
        await cluster.until(lambda: number not in core_of(others[0]).peers.connected(), what="its absence is seen")
        await remove(client, number)
        victim.start()
        await cluster.until(lambda: victim.is_down, what="the removed member ends")
        assert was_removed(victim)
        cluster.members.remove(victim)
        cluster.failures.clear()

    simulate(8, scenario)


def test_wiped_member_is_replaced_by_removal_and_addition() -> None:
    """What the refusal of a wiped member tells people to do works."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        victim = cluster.members[2]
        client = SimulatedClient(cluster.members[0])
        await client.put(b"key", b"value")
        number = (await listed(client))["m2"].ID
        victim.crash()
        await cluster.until(
            lambda: all(number not in core_of(one).peers.connected() for one in cluster.members[:2]), what="its absence is seen"
        )
        await remove(client, number)
        assert number != (await add(client, "m2")).member.ID
        again = Newcomer(cluster, 2)
        again.known = ("m0", "m1", "m2")
        cluster.members[2] = again
        again.start()
        await cluster.until(lambda: again.running is not None and again.running.ready.is_set(), what="the replacement serves")
        assert (await SimulatedClient(again).get(b"key")).kvs[0].value == b"value"

    simulate(9, scenario)


def test_changes_that_would_cost_the_quorum_are_refused() -> None:
    """etcd's --strict-reconfig-check, with its texts."""

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        client = SimulatedClient(cluster.members[0])
        assert "unhealthy cluster" in await refused(add(client, "m3")), "connections younger than five seconds do not count"
        since_s = cluster.loop.time()
        await cluster.until(lambda: cluster.loop.time() > since_s + HEALTHY_S + 1, what="connections count")
        assert "Peer URLs already exists" in await refused(add(client, "m1"))
        await add(client, "m3")
        await add(client, "m4")
        assert "not enough started members" in await refused(add(client, "m5")), "three of six would have started"

    simulate(10, scenario)


def test_member_that_the_quorum_rests_on_is_not_removed() -> None:
    """With one of three down, the other two cannot be spared; the one that is down can."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        leader = cluster.leader()
        assert leader is not None
        down, up = [member for member in cluster.members if member is not leader]
        client = SimulatedClient(leader)
        numbers = {host: member.ID for host, member in (await listed(client)).items()}
        down.crash()
        await cluster.until(lambda: len(core_of(leader).peers.connected()) == 1, what="its absence is seen")
        assert "unhealthy cluster" in await refused(remove(client, numbers[up.host]))
        assert len((await remove(client, numbers[down.host])).members) == 2

    simulate(14, scenario)


def test_cluster_of_one_grows_to_three_one_by_one() -> None:
    """A lone member may be joined at once; the second needs the first two."""

    async def scenario(cluster: SimulatedCluster) -> None:
        cluster.start()
        await cluster.serving()
        client = SimulatedClient(cluster.members[0])
        await client.put(b"key", b"value")
        for index in (1, 2):
            await add(client, f"m{index}")
            joined = newcomer(cluster, index)
            joined.start()
            cluster.members.append(joined)
            await cluster.until(lambda: joined.running is not None and joined.running.ready.is_set(), what="the newcomer serves")  # noqa: B023
            since_s = cluster.loop.time()
            await cluster.until(lambda: cluster.loop.time() > since_s + HEALTHY_S + 1, what="connections count")  # noqa: B023
        cluster.members[0].crash(power=True)
        assert (await SimulatedClient(cluster.members[1]).put(b"key", b"later", 10.0)).header.revision > 2

    simulate(11, scenario, count=1)


def test_leader_of_two_removed_hands_over_first() -> None:
    """Otherwise neither of the two could go on alone (raft/proposals.py)."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        leader = cluster.leader()
        assert leader is not None
        other = next(member for member in cluster.members if member is not leader)
        client = SimulatedClient(other)
        await remove(client, (await listed(client))[leader.host].ID)
        await cluster.until(lambda: leader.is_down, what="the removed member ends")
        cluster.members.remove(leader)
        cluster.failures.clear()
        assert (await client.put(b"key", b"value", 10.0)).header.revision > 1

    simulate(12, scenario, count=2)


def test_member_moves_to_another_address() -> None:
    """Update changes what others connect to, and refuses what another has."""

    async def scenario(cluster: SimulatedCluster) -> None:
        await started(cluster)
        client = SimulatedClient(cluster.members[0])
        number = (await listed(client))["m1"].ID
        request = rpc.MemberUpdateRequest(ID=number, peerURLs=[url("m2")])
        assert "Peer URLs already exists" in await refused(client.call(CLUSTER + "MemberUpdate", request, rpc.MemberUpdateResponse))
        request = rpc.MemberUpdateRequest(ID=number, peerURLs=["http://elsewhere:2380"])
        answer = await client.call(CLUSTER + "MemberUpdate", request, rpc.MemberUpdateResponse)
        assert [list(member.peerURLs) for member in answer.members if number == member.ID] == [["http://elsewhere:2380"]]
        await cluster.until(
            lambda: all(core_of(one).peers.urls(number) in [(), ("http://elsewhere:2380",)] for one in cluster.members),
            what="every member knows",
        )

    simulate(13, scenario)


@pytest.mark.parametrize(
    "urls", [[], [""], ["m1:2380"], ["http://m1"], ["ftp://m1:2380"], ["http://m1:2380/path"], ["http://m1:port"], ["http://:2380x"]]
)
def test_peer_urls_that_are_none_are_refused(urls: list[str]) -> None:
    """etcd's rules for a URL of a member."""
    with pytest.raises(MemberBadURLsError):
        check_urls(urls)


def test_peer_urls_of_members_pass() -> None:
    """With a slash or without, several at once."""
    check_urls(["http://m1:2380", "https://10.0.0.1:2380/"])
