"""The client against real servers, over real sockets."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from raftkv import client as c
from raftkv import errors
from raftkv.client import KeyRange, Order, Prefix, SortBy, delete, get, mod, put, value, version
from tests.client.servers import etcd_unavailable, running

pytestmark = pytest.mark.slow


def run(server, action, **options):
    """Runs an action with a client of the server."""

    async def body():
        async with c.AsyncClient(server.endpoint, **options) as client:
            return await asyncio.wait_for(action(client), 20)

    return asyncio.run(body())


def test_put_get_delete_go_round(server):
    """Values come back byte for byte, with their revisions."""

    async def action(client):
        first = await client.put("kv/a", b"\x00\xff", previous=True)
        assert first.previous is None
        second = await client.put("kv/a", "é", previous=True)
        assert second.previous is not None and second.previous.value == b"\x00\xff"
        found = await client.get("kv/a")
        assert (found.text, found.version, found.mod_revision) == ("é", 2, second.header.revision)
        old = await client.get("kv/a", revision=first.header.revision)
        assert old.value == b"\x00\xff"
        gone = await client.delete("kv/a", previous=True)
        assert (gone.deleted, gone.previous[0].text) == (1, "é")
        assert await client.get("kv/a") is None
        assert (await client.delete("kv/a")).deleted == 0

    run(server, action)


def test_ranges_take_every_option(server):
    """Order, limit, filters, keys only, count."""

    async def action(client):
        for key in ("b", "a", "c"):
            last = await client.put(f"range/{key}", key)
        prefix = Prefix("range/")
        assert [kv.key for kv in await client.range(prefix)] == [b"range/a", b"range/b", b"range/c"]
        latest = await client.range(prefix, order=Order.DESCEND, sort_by=SortBy.MOD, limit=1)
        assert (latest.kvs[0].value, latest.more, latest.count) == (b"c", True, 3)
        assert await client.count(KeyRange("range/a", "range/c")) == 2
        only = await client.range(prefix, keys_only=True, min_mod_revision=last.header.revision, serializable=True)
        assert [(kv.key, kv.value) for kv in only] == [(b"range/c", b"")]
        with pytest.raises(errors.FutureRevError):
            await client.range(prefix, revision=last.header.revision + 1000)

    run(server, action)


def test_txn_takes_the_branch_its_compares_choose(server):
    """And answers each operation in order."""

    async def action(client):
        done = await client.txn().if_(version("txn/k") == 0).then(put("txn/k", "1"), get("txn/k")).else_(delete("txn/k")).commit()
        assert done.succeeded and done.responses[1].kvs[0].value == b"1"
        revision = done.header.revision
        conditions = (mod("txn/k") == revision, value("txn/k") < "2", value("txn/k") != "0", version("txn/k") > 0)
        assert (await client.txn().if_(*conditions).commit()).succeeded
        other = await client.txn().if_(version("txn/k") == 0).else_(delete("txn/k", previous=True)).commit()
        assert not other.succeeded and other.responses[0].previous[0].value == b"1"
        nested = c.TxnOp(success=(put("txn/n", "x"),))
        result = await client.execute(c.TxnOp(success=(nested, put("txn/m", "y"))))
        assert result.responses[0].succeeded

    run(server, action)


def test_watch_sees_history_and_what_comes(server):
    """Each event once, in order, whole revisions together."""

    async def action(client):
        start = (await client.put("watch/a", "1")).header.revision
        await client.txn().then(put("watch/b", "2"), put("watch/c", "3")).commit()
        seen = []
        async with client.watch(Prefix("watch/"), since=start, previous=True) as watch, asyncio.TaskGroup() as tasks:

            async def write():
                await client.delete("watch/a")
                await client.put("watch/end", "")

            tasks.create_task(write())
            async for event in watch:
                seen.append((event.type, event.kv.key, event.kv.mod_revision - start, event.previous and event.previous.value))
                if event.kv.key == b"watch/end":
                    break
        assert seen == [
            ("PUT", b"watch/a", 0, None),
            ("PUT", b"watch/b", 1, None),
            ("PUT", b"watch/c", 1, None),
            ("DELETE", b"watch/a", 2, b"1"),
            ("PUT", b"watch/end", 3, None),
        ]

    run(server, action)


def test_leases_take_their_keys_with_them(server):
    """Grant, renew, look, list, revoke."""

    async def action(client):
        lease = await client.leases.grant(60)
        assert lease.ttl_s == 60
        await client.put("lease/k", "v", lease=lease.id)
        assert (await client.leases.keep_alive_once(lease.id)).ttl_s == 60
        left = await client.leases.time_to_live(lease.id, keys=True)
        assert (left.granted_ttl_s, left.keys) == (60, [b"lease/k"])
        assert lease.id in (await client.leases.list()).ids
        await client.leases.revoke(lease.id)
        assert await client.get("lease/k") is None
        assert (await client.leases.time_to_live(lease.id)).ttl_s == -1
        with pytest.raises(errors.LeaseNotFoundError):
            await client.leases.keep_alive_once(lease.id)
        with pytest.raises(errors.LeaseNotFoundError):
            await client.put("lease/k", "v", lease=lease.id)

    run(server, action)


def test_members_and_maintenance_answer(server):
    """Status, hash, members, alarms, a hand-over to itself."""

    async def action(client):
        await client.put("maintenance", "x")
        status = await client.maintenance.status()
        assert status.leader == status.header.member_id and status.db_size_bytes > 0
        members = await client.cluster.members()
        assert [member.id for member in members.members] == [status.leader]
        hashed = await client.maintenance.hash_kv()
        assert hashed.hash == (await client.maintenance.hash_kv(revision=hashed.header.revision)).hash
        assert (await client.maintenance.alarms()).alarms == []
        await client.maintenance.move_leader(status.leader)
        await client.maintenance.defragment()
        with pytest.raises(errors.BadLeaderTransfereeError):
            await client.maintenance.move_leader(1)

    run(server, action)


def test_compacted_history_is_refused_as_such(server):
    """A read and a watch before the compaction both say so."""

    async def action(client):
        first = (await client.put("compact", "1")).header.revision
        second = (await client.put("compact", "2")).header.revision
        await client.compact(second, physical=True)
        with pytest.raises(errors.CompactedError):
            await client.get("compact", revision=first)
        with pytest.raises(errors.CompactedError):
            async with client.watch("compact", since=first) as watch:
                async for _ in watch:
                    pass

    run(server, action)


def test_many_calls_share_one_connection(server):
    """The first callers wait for the same connection instead of making one each."""

    async def action(client):
        async with asyncio.TaskGroup() as tasks:
            for number in range(200):
                tasks.create_task(client.put(f"many/{number}", str(number)))
        assert await client.count(Prefix("many/")) == 200

    run(server, action)


def test_dead_endpoint_costs_nothing_but_a_turn(server):
    """A write that could not be sent goes to the endpoint that lives."""

    async def action(client):
        assert (await client.put("failover", "x")).header.revision > 0

    run(server, action, timeout_s=60.0)
    asyncio.run(_failover(server))


def test_watch_and_calls_survive_a_restart_of_the_server(tmp_path, restarted_kind):
    """The watch resumes where it was: what was written while it had no connection is delivered, once."""

    async def body() -> list[bytes]:
        with running(restarted_kind, tmp_path) as first:
            client = c.AsyncClient(first.endpoint, timeout_s=60.0)
            await client.put("restart/1", "")
            watch = client.watch(Prefix("restart/"))
            async with asyncio.timeout(60):
                assert (await watch.receive()).created
                await client.put("restart/2", "")
                seen = [event.kv.key for event in (await watch.receive()).events]
        with running(restarted_kind, tmp_path, like=first) as second:
            async with c.AsyncClient(second.endpoint) as other:
                await other.put("restart/3", "")
            await client.put("restart/4", "")
            async with asyncio.timeout(60):
                while len(seen) < 3:
                    seen += [event.kv.key for event in (await watch.receive()).events]
            watch.close()
            await client.aclose()
        return seen

    assert asyncio.run(body()) == [b"restart/2", b"restart/3", b"restart/4"]


@pytest.fixture(params=["raftkv", "etcd"])
def restarted_kind(request):
    """A kind of server, not started yet."""
    if request.param == "etcd" and (why := etcd_unavailable()):
        pytest.skip(why)
    return request.param


def test_user_is_authenticated_by_password(tmp_path):
    """Against a server that has authentication; a wrong password is refused as such."""
    if why := etcd_unavailable():
        pytest.skip(why)
    with running("etcd", tmp_path) as started:
        for words in ("user add root:secret", "auth enable"):
            subprocess.run(["etcdctl", f"--endpoints={started.endpoint}", *words.split()], check=True, capture_output=True)

        async def body() -> None:
            async with c.AsyncClient(started.endpoint, credentials=c.Credentials("root", "secret")) as client:
                await client.put("auth", "x")
                assert await client.get("auth") is not None
                async with client.watch("auth", since=1) as watch:
                    assert (await watch.receive()).created
            async with c.AsyncClient(started.endpoint, credentials=c.Credentials("root", "wrong")) as client:
                with pytest.raises(errors.AuthFailedError):
                    await client.put("auth", "y")
            async with c.AsyncClient(started.endpoint) as client:
                with pytest.raises(errors.UserEmptyError):
                    await client.put("auth", "y")

        asyncio.run(body())


async def _failover(server):
    async with c.AsyncClient(["127.0.0.1:1", server.endpoint]) as client:
        assert (await client.put("failover", "x")).header.revision > 0
        assert await client.get("failover") is not None
